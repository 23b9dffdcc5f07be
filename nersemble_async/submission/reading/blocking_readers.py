"""The official readers of submission zips, safe on any bytes; for code without an event loop.

Broken zips and entries raise `SubmissionError` (`EntryError` names entry and rule), broken videos,
meshes and landmarks `DecodeError`, what does not stand in the zip `SelectionError`.
"""

from __future__ import annotations

from nersemble_async.submission.reading.mesh_reader import SVFRSubmissionDataReader
from nersemble_async.submission.reading.video_readers import (
    MonoFlameAvatarSubmissionDataReader,
    NVSSubmissionDataReader,
)

__all__ = [
    "MonoFlameAvatarSubmissionDataReader",
    "NVSSubmissionDataReader",
    "SVFRSubmissionDataReader",
]
