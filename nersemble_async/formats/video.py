"""mp4 videos: what one says of itself, its frames as arrays, and writing one; PyAV inside."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import av.error
import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mp4_boxes import check_boxes

RgbImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

DEFAULT_GOP = 250
"""Frames from one keyframe to the next at most; x264's own default, and the dataset's."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video without decoding it."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    n_frames: int
    n_frames_source: Literal["header", "packets"]
    """Whether `n_frames` was read in the header or the packets themselves were counted."""
    header_n_frames: int
    """What the header says; 0 where it says nothing (a fragmented mp4)."""
    rate: Fraction | None
    """Frames per second; None where the file does not say."""


def probe_video(path: Path, *, count_packets: bool = True) -> VideoInfo:
    """Open an mp4, check that its boxes are whole, and count its frames; nothing is decoded.

    Args:
        path: the file.
        count_packets: read every packet, so that a truncated or lying file is found out; else
            the header is believed where it holds a number.

    Raises:
        DecodeError: not an mp4, truncated, or without frames.
        OSError: the file cannot be read.
    """
    check_boxes(path)
    with _open_video(path) as (container, stream):
        header_n_frames = stream.frames
        counted = count_packets or header_n_frames <= 0
        n_frames = sum(1 for _ in _packets(path, container, stream)) if counted else header_n_frames
        if n_frames == 0:
            raise DecodeError(str(path), "the video has no frames")
        context = stream.codec_context
        return VideoInfo(
            width=context.width,
            height=context.height,
            n_frames=n_frames,
            n_frames_source="packets" if counted else "header",
            header_n_frames=header_n_frames,
            rate=stream.average_rate or stream.base_rate,
        )


def iterate_frames(path: Path) -> Generator[RgbImage, None, None]:
    """Every frame in order as (H, W, 3) uint8 RGB, one at a time.

    The file is closed when the generator ends or is closed (`contextlib.closing`).

    Raises:
        DecodeError: while iterating, with the index of the first frame that does not decode.
    """
    index = 0
    with _open_video(path) as (container, stream), _decoding(path, lambda: index):
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            yield _rgb_of(frame)
            index += 1


def decode_frame(path: Path, index: int) -> RgbImage:
    """The frame at position ``index`` as (H, W, 3) uint8 RGB.

    Decodes from the keyframe before it: cheap for one look, not for many.

    Raises:
        DecodeError: broken, or there is no such frame.
    """
    with _open_video(path) as (container, stream), _decoding(path, lambda: index):
        # The position of a frame is its place among the presentation times: exact for every
        # rate and with B-frames, where index / rate is a guess.
        times = sorted(pts for pts in _packets(path, container, stream) if pts is not None)
        if not 0 <= index < len(times):
            raise DecodeError(str(path), f"there are {len(times)} frames", frame=index)
        container.seek(times[index], stream=stream)
        for frame in container.decode(stream):
            if frame.pts == times[index]:
                return _rgb_of(frame)
    raise DecodeError(str(path), "the frame does not decode", frame=index)


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
        self._container = av.open(str(path), "w", format="mp4")
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


@contextmanager
def _open_video(
    path: Path,
) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    try:
        # The format is named and the protocol too: no other demuxer is tried on hostile bytes,
        # and a file name with a colon is no URL.
        container = av.open(f"file:{path}", format="mp4")
    except av.error.FileNotFoundError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(str(path), f"not a readable mp4: {_what(error)}") from None
    with closing(container):
        if not container.streams.video:
            raise DecodeError(str(path), "the mp4 has no video stream")
        if container.streams.video[0].codec_context is None:
            raise DecodeError(str(path), "the video's codec is unknown")
        yield container, container.streams.video[0]


def _packets(
    path: Path, container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[int | None]:
    """The presentation time of each packet that holds a frame, in decoding order."""
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise DecodeError(str(path), "the video is damaged or truncated")
            # The last, empty packet flushes decoders; an edit list discards what is not shown.
            if packet.size > 0 and not packet.is_discard:
                yield packet.pts
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(str(path), f"the video is damaged: {_what(error)}") from None


@contextmanager
def _decoding(path: Path, frame_index: Callable[[], int]) -> Iterator[None]:
    """Turn the decoder's errors into ours, with the frame at which they happened."""
    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(
            str(path), f"the frame does not decode: {_what(error)}", frame=frame_index()
        ) from None


def _rgb_of(frame: av.VideoFrame) -> RgbImage:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _what(error: Exception) -> str:
    """An error's words without the path that FFmpeg adds."""
    return getattr(error, "strerror", None) or str(error)
