"""Where every frame of an mp4 lies in its file, and what a decoder needs to begin there.

Built once by reading all packets, kept as a small file: a video is then opened and a frame found
without a demuxer. Source of the NAL unit header: ITU-T H.264 §7.3.1, §7.4.1 (nal_ref_idc).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import zipfile
import zlib
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.probe import (
    VideoInfo,
    VideoPacket,
    open_video,
    video_info,
    video_packets,
)

_VERSION = 1
_COLUMNS = {
    "offsets": np.int64,
    "sizes": np.int64,
    "pts": np.int64,
    "is_shown": np.bool_,
    "is_keyframe": np.bool_,
    "is_disposable": np.bool_,
}
_LENGTH_BYTES = 4
_PLAIN_SLICE, _IDR_SLICE = 1, 5
"""Types of NAL units with a picture: a usual one, and one that decoding begins at."""
_CODECS = ("h264", "hevc", "vp9", "av1")
"""Codecs whose decoders begin at any keyframe with the same bits. MPEG-4 Part 2 does not: seen."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VideoIndex:
    """P packets in decoding order, N frames in order of presentation.

    Raises:
        ValueError: on construction; the columns do not make a video.
    """

    info: VideoInfo
    extradata: bytes
    """The decoder's configuration (avcC)."""
    color_tags: tuple[int, int, int, int]
    """FFmpeg's numbers of range, space, primaries and transfer, which steer the conversion."""
    source_bytes: int
    """Length of the file that was indexed."""
    source_mtime_ns: int
    """Modification time of that file."""
    offsets: npt.NDArray[np.int64]
    """(P,) first byte of each packet in the file."""
    sizes: npt.NDArray[np.int64]
    """(P,) bytes."""
    pts: npt.NDArray[np.int64]
    """(P,) presentation time in the stream's time base; tells the order of frames."""
    is_shown: npt.NDArray[np.bool_]
    """(P,) False where an edit list hides the frame."""
    is_keyframe: npt.NDArray[np.bool_]
    """(P,) whether decoding can begin here."""
    is_disposable: npt.NDArray[np.bool_]
    """(P,) whether no other frame refers to this one."""
    frame_packets: npt.NDArray[np.int64] = field(init=False)
    """(N,) the packet of each frame."""
    packet_frames: npt.NDArray[np.int64] = field(init=False)
    """(P,) the frame of each packet; -1 where it is hidden."""
    start_packets: npt.NDArray[np.int64] = field(init=False)
    """(N,) the last keyframe's packet from which the frame can be decoded."""

    def __post_init__(self) -> None:
        columns = [getattr(self, name) for name in _COLUMNS]
        if any(column.shape != self.pts.shape or column.ndim != 1 for column in columns):
            raise ValueError("columns of different lengths")
        if not self.is_keyframe[:1].any():
            raise ValueError("the first frame is no keyframe")
        shown = np.flatnonzero(self.is_shown)
        packets = shown[np.argsort(self.pts[shown], kind="stable")]
        if len(packets) == 0 or (np.diff(self.pts[packets]) == 0).any():
            raise ValueError("no frames, or two frames at one time")
        frames = np.full(len(self.pts), -1, np.int64)
        frames[packets] = np.arange(len(packets))
        object.__setattr__(self, "frame_packets", packets)
        object.__setattr__(self, "packet_frames", frames)
        object.__setattr__(self, "start_packets", self._find_starts(packets))

    def _find_starts(self, packets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        keyframes = np.flatnonzero(self.is_keyframe)
        nearest = np.searchsorted(keyframes, packets, side="right") - 1
        # A frame shown before the keyframe that it follows in the file (an open group of
        # pictures) refers to what lies before that keyframe.
        while True:
            early = (self.pts[keyframes[nearest]] > self.pts[packets]) & (nearest > 0)
            if not early.any():
                return keyframes[nearest]
            nearest = nearest - early

    def __repr__(self) -> str:
        return f"VideoIndex({self.info}, {len(self.keyframes)} keyframes)"

    @property
    def n_frames(self) -> int:
        """How many frames there are to be shown."""
        return len(self.frame_packets)

    @property
    def keyframes(self) -> npt.NDArray[np.int64]:
        """Frame indices that can be decoded without any other, ascending."""
        frames: npt.NDArray[np.int64] = np.sort(self.packet_frames[self.is_keyframe])
        return frames[frames >= 0]

    def fits(self, stat: os.stat_result) -> bool:
        """Whether a file still is the one that was indexed, as far as a stat can tell."""
        return (stat.st_size, stat.st_mtime_ns) == (self.source_bytes, self.source_mtime_ns)


def build_video_index(path: Path) -> VideoIndex:
    """Read every packet of an mp4; nothing is decoded.

    Raises:
        DecodeError: not an mp4, truncated, damaged, or without frames.
        OSError: the file cannot be read.
    """
    with open_video(path) as (container, stream):
        stat = path.stat()
        context = stream.codec_context
        if context.name not in _CODECS and context.codec.canonical_name not in _CODECS:
            raise DecodeError(
                str(path), f"a video of codec {context.name}; known are {', '.join(_CODECS)}"
            )
        packets = list(video_packets(path, container, stream))
        info = video_info(stream, sum(packet.is_shown for packet in packets), "packets")
        is_keyframe, is_disposable = _look_into(path, packets, info.codec)
        try:
            return VideoIndex(
                info=info,
                extradata=context.extradata or b"",
                color_tags=(
                    int(context.color_range),
                    int(context.colorspace),
                    int(context.color_primaries),
                    int(context.color_trc),
                ),
                source_bytes=stat.st_size,
                source_mtime_ns=stat.st_mtime_ns,
                offsets=np.array([p.offset for p in packets], np.int64),
                sizes=np.array([p.size_bytes for p in packets], np.int64),
                pts=np.array([p.pts for p in packets], np.int64),
                is_shown=np.array([p.is_shown for p in packets], np.bool_),
                is_keyframe=is_keyframe,
                is_disposable=is_disposable,
            )
        except ValueError as error:
            raise DecodeError(str(path), f"the video is damaged: {error}") from None


def open_video_index(path: Path, index_path: Path | None) -> VideoIndex:
    """The index from its file where that fits the video, else built and stored there.

    A folder that cannot be written to is no error: the index is then built each time. The file
    is replaced in one step, so that processes may share it.

    Args:
        path: the video.
        index_path: where the index lies or is to lie; None: nowhere.

    Raises:
        DecodeError, OSError: as in `build_video_index`.
    """
    if index_path is not None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, *_BROKEN):
            index = _load(index_path)
            if index.fits(path.stat()):
                return index
    index = build_video_index(path)
    if index_path is not None:
        with contextlib.suppress(OSError):
            _save(index, index_path)
    return index


