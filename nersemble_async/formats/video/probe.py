"""What an mp4 says of itself, and its packets; nothing is decoded. PyAV's demuxer inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.error

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.mp4_boxes import check_boxes


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
    codec: str
    """FFmpeg's name, such as ``h264``."""
    pixel_format: str
    """FFmpeg's name, such as ``yuv420p``."""


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """One packet of a video: the bytes of one frame."""

    offset: int
    """First byte in the file."""
    size_bytes: int
    pts: int
    """Presentation time in the stream's time base."""
    is_shown: bool
    """False where an edit list hides the frame."""
    is_keyframe: bool


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
    with open_video(path) as (container, stream):
        header_n_frames = stream.frames
        counted = count_packets or header_n_frames <= 0
        packets = video_packets(path, container, stream)
        n_frames = sum(p.is_shown for p in packets) if counted else header_n_frames
        if n_frames == 0:
            raise DecodeError(str(path), "the video has no frames")
        return video_info(stream, n_frames, "packets" if counted else "header")


def video_info(
    stream: av.video.stream.VideoStream, n_frames: int, source: Literal["header", "packets"]
) -> VideoInfo:
    """What an open video says of itself, and how many frames it was found to have."""
    context = stream.codec_context
    return VideoInfo(
        width=context.width,
        height=context.height,
        n_frames=n_frames,
        n_frames_source=source,
        header_n_frames=stream.frames,
        rate=stream.average_rate or stream.base_rate,
        codec=context.name,
        pixel_format=context.pix_fmt or "unknown",
    )


@contextmanager
def open_video(
    path: Path,
) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """PyAV's container and its one video stream, after a look at the boxes; closed at the end.

    Raises:
        DecodeError: not an mp4, truncated, without a video stream, or of an unknown codec.
        OSError: the file cannot be read.
    """
    check_boxes(path)
    try:
        # The format is named and the protocol too: no other demuxer is tried on hostile bytes,
        # and a file name with a colon is no URL.
        container = av.open(f"file:{path}", format="mp4")
    except av.error.FileNotFoundError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(str(path), f"not a readable mp4: {what_av_says(error)}") from None
    with closing(container):
        if not container.streams.video:
            raise DecodeError(str(path), "the mp4 has no video stream")
        if container.streams.video[0].codec_context is None:
            raise DecodeError(str(path), "the video's codec is unknown")
        yield container, container.streams.video[0]


def video_packets(
    path: Path, container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[VideoPacket]:
    """Each packet that holds a frame, in decoding order.

    Raises:
        DecodeError: while iterating; damaged or truncated.
    """
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise DecodeError(str(path), "the video is damaged or truncated")
            if packet.size == 0:  # the last one, which flushes decoders
                continue
            if packet.pts is None or packet.pos is None:
                raise DecodeError(str(path), "the video is damaged: a frame without time or place")
            yield VideoPacket(
                offset=packet.pos,
                size_bytes=packet.size,
                pts=packet.pts,
                is_shown=not packet.is_discard,
                is_keyframe=packet.is_keyframe,
            )
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(str(path), f"the video is damaged: {what_av_says(error)}") from None


def what_av_says(error: Exception) -> str:
    """An error's words without the path that FFmpeg adds."""
    return getattr(error, "strerror", None) or str(error)
