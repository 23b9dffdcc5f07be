"""nersemble_async: fetch, load and submit for the NeRSemble 3D head avatar benchmark.

A map of the package, in the order in which a byte passes through it:

- `benchmark`: what exists (pure data); `constants`: the same under the official names
- `fetch`: how bytes arrive; `cache`: where they rest
- `formats`: bytes ↔ arrays
- `loaders`: arrays as streams, shuffled or in lock-step; PyTorch datasets
- `submission`: what leaves, and what is wrong with it
- `data_managers`: what users hold, one for each benchmark; `sync`: the same without an event loop
- `preview`: pictures of data
- `synthetic`: a small, geometrically consistent stand-in for the licensed data
- `cli`: the command line, ``nersemble-async`` and ``python -m nersemble_async``
- `settings`, `log`, `workers`, `errors`, `version`: what all of them stand on

The names below are loaded on first use, so that ``import nersemble_async`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nersemble_async.version import __version__ as __version__

_HOMES = {
    "CameraCalibration": "formats.cameras",
    "EvidenceGrade": "fetch.progress",
    "FetchPlan": "fetch.plan",
    "FetchReport": "fetch.progress",
    "Fetcher": "fetch.fetcher",
    "FlameProvider": "formats.flame.provider",
    "FlameTracking": "formats.flame.tracking",
    "Frame": "loaders.frame",
    "FrameCache": "loaders.frame_cache",
    "FrameFormat": "formats.video.frame_format",
    "ImageKey": "benchmark.keys",
    "MonoFlameAvatarDataManager": "data_managers.video_managers",
    "MonoFlameAvatarSubmissionDataReader": "submission.reading.readers",
    "MonoFlameAvatarSubmissionDataWriter": "submission.writing.writers",
    "MultiViewFrame": "loaders.multi_view_frame",
    "NVSDataManager": "data_managers.video_managers",
    "NVSSubmissionDataReader": "submission.reading.readers",
    "NVSSubmissionDataWriter": "submission.writing.writers",
    "NersembleError": "errors",
    "PlannedFile": "fetch.plan",
    "Pointcloud": "formats.pointcloud.pcd_file",
    "SVFRDataManager": "data_managers.svfr_manager",
    "SVFRSubmissionDataReader": "submission.reading.readers",
    "SVFRSubmissionDataWriter": "submission.writing.writers",
    "Selection": "fetch.plan",
    "Settings": "settings",
    "SubmissionIssue": "submission.issues",
    "SubmissionReport": "submission.issues",
    "make_frame_cache": "data_managers.prepared_frames",
    "validate_submission": "data_managers.submission_validation",
}

__all__ = [
    "CameraCalibration",
    "EvidenceGrade",
    "FetchPlan",
    "FetchReport",
    "Fetcher",
    "FlameProvider",
    "FlameTracking",
    "Frame",
    "FrameCache",
    "FrameFormat",
    "ImageKey",
    "MonoFlameAvatarDataManager",
    "MonoFlameAvatarSubmissionDataReader",
    "MonoFlameAvatarSubmissionDataWriter",
    "MultiViewFrame",
    "NVSDataManager",
    "NVSSubmissionDataReader",
    "NVSSubmissionDataWriter",
    "NersembleError",
    "PlannedFile",
    "Pointcloud",
    "SVFRDataManager",
    "SVFRSubmissionDataReader",
    "SVFRSubmissionDataWriter",
    "Selection",
    "Settings",
    "SubmissionIssue",
    "SubmissionReport",
    "make_frame_cache",
    "validate_submission",
]

if TYPE_CHECKING:
    from nersemble_async.benchmark.keys import ImageKey
    from nersemble_async.data_managers.prepared_frames import make_frame_cache
    from nersemble_async.data_managers.submission_validation import validate_submission
    from nersemble_async.data_managers.svfr_manager import SVFRDataManager
    from nersemble_async.data_managers.video_managers import (
        MonoFlameAvatarDataManager,
        NVSDataManager,
    )
    from nersemble_async.errors import NersembleError
    from nersemble_async.fetch.fetcher import Fetcher
    from nersemble_async.fetch.plan import FetchPlan, PlannedFile, Selection
    from nersemble_async.fetch.progress import EvidenceGrade, FetchReport
    from nersemble_async.formats.cameras import CameraCalibration
    from nersemble_async.formats.flame.provider import FlameProvider
    from nersemble_async.formats.flame.tracking import FlameTracking
    from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
    from nersemble_async.formats.video.frame_format import FrameFormat
    from nersemble_async.loaders.frame import Frame
    from nersemble_async.loaders.frame_cache import FrameCache
    from nersemble_async.loaders.multi_view_frame import MultiViewFrame
    from nersemble_async.settings import Settings
    from nersemble_async.submission.issues import SubmissionIssue, SubmissionReport
    from nersemble_async.submission.reading.readers import (
        MonoFlameAvatarSubmissionDataReader,
        NVSSubmissionDataReader,
        SVFRSubmissionDataReader,
    )
    from nersemble_async.submission.writing.writers import (
        MonoFlameAvatarSubmissionDataWriter,
        NVSSubmissionDataWriter,
        SVFRSubmissionDataWriter,
    )


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
