"""Small videos of every pixel format, with every colour tag, written by FFmpeg's encoders."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_tagged_video(
    path: Path,
    *,
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    n_frames: int = 3,
    codec: str = "libx264",
    x264_params: str = "",
    color_space: int | None = None,
    color_range: int | None = None,
    seed: int = 0,
) -> Path:
    """Frames of coloured blocks; tags are FFmpeg's numbers."""
    width, height = size
    colors = np.random.default_rng(seed)
    with av.open(str(path), "w", format="mp4") as container:
        options = {"x264-params": x264_params} if x264_params else {}
        stream = container.add_stream(codec, rate=Fraction(24), options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if color_space is not None:
            stream.codec_context.colorspace = color_space
        if color_range is not None:
            stream.codec_context.color_range = color_range
        for _ in range(n_frames):
            blocks = colors.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
            image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    return path
