"""Servers for the integration tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.faulty_server import FaultyServer, run_faulty_server


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """A server that breaks HTTP by script, and is correct where there is none."""
    with run_faulty_server() as running:
        yield running
