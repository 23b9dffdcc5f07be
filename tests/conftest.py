"""Fixtures for all tests: a clean environment, and no blocking call on the event loop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.support.stand_in import tiny_stand_in

# A deadline would measure how busy the machine is.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")


@pytest.fixture(autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the settings of whoever runs it: environment, .env file, proxies."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("NERSEMBLE_") or name.lower() in _PROXIES:
                patch.delenv(name)
        patch.setenv("HOME", str(_home(tmp_path_factory)))
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.delenv(name, raising=False)
        yield


def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    return home


@pytest.fixture(autouse=True)
def no_blocking_on_the_loop(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """In async tests, blocking calls of the package (not of the test itself) raise."""
    if request.node.get_closest_marker("asyncio") is None:
        yield None
        return
    with blockbuster_ctx("nersemble_async") as guard:
        yield guard


@pytest.fixture(scope="session")
def stand_in() -> Path:
    """The whole benchmark as a tiny stand-in, in the layout of the server; only to be read."""
    return tiny_stand_in()