_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def _look_into(
    path: Path, packets: list[VideoPacket], codec: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which packets decoding can begin at, and which no other refers to.

    Of H.264 the packets themselves say it. A container's keyframe may there be a mere recovery
    point (open groups of pictures), whose first commands speak of pictures before it: only IDR
    pictures begin cleanly. Of other codecs the container is believed and nothing is left out.
    """
    is_keyframe = np.array([packet.is_keyframe for packet in packets], np.bool_)
    is_disposable = np.zeros(len(packets), np.bool_)
    if codec == "h264":
        with path.open("rb", buffering=0) as file:
            for position, packet in enumerate(packets):
                data = os.pread(file.fileno(), packet.size_bytes, packet.offset)
                slices = _slice_headers(data)
                is_disposable[position] = bool(slices) and not any(h >> 5 & 3 for h in slices)
                is_keyframe[position] &= not slices or any(h & 31 == _IDR_SLICE for h in slices)
    return is_keyframe, is_disposable


def _slice_headers(data: bytes) -> list[int]:
    """The first byte of each unit of a packet that holds a part of the picture.

    Empty where the units do not fill the packet: they then have another length field.
    """
    position, headers = 0, []
    while position + _LENGTH_BYTES < len(data):
        header = data[position + _LENGTH_BYTES]
        if header & 31 in (_PLAIN_SLICE, _IDR_SLICE):
            headers.append(header)
        position += _LENGTH_BYTES + int.from_bytes(data[position : position + _LENGTH_BYTES], "big")
    return headers if position == len(data) else []


def _save(index: VideoIndex, index_path: Path) -> None:
    header = {
        "version": _VERSION,
        "info": asdict(replace(index.info, rate=None)),
        "rate": None if index.info.rate is None else str(index.info.rate),
        "color_tags": index.color_tags,
        "source": (index.source_bytes, index.source_mtime_ns),
    }
    index_path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's, which only their owner may read: whoever shares a root shares its indices.
    fresh = index_path.with_name(f"{index_path.name}.{secrets.token_hex(8)}.new")
    with fresh.open("xb") as file:
        try:
            np.savez(
                file,
                header=np.frombuffer(json.dumps(header).encode(), np.uint8),
                extradata=np.frombuffer(index.extradata, np.uint8),
                **{name: getattr(index, name) for name in _COLUMNS},
            )
            file.close()
            fresh.replace(index_path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise


def _load(index_path: Path) -> VideoIndex:
    # NumPy leaves a file that it cannot read open, were it to open it itself.
    with index_path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        header: dict[str, Any] = json.loads(archive["header"].tobytes())
        if header["version"] != _VERSION:
            raise ValueError("of another version")
        rate = header["rate"]
        fields = {**header["info"], "rate": None if rate is None else Fraction(rate)}
        range_, space, primaries, transfer = map(int, header["color_tags"])
        source_bytes, source_mtime_ns = map(int, header["source"])
        return VideoIndex(
            info=VideoInfo(**fields),
            extradata=archive["extradata"].tobytes(),
            color_tags=(range_, space, primaries, transfer),
            source_bytes=source_bytes,
            source_mtime_ns=source_mtime_ns,
            **{name: archive[name].astype(dtype) for name, dtype in _COLUMNS.items()},
        )
