"""Frames of whatever video FFmpeg reads, in order, as RGB: what renderers write. PyAV inside.

`VideoReader` is for the benchmark's mp4 videos and knows every packet of them; this is for going
through a video once, whatever its container and codec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.probe import what_av_says

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")
"""Of the names of files that are read, in lower case."""

_DEMUXERS = {".mkv": "matroska", ".webm": "matroska", ".avi": "avi"}
"""The others are mp4 to FFmpeg."""
_LOSSLESS_CODECS = frozenset(
    {"apng", "bmp", "cllc", "ffv1", "ffvhuff", "flashsv", "huffyuv", "jpegls", "lagarith"}
    | {"magicyuv", "png", "qtrle", "r210", "rawvideo", "tiff", "utvideo", "v408", "vble", "zmbv"}
)
_X264_SETTINGS = re.compile(rb"x264 - core .{0,2000}? qp=0[ \0]", re.DOTALL)
"""How x264 notes in its stream that it was told ``-crf 0`` or ``-qp 0``."""
_X265_SETTINGS = re.compile(rb"x265 \(build .{0,4000}? lossless[ \0]", re.DOTALL)
_MORE_PACKETS_THAN_FRAMES = frozenset({"vp8", "mpeg4", "msmpeg4v2", "msmpeg4v3"})
"""Codecs with packets that show nothing."""
_MOST_PIXELS = 1 << 26


@dataclass(frozen=True, slots=True)
class AnyVideoInfo:
    """What is known of a video of which only the first frame was decoded."""

    width: int
    """Pixels, of the first frame."""
    height: int
    """Pixels."""
    n_frames: int | None
    """By packets; None where the codec's packets do not tell."""
    codec: str
    """FFmpeg's name, such as ``ffv1``."""
    pixel_format: str
    """FFmpeg's name, such as ``gbrp``, of the first frame."""
    is_lossless: bool
    """Whether the codec gives back what was put in; of H.264 and HEVC as the encoder noted."""
    has_alpha: bool
    is_grey: bool
    is_turned: bool
    """Whether players are to turn the frames."""


def probe_any_video(path: Path) -> AnyVideoInfo:
    """Count the packets of the first video stream and decode its first frame.

    Raises:
        DecodeError: not a video, without frames, or the first does not decode.
        OSError: the file cannot be read.
    """
    with _opened(path) as (container, stream), _own_errors(path):
        n_packets, beginning = 0, bytes(stream.codec_context.extradata or b"")
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                if not n_packets:
                    beginning += bytes(packet)
                n_packets += 1
    with _opened(path) as (container, stream), _own_errors(path):
        first = next(container.decode(stream), None)
        if first is None:
            raise DecodeError(str(path), "the video has no frames")
        codec = stream.codec_context.name
        return AnyVideoInfo(
            width=first.width,
            height=first.height,
            n_frames=None if codec in _MORE_PACKETS_THAN_FRAMES else n_packets,
            codec=codec,
            pixel_format=first.format.name,
            is_lossless=codec in _LOSSLESS_CODECS
            or any(settings.search(beginning) for settings in (_X264_SETTINGS, _X265_SETTINGS)),
            has_alpha=any(part.is_alpha for part in first.format.components)
            or first.format.has_palette,
            is_grey=len(first.format.components) < 3,  # noqa: PLR2004 -- red, green, blue
            is_turned=first.rotation != 0,
        )


def any_video_frames(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """Each frame of the first video stream as (H, W, 3) uint8 RGB; one at a time is in memory.

    Colours are converted as the video's tags say: matrix and range; without tags, BT.601 limited.
    The file is closed when the iterator ends or is closed.

    Raises:
        DecodeError: while iterating; not a video, or a frame does not decode.
        OSError: the file cannot be read.
    """
    with _opened(path) as (container, stream), _own_errors(path):
        for index, frame in enumerate(container.decode(stream)):
            if frame.is_corrupt:
                raise DecodeError(str(path), "it is damaged", index)
            yield DecodedFrame(frame, index).to_rgb()


@contextmanager
def _opened(
    path: Path,
) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    demuxer = _DEMUXERS.get(path.suffix.lower(), "mp4")
    path.open("rb").close()  # the system's own error where it cannot be read
    try:
        # The format is named and the protocol too: a playlist in disguise opens nothing.
        container = av.open(f"file:{path}", format=demuxer)
    except (av.error.FFmpegError, ValueError) as error:
        reason = f"not a readable video ({demuxer}): {what_av_says(error)}"
        raise DecodeError(str(path), reason) from None
    with closing(container):
        if not container.streams.video or container.streams.video[0].codec_context is None:
            raise DecodeError(str(path), "it has no video stream of a known codec")
        stream = container.streams.video[0]
        if stream.codec_context.width * stream.codec_context.height > _MOST_PIXELS:
            raise DecodeError(str(path), "its frames are of more than 64 megapixels")
        stream.codec_context.thread_count = 1  # several videos are decoded at once
        yield container, stream


@contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(str(path), f"it does not decode: {what_av_says(error)}") from None
