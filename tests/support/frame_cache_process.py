"""Another process that uses a frame cache; what it is given it compares with the video itself.

Also run as a script: ``VIDEO FOLDER MODE LIMIT SEED ROUNDS``; prints that it begins, and in the
end how often it looked.
"""

from __future__ import annotations

import hashlib
import random
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FrameCache

KEY = "nvs/017/EXP-1/cam.mp4"


def digests_of(source: VideoSource) -> list[str]:
    """Of every frame in RGB."""
    with source.open() as reader:
        return [hashlib.sha256(frame.to_rgb().data).hexdigest() for frame in reader.decode_range()]


def use(cache: FrameCache, source: VideoSource, seed: int, rounds: int) -> int:
    """Get every frame so often, in random orders; how many looks were right.

    Raises:
        ValueError: a frame was wrong.
    """
    expected, draw, looks = digests_of(source), random.Random(seed), 0
    for _ in range(rounds):
        for frame_index in draw.sample(range(len(expected)), len(expected)):
            # Kept in memory or not, stored beside others or not.
            how: Any = draw.choice(("none", "decoded", "group"))
            frame = cache.get(source, KEY, frame_index, neighbours=how)
            if hashlib.sha256(frame.to_rgb().data).hexdigest() != expected[frame_index]:
                raise ValueError(f"frame {frame_index} is wrong")
            looks += 1
    return looks


def report(sender: Connection, cache: FrameCache, source: VideoSource) -> None:
    """For a child process: send how many looks were right, or the error."""
    try:
        sender.send(use(cache, source, seed=5, rounds=2))
    except Exception as error:  # noqa: BLE001 -- the parent asserts that it is a number
        sender.send(repr(error))
    cache.close()


if __name__ == "__main__":
    video, folder, mode, limit, seed, rounds = sys.argv[1:]
    options: Any = {"mode": mode, "ram_bytes": 100_000}
    with FrameCache(Path(folder), int(limit) or None, **options) as opened:
        print("begins", flush=True)  # noqa: T201
        print(use(opened, VideoSource(Path(video)), int(seed), int(rounds)))  # noqa: T201
