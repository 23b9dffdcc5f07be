"""Everything that an mp4 says of itself, for whoever has to judge it; nothing is decoded.

`probe_video` answers whether a video can be used and stops at the first flaw. This reads on: a
damaged video still has a size, a codec and a rate. Source of the track header and its matrix:
ISO/IEC 14496-12 §8.3.2, §6.2.2.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import av.error

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.mp4_boxes import (
    Box,
    boxes_within,
    check_boxes,
    check_promised_samples,
    iterate_boxes,
)
from nersemble_async.formats.video.probe import VideoInfo, open_video, video_info, video_packets

_FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG."""
_PLAIN_MATRIX = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""Of a track that is shown as it is: 16.16 fixed point, the last column 2.30."""
_MATRIX = struct.Struct(">9i")
_MATRIX_OFFSETS = {0: 40, 1: 52}
"""By version of the track header: where its matrix begins."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What an mp4 and its packets say."""

    info: VideoInfo
    """`n_frames` counts the packets that are shown, up to the damage where there is one."""
    time_base: Fraction
    """Seconds in a unit of `times`."""
    times: tuple[int, ...]
    """Presentation times of the frames that are shown, ascending."""
    n_hidden: int
    """Frames that an edit list hides."""
    damage: str | None
    """Why packets could not be read to the end; None: they could."""
    other_streams: tuple[str, ...]
    """Kinds of the streams beside the first video stream, such as ``audio``."""
    is_fragmented: bool
    is_full_range: bool
    """Whether levels are from 0 to 255 instead of 16 to 235."""
    sample_aspect: Fraction
    """Width of a pixel by its height."""
    is_turned: bool
    """Whether players are to turn, mirror or scale the pictures."""


def read_video_facts(path: Path) -> VideoFacts:
    """Open an mp4 and read all its packets.

    Raises:
        DecodeError: not an mp4, truncated, without a video stream, of an unknown codec, or with
            more than a million frames.
        OSError: the file cannot be read.
    """
    check_boxes(path)
    is_fragmented, is_turned = _look_at_boxes(path)
    with open_video(path) as (container, stream):
        times: list[int] = []
        n_hidden, damage = 0, None
        try:
            for packet in video_packets(path, container, stream):
                if packet.is_shown:
                    times.append(packet.pts)
                else:
                    n_hidden += 1
        except DecodeError as error:
            damage = error.reason
        return VideoFacts(
            info=video_info(stream, len(times), "packets"),
            time_base=stream.time_base or Fraction(1),
            times=tuple(sorted(times)),
            n_hidden=n_hidden,
            damage=damage,
            other_streams=tuple(
                other.type for other in container.streams if other.index != stream.index
            ),
            is_fragmented=is_fragmented,
            is_full_range=int(stream.codec_context.color_range) == _FULL_RANGE,
            sample_aspect=stream.sample_aspect_ratio or Fraction(1),
            is_turned=is_turned,
        )


def read_damaged_header(path: Path) -> VideoInfo | None:
    """What readers that believe the header see in an mp4 that is cut off after its index.

    Returns:
        None where they would see nothing either. `n_frames` is the header's.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        top = _whole_boxes(file)
        try:
            if all(box.kind != b"moov" for box in top):
                return None
            check_promised_samples(file, top)
        except ValueError:
            return None
    try:
        with contextlib.closing(av.open(f"file:{path}", format="mp4")) as container:
            stream = container.streams.video[0]
            return video_info(stream, stream.frames, "header")
    except FileNotFoundError:
        raise
    except (av.error.FFmpegError, ValueError, IndexError, AttributeError):
        return None


def _whole_boxes(file: BinaryIO) -> list[Box]:
    """The boxes up to the one that the file ends in."""
    boxes: list[Box] = []
    with contextlib.suppress(ValueError):
        for box in iterate_boxes(file, 0, file.seek(0, 2)):
            boxes.append(box)  # noqa: PERF402 -- those before the error count
    return boxes


def _look_at_boxes(path: Path) -> tuple[bool, bool]:
    """Whether there are fragments, and whether a track is turned."""
    with path.open("rb") as file:
        try:
            top = list(iterate_boxes(file, 0, file.seek(0, 2)))
            inner = list(boxes_within(file, [box for box in top if box.kind == b"moov"]))
            is_turned = any(_is_turned(file, box) for box in inner if box.kind == b"tkhd")
        except ValueError as error:
            raise DecodeError(str(path), f"mp4: {error}") from None
    kinds = {box.kind for box in (*top, *inner)}
    return not kinds.isdisjoint((b"moof", b"mvex")), is_turned


def _is_turned(file: BinaryIO, header: Box) -> bool:
    file.seek(header.start)
    data = file.read(min(header.end - header.start, 96))
    offset = _MATRIX_OFFSETS.get(data[0], _MATRIX_OFFSETS[0]) if data else 0
    whole = len(data) >= offset + _MATRIX.size
    return whole and _MATRIX.unpack_from(data, offset) != _PLAIN_MATRIX
