"""Predictions for tests of a submission's videos: a head that moves before white."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.spec import BENCHMARKS, BenchmarkSpec

RgbImage = npt.NDArray[np.uint8]

SMALL_SPEC: BenchmarkSpec = replace(BENCHMARKS["nvs"], frame_size=(64, 96))
"""NVS with frames that encode in no time."""


def head(
    frame_index: int,
    size: tuple[int, int] = (64, 96),
    background: tuple[int, int, int] = (255,) * 3,
) -> RgbImage:
    """A face with a moving mouth above shoulders, before one colour."""
    width, height = size
    y, x = np.mgrid[:height, :width] / height
    middle = width / height / 2
    image = np.empty((height, width, 3), np.uint8)
    image[:] = background
    image[(np.abs(x - middle) < 0.28) & (y > 0.8)] = (60, 90, 150)
    image[((x - middle) / 0.17) ** 2 + ((y - 0.48) / 0.28) ** 2 < 1] = (205, 160, 135)
    image[((x - middle) / 0.18) ** 2 + ((y - 0.26) / 0.12) ** 2 < 1] = (70, 45, 30)
    opening = 0.02 + 0.012 * np.sin(frame_index / 2)
    image[((x - middle) / 0.06) ** 2 + ((y - 0.62) / opening) ** 2 < 1] = (120, 30, 40)
    return image


def write_frames(
    path: Path,
    frames: Iterable[RgbImage],
    *,
    rate: Fraction = Fraction(73),
    gop: int = 250,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container_options: Mapping[str, str] | None = None,
    time_of: Callable[[int], int] | None = None,
    with_stream: Callable[[Any], None] | None = None,
) -> Path:
    """Encode frames into an mp4; returns ``path``.

    Args:
        path: the mp4.
        frames: (H, W, 3) RGB, of one size.
        rate: frames per second.
        gop: frames from one keyframe to the next at most.
        codec: FFmpeg's encoder.
        pixel_format: FFmpeg's name.
        container_options: of the muxer.
        time_of: a frame's time in units of 1 / rate; None: its index.
        with_stream: called with the stream before it is opened.
    """
    images = list(frames)
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", format="mp4", options=dict(container_options or {})) as container:
        options = {"crf": "14", "preset": "veryfast"} if codec.startswith("libx26") else {}
        if codec == "libx265":
            options["x265-params"] = "log-level=none"
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.gop_size = gop
        stream.codec_context.time_base = 1 / rate
        if with_stream is not None:
            with_stream(stream)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)
            frame.pts = index if time_of is None else time_of(index)
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_heads(path: Path, n_frames: int, **options: Any) -> Path:
    """A good prediction of so many frames, at 64 x 96 and 73 frames per second; see above."""
    return write_frames(path, (head(index) for index in range(n_frames)), **options)
