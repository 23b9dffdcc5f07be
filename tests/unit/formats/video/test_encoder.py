"""The encoder's life: finished once, aborted at will, honest about a full disk and its memory."""

from __future__ import annotations

import errno
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nersemble_async.formats.video.encoder import (
    EncodableFrame,
    RgbImage,
    VideoEncoder,
    encoder_memory_bytes,
)
from tests.support.videos import decode_all, moving_pattern

SIZE = (64, 48)
RATE = Fraction(73)


def picture(frame_index: int) -> RgbImage:
    return moving_pattern(*SIZE, frame_index)


def encoder(path: Path, **options: Any) -> VideoEncoder:
    return VideoEncoder(path, SIZE, RATE, **options)


def full_disk(tmp_path: Path) -> Path:
    """A path where each write finds the disk full: the kernel's own device for that."""
    path = tmp_path / "video.mp4"
    path.symlink_to("/dev/full")
    return path


def noise(seed: int) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3), np.uint8)


def settings(path: Path) -> dict[str, str]:
    """What x264 notes in its first packet."""
    text = path.read_bytes().partition(b" - options: ")[2].partition(b"\0")[0].decode()
    return dict(item.partition("=")[::2] for item in text.split())


def test_finished_without_a_with(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    video = encoder(path, crf=0)
    for index in range(5):
        assert video.n_frames == index
        video.write(picture(index))
    video.finish()
    assert video.n_frames == 5
    assert len(decode_all(path)) == 5


def test_finished_only_once_and_nothing_is_added_later(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with encoder(path) as video:
        video.write(picture(0))
        video.finish()
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"video\.mp4 takes no more: it is finished"):
        video.finish()
    with pytest.raises(ValueError, match="it is finished"):
        video.write(picture(1))
    video.abort()
    assert path.read_bytes() == content
    assert video.n_frames == 1


def test_aborted_as_often_as_one_likes(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    video = encoder(path)
    for index in range(60):  # more than x264 holds back: some are in the file
        video.write(picture(index))
    video.abort()
    video.abort()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="it is aborted"):
        video.write(picture(0))
    with pytest.raises(ValueError, match="it is aborted"):
        video.finish()


def test_aborted_inside_of_a_with(tmp_path: Path) -> None:
    with encoder(tmp_path / "video.mp4") as video:
        video.write(picture(0))
        video.abort()
    assert list(tmp_path.iterdir()) == []


def test_one_thread_converts_while_another_encodes(tmp_path: Path) -> None:
    frames: queue.Queue[EncodableFrame | None] = queue.Queue(maxsize=2)
    video = encoder(tmp_path / "two.mp4", reproducible=True)

    def encode() -> None:
        while (frame := frames.get()) is not None:
            video.encode(frame)
        video.finish()

    thread = threading.Thread(target=encode)
    thread.start()
    for index in range(60):
        frames.put(video.convert(picture(index)))
    frames.put(None)
    thread.join()
    with encoder(tmp_path / "one.mp4", reproducible=True) as alone:
        for index in range(60):
            alone.write(picture(index))
    assert (tmp_path / "two.mp4").read_bytes() == (tmp_path / "one.mp4").read_bytes()


def test_a_refused_frame_leaves_the_video_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    video = encoder(path)
    video.write(picture(0))
    wrong_ones: list[Any] = [picture(0)[:, :32], picture(0).astype(np.float32), picture(0)[None]]
    for wrong in wrong_ones:
        with pytest.raises(ValueError, match=r"a frame here is uint8 \(48, 64, 3\)"):
            video.write(wrong)
    video.write(picture(1))
    video.finish()
    assert len(decode_all(path)) == video.n_frames == 2


def test_a_video_without_frames_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"), encoder(tmp_path / "video.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        encoder(tmp_path / "missing" / "video.mp4")
    with pytest.raises(IsADirectoryError):
        encoder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_the_middle(tmp_path: Path) -> None:
    path = full_disk(tmp_path)
    video = encoder(path, crf=0, preset="ultrafast")

    def write_until_full() -> None:
        for index in range(200):
            video.write(noise(index))

    with pytest.raises(OSError, match=r"video\.mp4") as caught:
        write_until_full()
    assert caught.value.errno == errno.ENOSPC
    assert type(caught.value) is OSError
    assert 0 < video.n_frames < 199
    assert not path.is_symlink()
    with pytest.raises(ValueError, match="it is aborted"):
        video.finish()
    video.abort()


def test_a_full_disk_at_the_end(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    path = full_disk(tmp_path)
    video = encoder(path)
    video.write(picture(0))
    with pytest.raises(OSError, match=r"video\.mp4") as caught:
        video.finish()
    assert caught.value.errno == errno.ENOSPC
    assert not path.is_symlink()
    video.abort()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    ends: list[Callable[[VideoEncoder], None]] = [VideoEncoder.finish, VideoEncoder.abort]
    videos = []
    for index in range(6):
        video = encoder(tmp_path / f"{index}.mp4", preset="ultrafast")
        for step in range(12):
            video.write(noise(step))
        ends[index % 2](video)
        videos.append(video)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_callers_array_is_free_again(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    image = picture(0)
    references = sys.getrefcount(image)
    with encoder(path, crf=0) as video:
        for index in range(4):
            image[:] = picture(index)
            video.write(image)
            image[:] = 0
        assert sys.getrefcount(image) == references
    for index, frame in enumerate(decode_all(path)):
        off = [np.abs(frame.astype(int) - picture(other)).mean() for other in range(5)]
        assert int(np.argmin(off)) == index


def test_any_memory_order_gives_the_same_bytes(tmp_path: Path) -> None:
    planar = [np.ascontiguousarray(picture(i).transpose(2, 0, 1)) for i in range(6)]
    with encoder(tmp_path / "a.mp4", reproducible=True) as video:
        for index in range(6):
            video.write(picture(index))
    with encoder(tmp_path / "b.mp4", reproducible=True) as video:
        for image in planar:
            video.write(image.transpose(1, 2, 0))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_reproducible_with_as_many_threads(tmp_path: Path, threads: int) -> None:
    contents = set()
    for name in ("a.mp4", "b.mp4"):
        with encoder(tmp_path / name, threads=threads, reproducible=True) as video:
            for index in range(30):
                video.write(picture(index))
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1


def test_threads_take_whole_frames_not_slices(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with encoder(path, threads=2) as video:
        video.write(picture(0))
    noted = settings(path)
    assert (noted["threads"], noted["sliced_threads"], noted["crf"]) == ("2", "0", "14.0")


def test_compensation_brings_the_readers_mean_back(tmp_path: Path) -> None:
    means = []
    for name, wanted in (("a.mp4", False), ("b.mp4", True)):
        with encoder(tmp_path / name, compensate_reader_bias=wanted) as video:
            for index in range(4):
                video.write(picture(index))
        frames = decode_all(tmp_path / name)
        means.append(np.mean([f.astype(float) - picture(i) for i, f in enumerate(frames)]))
    without, compensated = means
    assert without < -0.4
    assert abs(compensated) < abs(without) / 2


def test_the_file_says_what_the_benchmark_prescribes(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoEncoder(path, SIZE, Fraction(243, 10)) as video:
        for index in range(3):
            video.write(picture(index))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(243, 10)
        assert (stream.codec_context.name, stream.codec_context.profile) == ("h264", "High")
        assert stream.codec_context.pix_fmt == "yuv420p"
        unspecified = 2
        assert stream.codec_context.color_range == 0
        assert stream.codec_context.colorspace == unspecified
        assert stream.codec_context.color_primaries == unspecified


MEASURE = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from nersemble_async.formats.video.encoder import VideoEncoder

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

path, threads = Path(sys.argv[1]), int(sys.argv[2])
field = np.random.default_rng(0).integers(0, 256, (272, 352, 3), np.uint8)
before, most = anonymous(), 0
with VideoEncoder(path, (320, 240), Fraction(73), threads=threads) as encoder:
    for index in range(75):
        encoder.write(field[index % 16 : index % 16 + 240, index % 7 : index % 7 + 320])
        most = max(most, anonymous() - before)
print(most)
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_memory_is_at_most_what_was_estimated_and_not_a_third(tmp_path: Path, threads: int) -> None:
    arguments = [sys.executable, "-c", MEASURE, str(tmp_path / "video.mp4"), str(threads)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60)
    estimate = encoder_memory_bytes((320, 240), threads)
    assert estimate / 3 < int(done.stdout) < estimate


def test_the_estimate_at_the_benchmarks_sizes() -> None:
    megabytes = {
        size: [round(encoder_memory_bytes(size, threads) / 1e6) for threads in (1, 2, 4)]
        for size in ((1100, 1604), (512, 512))
    }
    assert megabytes == {(1100, 1604): [403, 427, 476], (512, 512): [87, 91, 100]}
