"""Memory of writers: of a video's length independent, and within what is said of many at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nersemble_async.formats.video.encoder import encoder_memory_bytes

MIB = 1 << 20

WRITE = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from nersemble_async.submission.validation import video_validation
from nersemble_async.submission.writing.archive import Archive
from nersemble_async.submission.writing.encoding_pool import EncodingPool
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.writing.video_sink import Encoding, VideoSink

target, n_videos, n_frames, width, height = sys.argv[1], *map(int, sys.argv[2:])
archive = Archive(Path(target), {"task": "nvs"}, resume=None)
pool = EncodingPool(2)
encoding = Encoding((width, height), Fraction(73))
entries = list(expected_entries("mono_flame_avatar").values())[:n_videos]
still = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)

def peak():  # of this program: ru_maxrss begins with that of its parent
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

def frames():
    for index in range(n_frames):
        yield np.roll(still, index, 1)

before = peak()
sinks = [
    VideoSink(archive, pool, entry, n_frames, encoding, from_float=False,
              threads=lambda sink: 1, on_end=lambda sink: None)
    for entry in entries
]
for frame in frames():
    for sink in sinks:
        sink.write(frame)
for sink in sinks:
    sink.close()
print(peak() - before)
pool.close()
archive.finish()
"""


def taken_bytes(folder: Path, n_videos: int, n_frames: int, size: tuple[int, int]) -> int:
    """How far the peak of resident memory rose in a process that wrote them."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE, folder / "a.zip", *map(str, (n_videos, n_frames, *size))],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def test_three_thousand_frames_take_as_much_as_three_hundred(tmp_path: Path) -> None:
    size = (160, 128)
    short, long = (taken_bytes(tmp_path, 1, n, size) for n in (300, 3000))
    # In RGB the further frames would take 166 MB.
    assert long - short < 12 * MIB
    assert short > 8 * MIB, "it would show"


def test_twenty_videos_at_once_take_no_more_than_is_said(tmp_path: Path) -> None:
    """After 60 frames an encoder holds as much as it ever does."""
    size = (256, 256)
    taken = taken_bytes(tmp_path, 20, 64, size)
    assert taken < 20 * encoder_memory_bytes(size)
    assert taken > 20 * encoder_memory_bytes(size) / 8, "it would show"
