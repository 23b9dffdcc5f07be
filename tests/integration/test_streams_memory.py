"""A long stream takes no more memory at its end than at its beginning, nor than it said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frames import open_frames
from nersemble_async.loaders.multi_view import open_multi_view
from tests.support.streams import SERIALS, steps_of
from tests.support.videos import moving_pattern

N = 2400
SIZE = (128, 96)
FRAME_BYTES = 128 * 96 * 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    """A long video; several cameras may share it."""
    folder = tmp_path_factory.mktemp("long")
    path = folder / "long.mp4"
    picture = moving_pattern(*SIZE, 0)
    with VideoEncoder(path, SIZE, Fraction(73), preset="ultrafast") as encoder:
        for index in range(N):
            encoder.write(np.roll(picture, index, axis=1))
    source = VideoSource(path, folder / "index")
    source.read_index()
    return source


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Resident memory while a stream runs, from an eighth of it on."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items
        self._seen: list[int] = []

    def look(self) -> None:
        self._seen.append(resident_bytes())

    @property
    def thirds(self) -> Iterator[int]:
        """Peaks of the first and the last third after the first eighth, which fills buffers."""
        settled = self._seen[self._n_items // 8 :]
        third = len(settled) // 3
        yield max(settled[:third])
        yield max(settled[-third:])


@pytest.mark.asyncio
async def test_of_one_camera(source: VideoSource) -> None:
    watch = Watch(N)
    async with open_frames(source, steps_of(range(N)), serial="1", alpha=source) as frames:
        async for _ in frames:
            watch.look()
    first, last = watch.thirds
    # One frame in twenty that stays is found.
    assert last - first < 0.05 * N * FRAME_BYTES


@pytest.mark.asyncio
async def test_of_many_cameras(source: VideoSource) -> None:
    n_samples = N // 2
    watch = Watch(n_samples)
    videos = dict.fromkeys(SERIALS, source)
    async with open_multi_view(videos, steps_of(range(n_samples))) as samples:
        async for _ in samples:
            watch.look()
    first, last = watch.thirds
    assert last - first < 0.05 * 4 * n_samples * FRAME_BYTES
