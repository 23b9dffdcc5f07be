"""nersemble_async: fetch, load and submit for the NeRSemble 3D head avatar benchmark.

A map of the package, in the order in which a byte passes through it:

- `benchmark`: what exists (pure data); `constants`: the same under the official names
- `fetch`: how bytes arrive; `cache`: where they rest
- `formats`: bytes ↔ arrays
- `synthetic`: a small, geometrically consistent stand-in for the licensed data
- `cli`: the command line, ``nersemble-async`` and ``python -m nersemble_async``
- `settings`, `log`, `workers`, `errors`: what all of them stand on

The names below are loaded on first use, so that ``import nersemble_async`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "Fetcher": "fetch.fetcher",
    "Selection": "fetch.plan",
    "FetchPlan": "fetch.plan",
    "PlannedFile": "fetch.plan",
    "FetchReport": "fetch.progress",
    "EvidenceGrade": "fetch.progress",
    "Settings": "settings",
    "NersembleError": "errors",
}

__all__ = [
    "EvidenceGrade",
    "FetchPlan",
    "FetchReport",
    "Fetcher",
    "NersembleError",
    "PlannedFile",
    "Selection",
    "Settings",
]

if TYPE_CHECKING:
    from nersemble_async.errors import NersembleError
    from nersemble_async.fetch.fetcher import Fetcher
    from nersemble_async.fetch.plan import FetchPlan, PlannedFile, Selection
    from nersemble_async.fetch.progress import EvidenceGrade, FetchReport
    from nersemble_async.settings import Settings


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
