"""Videos for tests: encoded as PyAV can, and read in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from nersemble_async.formats.video.reader import VideoReader

RgbImage = npt.NDArray[np.uint8]


def decode_frame(path: Path, frame_index: int) -> RgbImage:
    """(H, W, 3) uint8 RGB."""
    with VideoReader(path) as reader:
        return reader.decode(frame_index).to_rgb()


def decode_all(path: Path) -> list[RgbImage]:
    """Every frame, (H, W, 3) uint8 RGB."""
    with VideoReader(path) as reader:
        return [frame.to_rgb() for frame in reader.decode_range()]


def decode_plainly(path: Path) -> Iterator[RgbImage]:
    """Every frame by PyAV's own demuxer and loop: what everybody else would get."""
    with av.open(f"file:{path}") as container:
        for frame in container.decode(video=0):
            yield np.ascontiguousarray(frame.to_ndarray(format="rgb24")).astype(np.uint8)


def moving_pattern(width: int, height: int, frame_index: int) -> RgbImage:
    """A picture that no other frame shows: a coloured wave that moves, over noise that stays."""
    y, x = np.mgrid[:height, :width]
    phase = frame_index / 7
    image = np.stack(
        [
            127 + 100 * np.sin(x / 9 + phase),
            127 + 100 * np.sin(y / 7 - 2 * phase),
            (3 * frame_index + x + y) % 256,
        ],
        axis=2,
    )
    image += np.random.default_rng(0).normal(0, 6, image.shape)
    levels: RgbImage = np.clip(image, 0, 255).astype(np.uint8)
    return levels


def write_video(
    path: Path,
    n_frames: int,
    *,
    size: tuple[int, int] = (64, 48),
    gop: int = 250,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    x264_params: str = "",
    container_options: Mapping[str, str] | None = None,
    tags: Mapping[str, int] | None = None,
    rate: Fraction = Fraction(73),
) -> Path:
    """Encode `moving_pattern`; returns ``path``.

    Args:
        path: an mp4.
        n_frames: from index 0 on.
        size: width, height.
        gop: frames from one keyframe to the next at most.
        codec: FFmpeg's encoder.
        pixel_format: FFmpeg's name.
        x264_params: such as ``open-gop=1``.
        container_options: of the muxer, such as ``movflags``.
        tags: attributes of the encoder's context, such as ``colorspace``.
        rate: frames per second.
    """
    width, height = size
    with av.open(str(path), "w", format="mp4", options=dict(container_options or {})) as container:
        options = {"crf": "18", "preset": "veryfast"} if codec.startswith("libx26") else {}
        if x264_params:
            options["x264-params"] = x264_params
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.gop_size = gop
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for index in range(n_frames):
            image = moving_pattern(width, height, index)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
            for name, value in (tags or {}).items():
                setattr(frame, name, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
