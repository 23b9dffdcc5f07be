"""Decoded frames ↔ bytes, lossless: packed planes as they are, or compressed with MagicYUV.

What steers the conversion to RGB travels along in a tag of 24 bytes: pixel format, colour space
and range, and where chroma lies between the pixels. Frames therefore convert to the same bits as
the source's own, scaled ones too.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, Self

import av
import av.error
import av.video.plane
import av.video.reformatter
import numpy as np
import numpy.typing as npt

from nersemble_async.formats.video.decoded_frame import DecodedFrame

CODEC_VERSION = f"1 swscale {av.library_versions['libswscale'][0]}"
"""Frames that were encoded under another version are to be dropped."""

_TAG = struct.Struct("<BBHIIHHBB6x")
TAG_BYTES = _TAG.size

_PACKED, _MAGICYUV = 0, 1
_FORMATS = (
    *("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray"),
    *("yuv420p10le", "yuv422p10le", "yuv444p10le", "gray10le"),
)
"""Planar, a component a plane; their positions stand in tags: append only."""
_TEN_BITS = "10le"
_CHROMA_LOCATIONS = 7
_SIDES = 16, 32
_PROBED = 24, 24
_OF_THREAD_LIMIT = 8


@dataclass(frozen=True, slots=True)
class FrameTag:
    """How the bytes of a frame are to be read."""

    is_compressed: bool
    """MagicYUV, else packed planes."""
    pixel_format: str
    """FFmpeg's name."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    color_space: int
    """FFmpeg's number, like the following."""
    color_range: int
    color_primaries: int
    color_transfer: int
    chroma_location: int

    def pack(self) -> bytes:
        """`TAG_BYTES` bytes."""
        return _TAG.pack(
            _MAGICYUV if self.is_compressed else _PACKED,
            _FORMATS.index(self.pixel_format),
            self.color_space,
            self.width,
            self.height,
            self.color_primaries,
            self.color_transfer,
            self.color_range,
            self.chroma_location,
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """The inverse of `pack`.

        Raises:
            ValueError: not a tag.
        """
        try:
            kind, number, *size_and_colors, range_, location = _TAG.unpack(data)
            space, width, height, primaries, transfer = size_and_colors
            name = _FORMATS[number]
        except (struct.error, IndexError):
            raise ValueError("not the tag of a frame") from None
        if kind not in (_PACKED, _MAGICYUV):
            raise ValueError("not the tag of a frame")
        return cls(
            kind == _MAGICYUV, name, width, height, space, range_, primaries, transfer, location
        )


class EncodedFrame:
    """The bytes of one frame and their tag. Any threads may decode one at the same time."""

    __slots__ = ("_packet", "tag")

    def __init__(self, tag: bytes, packet: av.Packet[Any]) -> None:
        self.tag = tag
        """A packed `FrameTag`."""
        self._packet = packet

    @classmethod
    def allocate(cls, tag: bytes, size_bytes: int) -> Self:
        """A frame whose bytes are still to be written into `buffer`."""
        return cls(tag, av.Packet(size_bytes))

    @property
    def buffer(self) -> memoryview:
        """Its bytes, in place."""
        return memoryview(self._packet)

    @property
    def nbytes(self) -> int:
        """Length of `buffer`."""
        return self._packet.size

    def packed(self, frame: DecodedFrame) -> EncodedFrame | None:
        """The same as packed planes, which decode in microseconds.

        Args:
            frame: what this one decoded to.
        """
        tag = FrameTag.unpack(self.tag)
        if not tag.is_compressed:
            return self
        return encode_frame(frame, is_compressed=False, chroma_location=tag.chroma_location)

    def decode(self, frame_index: int) -> DecodedFrame:
        """A frame of its own; of packed planes it shares the memory, and costs microseconds.

        Raises:
            ValueError: the bytes are not what the tag says.
        """
        tag = FrameTag.unpack(self.tag)
        try:
            (frame,) = _OF_THREAD.decoder(tag).decode(self._packet)
        except (av.error.FFmpegError, ValueError) as error:
            _OF_THREAD.forget()
            raise ValueError(f"the stored frame does not decode: {error}") from None
        if (frame.width, frame.height) != (tag.width, tag.height):
            raise ValueError("the stored frame has another size than its tag says")
        # MagicYUV states a range of its own where the source stated none.
        frame.colorspace = tag.color_space
        frame.color_range = tag.color_range
        return DecodedFrame(frame, frame_index)


def encode_frame(
    frame: DecodedFrame, *, is_compressed: bool, chroma_location: int
) -> EncodedFrame | None:
    """A frame as bytes; None where this cannot be done exactly.

    That is the case for interlaced frames and pixel formats that no video of the benchmark has.
    Formats that MagicYUV lacks are packed.

    Args:
        frame: nobody else uses it meanwhile.
        is_compressed: about a quarter of the packed size, which costs 2 ms more to decode.
        chroma_location: of the whole video, from `find_chroma_location`.
    """
    picture = frame.video_frame
    if picture.format.name not in _FORMATS or picture.interlaced_frame:
        return None
    tag = FrameTag(
        is_compressed=False,
        pixel_format=picture.format.name,
        width=picture.width,
        height=picture.height,
        color_space=int(picture.colorspace),
        color_range=int(picture.color_range),
        color_primaries=int(picture.color_primaries),
        color_transfer=int(picture.color_trc),
        chroma_location=chroma_location,
    )
    if is_compressed and (packet := _compress(picture, tag)) is not None:
        return EncodedFrame(replace(tag, is_compressed=True).pack(), packet)
    return EncodedFrame(tag.pack(), _pack_planes(picture))


def find_chroma_location(frame: DecodedFrame) -> int | None:
    """FFmpeg's number of where chroma lies, which PyAV keeps to itself; None: none fits.

    swscale heeds it where it scales. A small frame of noise that inherits it is scaled, and
    compared with such frames of each known location; of those that make no difference the first
    is taken.
    """
    picture = frame.video_frame
    name = picture.format.name
    if name not in _FORMATS or picture.interlaced_frame:
        return None
    reformatter = av.video.reformatter.VideoReformatter()
    # Another size makes a new frame, with everything but the pixels inherited.
    side = _SIDES[picture.width == _SIDES[0]]
    probe = reformatter.reformat(picture, side, side, format=name, interpolation="POINT")
    noise = np.random.default_rng(0)
    dtype, most = ("<u2", 1023) if name.endswith(_TEN_BITS) else ("u1", 255)
    for plane in probe.planes:
        rows, samples = _rows(plane, name), plane.height * plane.width
        levels = noise.integers(0, most, samples, endpoint=True)
        rows[:] = levels.astype(dtype).view(np.uint8).reshape(rows.shape)
    wanted = reformatter.reformat(probe, *_PROBED, format="rgb24").to_ndarray()
    for location in range(_CHROMA_LOCATIONS):
        inner = DecodedFrame(probe, 0)
        encoded = encode_frame(inner, is_compressed=False, chroma_location=location)
        if encoded is not None:
            again = encoded.decode(0).video_frame
            scaled = reformatter.reformat(again, *_PROBED, format="rgb24").to_ndarray()
            if np.array_equal(scaled, wanted):
                return location
    return None


def _rows(plane: av.video.plane.VideoPlane, pixel_format: str) -> npt.NDArray[np.uint8]:
    """(height, bytes of a row without padding), a view."""
    row_bytes = plane.width * (2 if pixel_format.endswith(_TEN_BITS) else 1)
    every = np.frombuffer(memoryview(plane), np.uint8, plane.height * plane.line_size)
    return every.reshape(plane.height, plane.line_size)[:, :row_bytes]


def _pack_planes(picture: av.VideoFrame) -> av.Packet[Any]:
    planes = [_rows(plane, picture.format.name) for plane in picture.planes]
    packet: av.Packet[Any] = av.Packet(sum(plane.size for plane in planes))
    packed, at = np.frombuffer(memoryview(packet), np.uint8), 0
    for plane in planes:
        packed[at : at + plane.size].reshape(plane.shape)[:] = plane
        at += plane.size
    return packet


def _compress(picture: av.VideoFrame, tag: FrameTag) -> av.Packet[Any] | None:
    # The full-range twins (yuvj…) are the same planes under another name.
    plain = tag.pixel_format.replace("yuvj", "yuv")
    if plain.endswith(_TEN_BITS):
        return None
    if plain != tag.pixel_format:
        twin = av.VideoFrame(tag.width, tag.height, plain)
        for source, target in zip(picture.planes, twin.planes, strict=True):
            _rows(target, plain)[:] = _rows(source, plain)
        picture = twin
    try:
        (packet,) = _OF_THREAD.encoder(plain, tag.width, tag.height).encode(picture)
    except (av.error.FFmpegError, ValueError):
        _OF_THREAD.forget()
        return None
    return packet


def _make_codec(name: str, mode: Literal["r", "w"]) -> av.VideoCodecContext:
    codec = av.CodecContext.create(name, mode)
    if not isinstance(codec, av.VideoCodecContext):
        raise TypeError(f"{name} is no video codec")
    return codec


class _CodecsOfThread(threading.local):
    """Codec contexts: costly to make, of one thread; made anew after a fork."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._process = os.getpid()
        self._codecs: dict[Hashable, av.VideoCodecContext] = {}

    def _kept(self, key: Hashable) -> av.VideoCodecContext | None:
        if self._process != os.getpid() or len(self._codecs) > _OF_THREAD_LIMIT:
            self.forget()
        return self._codecs.get(key)

    def encoder(self, pixel_format: str, width: int, height: int) -> av.VideoCodecContext:
        key = (pixel_format, width, height)
        encoder = self._kept(key)
        if encoder is None:
            encoder = _make_codec("magicyuv", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, pixel_format
            encoder.time_base = Fraction(1)
            encoder.thread_count = 1
            # Of its predictors the one that decodes fastest; slices take no time to decode.
            encoder.options = {"pred": "left", "slices": "4"}
            self._codecs[key] = encoder
        return encoder

    def decoder(self, tag: FrameTag) -> av.VideoCodecContext:
        decoder = self._kept(tag)
        if decoder is None:
            decoder = _make_codec("magicyuv" if tag.is_compressed else "rawvideo", "r")
            decoder.width, decoder.height, decoder.pix_fmt = tag.width, tag.height, tag.pixel_format
            decoder.color_range, decoder.colorspace = tag.color_range, tag.color_space
            decoder.color_primaries, decoder.color_trc = tag.color_primaries, tag.color_transfer
            decoder.options = {"chroma_sample_location": str(tag.chroma_location)}
            decoder.thread_count = 1
            self._codecs[tag] = decoder
        return decoder


_OF_THREAD = _CodecsOfThread()
