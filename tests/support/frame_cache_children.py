"""A process that uses a frame cache in threads and gives it to children: ``VIDEO FOLDER METHOD``.

Its threads read and store at the instant of each fork, and go on after it. Only the children
convert frames. Prints what each child found.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from pathlib import Path
from typing import Any

from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FrameCache
from tests.support.frame_cache_process import KEY, report


def main(video: str, folder: str, method: str) -> None:
    """Four children, one after the other."""
    source = VideoSource(Path(video), Path(folder, "index"))
    processes: Any = multiprocessing.get_context(method)
    n_frames = source.read_index().n_frames
    source.read_index()  # a fork in the midst of another thread's first import would hang
    stopping = threading.Event()
    with FrameCache(Path(folder), ram_bytes=50_000) as cache, cache.pin(KEY):

        def keep_using(neighbours: Any) -> None:
            while not stopping.is_set():
                for frame_index in range(n_frames):
                    cache.get(source, f"{neighbours}.mp4", frame_index, neighbours=neighbours)

        threads = [threading.Thread(target=keep_using, args=(n,)) for n in ("none", "group")]
        for frame_index in range(0, n_frames, 2):
            cache.get(source, KEY, frame_index, neighbours="none")
        for thread in threads:
            thread.start()
        try:
            for _ in range(4):
                receiver, sender = processes.Pipe(duplex=False)
                child = processes.Process(target=report, args=(sender, cache, source))
                child.start()
                print(receiver.recv() if receiver.poll(30) else "hangs", flush=True)  # noqa: T201
                child.kill()
                child.join()
        finally:
            stopping.set()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
