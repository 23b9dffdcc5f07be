"""Frames of a video in one call, for tests that look at few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.formats.video_reader import VideoReader


def decode_frame(path: Path, frame_index: int) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB."""
    with VideoReader(path) as reader:
        return reader.decode(frame_index).to_rgb()


def decode_all(path: Path) -> list[npt.NDArray[np.uint8]]:
    """Every frame, (H, W, 3) uint8 RGB."""
    with VideoReader(path) as reader:
        return [frame.to_rgb() for frame in reader.decode_range()]
