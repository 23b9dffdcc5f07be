"""Writing mp4 videos frame by frame: H.264, yuv420p; PyAV inside."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import av
import av.container
import av.error
import numpy as np

from nersemble_async.formats.video.probe import what_av_says
from nersemble_async.formats.video.rgb_conversion import RgbImage, RgbToYuv420

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DEFAULT_GOP", "EncodableFrame", "RgbImage", "VideoEncoder", "encoder_memory_bytes"]

EncodableFrame = av.VideoFrame
"""What `VideoEncoder.convert` makes of an image."""

DEFAULT_GOP = 250
"""Frames from one keyframe to the next at most; x264's own default, and the dataset's."""

_BORDER = 96
_BYTES_A_PIXEL, _BYTES_A_PIXEL_AND_THREAD = 190, 12
_BYTES_BESIDE = 16 << 20


class VideoEncoder:
    """Writes an H.264 yuv420p mp4 frame by frame; one thread at a time may use it.

    Ends with `finish` or `abort`, or as a context manager: left with an exception, the
    unfinished file is deleted. One that is merely forgotten may leave a file that looks whole.
    It must not cross a fork.

    Quality is the official writer's or better at the same size, see `RgbToYuv420`; so are the
    colour tags: there are none.

    Args:
        path: the file; replaced where it exists.
        size: width, height in pixels, both even.
        rate: frames per second; a float is not exact enough for mp4, hence a Fraction.
        crf: x264's constant rate factor; lower is better and larger, 0 is lossless.
        preset: x264's trade of time for size.
        gop: frames from one keyframe to the next at most.
        threads: of x264, which works on as many frames at once. Several videos with one thread
            each are faster than one video with several threads.
        reproducible: the same frames give the same bytes in every run with as many threads, at
            a few percent of size. Else they may differ: the SIMD code of x264's macroblock tree
            reads memory that nothing wrote (seen with x264 in PyAV 18).
        compensate_reader_bias: raise each level by one before it is encoded (255 stays), because
            the official reader (imageio, swscale's default conversion to RGB) gives back levels
            that are lower by about that. Through it 0.3 dB are gained on noisy heads, 0.9 dB on
            clean ones, at the same size. Assumes that who scores the video decodes it in the
            same way, which is not known of the benchmark's server.

    Raises:
        ValueError: the size is odd.
        OSError: the file cannot be created.
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
        compensate_reader_bias: bool = False,
    ) -> None:
        width, height = size
        if width <= 0 or height <= 0 or width % 2 or height % 2:
            raise ValueError(f"yuv420p needs an even width and height, not {width} x {height}")
        self.path = path
        self.n_frames = 0
        """Frames written so far."""
        self._shape = (height, width, 3)
        self._converter = RgbToYuv420(size, add_one=compensate_reader_bias)
        self._file = _WholeWrites(path, "wb")
        container = av.open(self._file, "w", format="mp4")
        options = {"crf": str(crf), "preset": preset}
        if reproducible:
            options["x264-params"] = "mbtree=0"
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = gop
        stream.codec_context.thread_count = threads
        # PyAV's own default cuts each frame into slices: larger, and not what ffmpeg does.
        stream.codec_context.thread_type = "FRAME"
        self._open: tuple[av.container.OutputContainer, av.VideoStream] | None = container, stream
        self._outcome = "open"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None and self._open is not None:
            self.finish()
        else:
            self.abort()

    def write(self, image: RgbImage) -> None:
        """Append a frame, (H, W, 3) uint8 RGB in any memory order; the array is not kept.

        Raises:
            ValueError: another shape or dtype than the video's, which leaves the video as it
                was; or the video has ended.
            OSError: it cannot be written, with the system's errno: ENOSPC where the disk is
                full. The file is deleted.
        """
        self.encode(self.convert(image))

    def convert(self, image: RgbImage) -> EncodableFrame:
        """The first half of `write`, for one thread at a time; another one may encode.

        Raises:
            ValueError: another shape or dtype than the video's.
        """
        if image.shape != self._shape or image.dtype != np.uint8:
            raise ValueError(
                f"a frame here is uint8 {self._shape}, not {image.dtype} {image.shape}"
            )
        return self._converter.convert(image)

    def encode(self, frame: EncodableFrame) -> None:
        """The second half of `write`: append what `convert` made; errors as there."""
        with self._writing() as (container, stream):
            container.mux(stream.encode(frame))
            self.n_frames += 1

    def finish(self) -> None:
        """Encode what x264 still holds and close the file; its memory is free again. Once.

        Raises:
            ValueError: the video has ended already, or has no frames; the latter is deleted.
            OSError: as in `write`.
        """
        with self._writing() as (container, stream):
            if not self.n_frames:
                raise ValueError(f"{self.path.name}: a video needs at least one frame")
            container.mux(stream.encode(None))
            container.close()
            self._file.close()
        self._open, self._outcome = None, "finished"

    def abort(self) -> None:
        """Close and delete the file; of a video that has ended, nothing happens."""
        if self._open is None:
            return
        container, _ = self._open
        self._open, self._outcome = None, "aborted"
        try:
            with suppress(av.error.FFmpegError, OSError):
                container.close()
        finally:
            with suppress(OSError):  # NFS may tell of a full disk only now, and again
                self._file.close()
            self.path.unlink(missing_ok=True)

    def reset_in_child(self) -> None:
        """In a forked child: its copy of the file is closed, so that it writes no end into it."""
        self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[tuple[av.container.OutputContainer, av.VideoStream]]:
        """What is open; an error ends the video, and libav's become plain ones of the system."""
        if self._open is None:
            raise ValueError(f"{self.path.name} takes no more: it is {self._outcome}")
        try:
            yield self._open
        except av.error.FFmpegError as error:
            self.abort()
            raise _plain(error, self.path) from None
        except OSError as error:
            self.abort()
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        except BaseException:
            self.abort()
            raise


class _WholeWrites(io.FileIO):
    """A file for libav, which takes a short write for a whole one.

    A file that libav opens itself it leaves open where not even the header fits on the disk.
    """

    def write(self, data: Buffer, /) -> int:
        """Write all of it, or raise."""
        rest = memoryview(data)
        n_bytes = len(rest)
        while rest:
            rest = rest[super().write(rest) :]
        return n_bytes


def _plain(error: av.error.FFmpegError, path: Path) -> OSError:
    if error.errno is not None and error.errno in errno.errorcode:
        return OSError(error.errno, os.strerror(error.errno), str(path))
    return OSError(errno.EIO, what_av_says(error), str(path))


def encoder_memory_bytes(size: tuple[int, int], threads: int = 1) -> int:
    """Most that an open encoder holds, estimated from above; whatever the video's length.

    With preset ``medium`` x264 looks 40 frames ahead, and each of those and of the reference
    frames lies there with its half-pixel and small versions and a border. Resident memory
    measured with 1, 2 and 4 threads: 346, 388, 418 MB at 1100 x 1604; 78, 87, 93 MB at
    512 x 512. This says 403, 427, 476 and 87, 91, 100. Half of it is reached after 25 frames,
    all after about 60.

    Args:
        size: width, height in pixels.
        threads: of the encoder.
    """
    width, height = size
    pixels = (width + _BORDER) * (height + _BORDER)
    a_pixel = _BYTES_A_PIXEL + _BYTES_A_PIXEL_AND_THREAD * (threads - 1)
    return _BYTES_BESIDE + pixels * a_pixel
