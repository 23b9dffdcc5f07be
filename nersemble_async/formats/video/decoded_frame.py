"""One decoded frame, still in the video's own pixel format, and its way into an array."""

from __future__ import annotations

import threading
from typing import Any

import av
import av.video.reformatter
import numpy as np
import numpy.typing as npt

from nersemble_async.formats.freed_blocks import reuse_freed_blocks
from nersemble_async.formats.video.frame_format import FrameFormat

FrameArray = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""As its `FrameFormat` says: (H, W, C) or (C, H, W), uint8 or float32."""

reuse_freed_blocks()

_PLAIN = FrameFormat()
_LEVELS = np.float32(255)


class _ReformatterOfThread(threading.local):
    """swscale's context: costly to make, not to be shared by threads."""

    def __init__(self) -> None:
        self.reformatter = av.video.reformatter.VideoReformatter()


_OF_THREAD = _ReformatterOfThread()


class DecodedFrame:
    """A frame as the decoder gives it (yuv420p here): half the bytes of RGB.

    It outlives its reader. One thread at a time may use it.
    """

    __slots__ = ("_frame", "frame_index")

    def __init__(self, frame: av.VideoFrame, frame_index: int) -> None:
        self._frame = frame
        self.frame_index = frame_index
        """Position in the video, from 0."""

    def __repr__(self) -> str:
        return (
            f"DecodedFrame(frame_index={self.frame_index}, {self._frame.format.name}, "
            f"{self.width} x {self.height})"
        )

    @property
    def width(self) -> int:
        """Pixels."""
        return self._frame.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self._frame.height

    @property
    def nbytes(self) -> int:
        """What it holds of memory, padding included."""
        return sum(plane.buffer_size for plane in self._frame.planes)

    @property
    def video_frame(self) -> av.VideoFrame:
        """PyAV's frame, for other codecs in `formats`."""
        return self._frame

    def to_rgb(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, as PyAV and OpenCV convert it."""
        return np.ascontiguousarray(_array_of(self._frame, "rgb24"))

    def to_array(self, frame_format: FrameFormat = _PLAIN) -> FrameArray:
        """A new array of the frame; by default (H, W, 3) uint8 RGB, as PyAV and OpenCV convert it.

        Raises:
            ValueError: the format's crop leaves the frame.
        """
        pixel_format = "gray" if frame_format.channels == "gray" else "rgb24"
        size = frame_format.size(self.width, self.height)
        frame = self._frame
        if frame_format.crop is not None:
            array = _crop(_array_of(frame, pixel_format), frame_format.crop)
            if size != (array.shape[1], array.shape[0]):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), pixel_format)
                array = _array_of(frame, pixel_format, size)
        else:
            array = _array_of(frame, pixel_format, size)
        if array.ndim == 2:  # noqa: PLR2004 -- gray comes without a channel axis
            array = array[:, :, None]
        return _arranged(array[:, :, : frame_format.n_channels], frame_format)


def _array_of(
    frame: av.VideoFrame, pixel_format: str, size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) or (H, W), rows maybe padded; swscale's default flags give OpenCV's bits."""
    changes: dict[str, Any] = {}
    if size is not None and size != (frame.width, frame.height):
        changes = {"width": size[0], "height": size[1], "interpolation": "BILINEAR"}
    # One thread: swscale would start others that a forked child then waits for in vain.
    converted = _OF_THREAD.reformatter.reformat(frame, format=pixel_format, threads=1, **changes)
    array = converted.to_ndarray().astype(np.uint8, copy=False)
    # Of a gray video the frame itself comes back, and its array is a view of what it holds.
    return array.copy() if converted is frame else array


def _crop(array: npt.NDArray[np.uint8], crop: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    left, top, width, height = crop
    return array[top : top + height, left : left + width]


def _arranged(array: npt.NDArray[np.uint8], frame_format: FrameFormat) -> FrameArray:
    if frame_format.layout == "CHW":
        array = array.transpose(2, 0, 1)
    if frame_format.dtype == "float32":
        return np.divide(array, _LEVELS, dtype=np.float32, order="C")
    return np.ascontiguousarray(array)
