"""Which frames are shuffled, and which of them a decoder can only reach one after another. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.index import VideoIndex

IntArray = npt.NDArray[np.int64]

Step = tuple[int, int]
"""timestep (the dataset's time), frame_index (position in the mp4)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShuffleLayout:
    """The n frames of an epoch in the order of their videos: what a plan's numbers refer to.

    A segment is what is wanted of one group of pictures: it is decoded from its keyframe on.
    """

    serials: tuple[str, ...]
    """Cameras, in the order that was given."""
    video: IntArray
    """(n,) position in `serials`."""
    timestep: IntArray
    """(n,)"""
    frame_index: IntArray
    """(n,) ascending within a video."""
    segment: IntArray
    """(n,) from 0, ascending by 0 or 1."""
    digest: str = field(init=False)
    """Sixteen hex digits that change with any frame, camera, or place of a keyframe."""

    def __post_init__(self) -> None:
        sha = hashlib.sha256("\0".join(self.serials).encode())
        for column in (self.video, self.timestep, self.frame_index, self.segment):
            sha.update(column.astype("<i8").tobytes())
        object.__setattr__(self, "digest", sha.hexdigest()[:16])

    def __repr__(self) -> str:
        return (
            f"ShuffleLayout({len(self)} frames, {self.n_segments} segments, "
            f"{len(self.serials)} videos)"
        )

    def __len__(self) -> int:
        return len(self.video)

    @property
    def n_segments(self) -> int:
        """How many groups of pictures there are to be decoded."""
        return int(self.segment[-1]) + 1 if len(self) else 0


def make_layout(
    indexes: Mapping[str, VideoIndex], steps_by_serial: Mapping[str, Iterable[Step]]
) -> ShuffleLayout:
    """The layout of these frames of these videos.

    Args:
        indexes: by serial.
        steps_by_serial: the wanted frames of each of these serials, in any order.

    Raises:
        SelectionError: nothing is wanted; a frame that does not exist, or one twice.
    """
    columns: list[list[IntArray]] = [[], [], [], []]
    n_segments = 0
    for number, (serial, index) in enumerate(indexes.items()):
        steps = np.array(list(steps_by_serial[serial]), np.int64).reshape(-1, 2)
        timesteps, frame_indices = steps[np.argsort(steps[:, 1], kind="stable")].T
        _check(serial, index.n_frames, frame_indices)
        starts = index.start_packets[frame_indices]
        segments = n_segments + np.cumsum(np.diff(starts, prepend=starts[:1]) != 0)
        n_segments = int(segments[-1]) + 1 if len(segments) else n_segments
        videos = np.full(len(timesteps), number, np.int64)
        for column, part in zip(columns, (videos, timesteps, frame_indices, segments), strict=True):
            column.append(part)
    if n_segments == 0:
        raise SelectionError("no frames are wanted: name at least one serial and one timestep")
    return ShuffleLayout(tuple(indexes), *(np.concatenate(column) for column in columns))


def _check(serial: str, n_frames: int, frame_indices: IntArray) -> None:
    if len(frame_indices) == 0:
        return
    for wrong in (int(frame_indices[0]), int(frame_indices[-1])):
        if not 0 <= wrong < n_frames:
            raise SelectionError(
                f"{serial}: there is no frame {wrong}; the video has {n_frames} frames, "
                f"0 to {n_frames - 1}"
            )
    twice = frame_indices[1:][np.diff(frame_indices) == 0]
    if len(twice):
        raise SelectionError(
            f"{serial}: frame {twice[0]} is wanted twice; an epoch gives each once"
        )
