"""Streams of pointclouds through a small cache: in this process, as a process, and watched."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from nersemble_async.cache.eviction import TransientFiles
from nersemble_async.cache.store import Store
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
from nersemble_async.loaders.pointclouds import PointcloudStream, open_pointclouds
from tests.support.corpora import planned_pointcloud
from tests.support.fetching import settings_for

REPOSITORY = Path(__file__).parent.parent.parent


def digest(pointcloud: Pointcloud) -> str:
    """Of all arrays, bit for bit (noise holds NaNs, which equal nothing)."""
    arrays = (pointcloud.points, pointcloud.colors, pointcloud.normals)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


@asynccontextmanager
async def open_limited(
    fetcher: Fetcher, timesteps: Iterable[int], prefetch: int | None = None
) -> AsyncIterator[PointcloudStream]:
    """Pointclouds of the small corpora, fetched on demand."""
    async with (
        fetcher.open_on_demand() as on_demand,
        open_pointclouds(
            lambda timestep: on_demand.open_file(planned_pointcloud(timestep)),
            [*timesteps],
            prefetch=prefetch,
        ) as frames,
    ):
        yield frames


async def _print_all(url: str, root: Path, limit_bytes: int, timesteps: Iterable[int]) -> None:
    settings = settings_for(url, root, cache_limit=limit_bytes)
    async with Fetcher(settings) as fetcher, open_limited(fetcher, timesteps) as frames:
        async for frame in frames:
            print(frame.timestep, digest(frame.pointcloud), flush=True)  # noqa: T201


@contextmanager
def streaming(
    url: str, root: Path, limit_bytes: int, timesteps: Iterable[int]
) -> Iterator[subprocess.Popen[str]]:
    """A process that prints timestep and digest of one pointcloud after another."""
    arguments = (url, str(root), str(limit_bytes), ",".join(map(str, timesteps)))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.limited_streams", *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class DiskWatch:
    """Looks, again and again, at how many bytes of transient files are on the disk.

    It holds the lock of the log of transient files meanwhile: nothing begins and nothing is
    evicted between the files that it counts.
    """

    def __init__(self, root: Path) -> None:
        self._store = Store(root)
        self._files = TransientFiles(self._store)
        self._stop = threading.Event()
        self.busy = threading.Lock()
        """Held while it looks, with files open."""
        self.most_bytes = 0
        self.most_counted_bytes = 0
        self.looks = 0

    def look(self) -> None:
        """Look once."""
        log = self._files._log
        with self.busy, log.locked():
            there = 0
            for path in log.all():
                # The final name first: a file on its way there is missed, not counted twice.
                for place in (self._store.target(path), self._store.part(path)):
                    with contextlib.suppress(FileNotFoundError):
                        stat = place.stat()
                        there += min(stat.st_size, stat.st_blocks * 512)
            self.most_bytes = max(self.most_bytes, there)
            self.most_counted_bytes = max(self.most_counted_bytes, log.total_bytes)
        self.looks += 1

    def _watch(self) -> None:
        while not self._stop.wait(0.003):  # leaves the processor to what is watched
            self.look()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look in a thread until the context ends."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._stop.clear()


if __name__ == "__main__":
    given_url, given_root, given_limit, given_timesteps = sys.argv[1:]
    os.chdir("/")
    asyncio.run(
        _print_all(
            given_url,
            Path(given_root),
            int(given_limit),
            map(int, given_timesteps.split(",")),
        )
    )
