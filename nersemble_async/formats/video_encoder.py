"""Writing mp4 videos frame by frame: H.264, yuv420p; PyAV inside."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

DEFAULT_GOP = 250
"""Frames from one keyframe to the next at most; x264's own default, and the dataset's."""


class VideoEncoder:
    """Writes an H.264 yuv420p mp4 frame by frame; a context manager that closes the file.

    Left with an exception, the unfinished file is deleted.

    Args:
        path: the file; replaced where it exists.
        size: width, height in pixels, both even.
        rate: frames per second; a float is not exact enough for mp4, hence a Fraction.
        crf: x264's constant rate factor; lower is better and larger, 0 is lossless.
        preset: x264's trade of time for size.
        gop: frames from one keyframe to the next at most.
        threads: of x264.
        reproducible: the same frames give the same bytes in every run with as many threads, at
            a few percent of size. Else they may differ: the SIMD code of x264's macroblock tree
            reads memory that nothing wrote (seen with x264 in PyAV 18).
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: Fraction,
        *,
        crf: int = 14,
        preset: str = "medium",
        gop: int = DEFAULT_GOP,
        threads: int = 1,
        reproducible: bool = False,
    ) -> None:
        width, height = size
        if width <= 0 or height <= 0 or width % 2 or height % 2:
            raise ValueError(f"yuv420p needs an even width and height, not {width} x {height}")
        self._path = path
        self._shape = (height, width, 3)
        self._container = av.open(f"file:{path}", "w", format="mp4")
        options = {"crf": str(crf), "preset": preset}
        if reproducible:
            options["x264-params"] = "mbtree=0"
        stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = gop
        stream.codec_context.thread_count = threads
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finished = False
        try:
            if exc_type is None:
                self._container.mux(self._stream.encode(None))
                finished = True
        finally:
            self._container.close()
            if not finished:
                self._path.unlink(missing_ok=True)

    def write(self, image: RgbImage) -> None:
        """Append a frame, (H, W, 3) uint8 RGB.

        Raises:
            ValueError: another shape or dtype than the video's.
        """
        if image.shape != self._shape or image.dtype != np.uint8:
            raise ValueError(
                f"a frame here is uint8 {self._shape}, not {image.dtype} {image.shape}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        self._container.mux(self._stream.encode(frame))
