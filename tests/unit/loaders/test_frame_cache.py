"""The frame cache: bits of the video, from wherever they come."""

from __future__ import annotations

import logging
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FillReport, FrameCache, FrameCacheMode
from tests.support.tagged_videos import write_tagged_video

KEY = "nvs/017/EXP-1/cam_222200037.mp4"
N_FRAMES, GOP, SIZE = 60, 25, (96, 64)
MODES: tuple[FrameCacheMode, ...] = ("compressed", "raw")

Images = list[npt.NDArray[np.uint8]]


def write_video(path: Path, seed: int = 0) -> Path:
    """Noise that moves, with B-frames and three groups of pictures."""
    noise = np.random.default_rng(seed).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    image = np.kron(noise, np.ones((4, 4, 1), np.uint8))
    with VideoEncoder(path, SIZE, Fraction(24), gop=GOP) as video:
        for step in range(N_FRAMES):
            video.write(np.roll(image, (step, 2 * step), (0, 1)))
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    folder = tmp_path_factory.mktemp("video")
    return VideoSource(write_video(folder / "video.mp4"), folder / "index")


@pytest.fixture(scope="module")
def images(source: VideoSource) -> Images:
    with source.open() as reader:
        assert reader.index.is_disposable.any(), "it has B-frames"
        return [frame.to_rgb() for frame in reader.decode_range()]


def assert_same(frame: DecodedFrame | None, images: Images, frame_index: int) -> None:
    assert frame is not None
    assert frame.frame_index == frame_index
    np.testing.assert_array_equal(frame.to_rgb(), images[frame_index])


@pytest.mark.parametrize("ram_bytes", [0, 100_000, 10**9])
@pytest.mark.parametrize("mode", MODES)
def test_every_frame_to_the_bit(
    tmp_path: Path, source: VideoSource, images: Images, mode: FrameCacheMode, ram_bytes: int
) -> None:
    seen = []
    with FrameCache(tmp_path, mode=mode, ram_bytes=ram_bytes) as cache:
        assert cache.read(source, KEY, 0) is None
        report = cache.fill(source, KEY, on_progress=lambda done, all_: seen.append((done, all_)))
        assert report == FillReport(N_FRAMES, 0, 0)
        assert seen == [(n, N_FRAMES) for n in range(1, N_FRAMES + 1)]
        assert cache.stored(source, KEY) == list(range(N_FRAMES))
        assert cache.fill(source, KEY) == FillReport(0, N_FRAMES, 0)
        for _ in range(2):
            for frame_index in np.random.default_rng(0).permutation(N_FRAMES).tolist():
                assert_same(cache.read(source, KEY, frame_index), images, frame_index)
        assert cache.read(source, KEY, N_FRAMES) is None
        assert cache.read(source, KEY, -1) is None


def test_scaled_frames_have_the_bits_of_scaled_frames(tmp_path: Path, source: VideoSource) -> None:
    half = FrameFormat(scale=0.5)
    with source.open() as reader:
        expected = reader.decode(30).to_array(half)
    with FrameCache(tmp_path, ram_bytes=10**9) as cache:
        for _ in range(3):
            np.testing.assert_array_equal(cache.get(source, KEY, 30).to_array(half), expected)


@pytest.mark.parametrize("mode", MODES)
def test_frames_are_decoded_and_stored_on_demand(
    tmp_path: Path, source: VideoSource, images: Images, mode: FrameCacheMode
) -> None:
    order = np.random.default_rng(1).permutation(N_FRAMES).tolist()
    with FrameCache(tmp_path, mode=mode) as cache:
        for frame_index in order:
            assert_same(cache.get(source, KEY, frame_index), images, frame_index)
        for frame_index in order:
            assert_same(cache.read(source, KEY, frame_index), images, frame_index)


def test_what_is_stored_beside_a_frame(tmp_path: Path, source: VideoSource, images: Images) -> None:
    index = source.read_index()
    last = 2 * GOP - 1
    group = list(range(GOP, 2 * GOP))
    assert index.keyframes[:3].tolist() == [0, GOP, 2 * GOP]
    found = {}
    for neighbours in ("none", "decoded", "group"):
        with FrameCache(tmp_path / neighbours, neighbours=neighbours) as cache:
            assert_same(cache.get(source, KEY, last), images, last)
            found[neighbours] = cache.stored(source, KEY)
            for frame_index in found[neighbours]:
                assert_same(cache.read(source, KEY, frame_index), images, frame_index)
    needed = [f for f in group if not index.is_disposable[index.frame_packets[f]] or f == last]
    assert found == {"none": [last], "decoded": needed, "group": group}
    assert 3 < len(needed) < GOP


def test_frames_asked_for_in_order_are_decoded_once(
    tmp_path: Path, source: VideoSource, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    original = DecodedFrame.__init__

    def counting(self: DecodedFrame, frame: object, frame_index: int) -> None:
        decoded.append(frame_index)
        original(self, frame, frame_index)  # type: ignore[arg-type]

    with FrameCache(tmp_path, neighbours="none") as cache:
        cache.get(source, KEY, 5)
        monkeypatch.setattr(DecodedFrame, "__init__", counting)
        for frame_index in range(6, N_FRAMES):
            assert_same(cache.get(source, KEY, frame_index), images, frame_index)
        for frame_index in range(0, 6, 2):
            assert_same(cache.get(source, KEY, frame_index), images, frame_index)
    assert decoded.count(40) == 1
    assert len(decoded) < N_FRAMES + 20


# ---- changes, errors ----------------------------------------------------------------------------


@pytest.mark.parametrize("ram_bytes", [0, 10**9])
def test_a_changed_video_is_seen_at_once(tmp_path: Path, ram_bytes: int) -> None:
    source = VideoSource(write_video(tmp_path / "video.mp4"), tmp_path / "index")
    with FrameCache(tmp_path / "frames", ram_bytes=ram_bytes) as cache:
        cache.fill(source, KEY)
        old = cache.get(source, KEY, 7).to_rgb()
        write_video(source.path, seed=1)
        os.utime(source.path, ns=(0, source.path.stat().st_mtime_ns + 1))
        assert cache.read(source, KEY, 7) is None
        assert cache.stored(source, KEY) == []
        with source.open() as reader:
            new = reader.decode(7).to_rgb()
        assert (new != old).any()
        for _ in range(2):
            np.testing.assert_array_equal(cache.get(source, KEY, 7).to_rgb(), new)
        source.path.unlink()
        assert cache.read(source, KEY, 7) is None
        with pytest.raises(FileNotFoundError):
            cache.get(source, KEY, 7)


def test_errors_are_those_of_the_video(tmp_path: Path, source: VideoSource) -> None:
    with FrameCache(tmp_path / "frames") as cache:
        for wrong in (-1, N_FRAMES):
            with pytest.raises(SelectionError, match=f"{N_FRAMES} frames"):
                cache.get(source, KEY, wrong)
        with pytest.raises(SelectionError, match=f"{N_FRAMES} frames"):
            cache.fill(source, KEY, [0, N_FRAMES])
        with pytest.raises(ValueError, match="relative path"):
            cache.get(source, "../outside", 0)
        (tmp_path / "broken.mp4").write_bytes(b"no video")
        with pytest.raises(DecodeError):
            cache.get(VideoSource(tmp_path / "broken.mp4"), KEY, 0)
    for option in ({"mode": "png"}, {"neighbours": "all"}):
        with pytest.raises(ValueError, match="it may be"):
            FrameCache(tmp_path, **option)  # type: ignore[arg-type]


def test_a_damaged_cache_costs_time_only(
    tmp_path: Path, source: VideoSource, images: Images
) -> None:
    with FrameCache(tmp_path, mode="raw") as cache:
        cache.fill(source, KEY)
        segment = tmp_path / KEY / "000000.frames"
        data = bytearray(segment.read_bytes())
        data[8192 + 100 :: 5000] = bytes(len(data[8192 + 100 :: 5000]))
        segment.write_bytes(data)
        for _ in range(2):
            for frame_index in (40, 3, 59, 0):
                assert_same(cache.get(source, KEY, frame_index), images, frame_index)
        assert_same(cache.read(source, KEY, 40), images, 40)


def test_frames_that_cannot_be_stored_are_decoded(tmp_path: Path) -> None:
    video = write_tagged_video(tmp_path / "v.mp4", size=(64, 64), x264_params="tff=1")
    source = VideoSource(video)
    with source.open() as reader:
        expected = reader.decode(1).to_rgb()
    with FrameCache(tmp_path / "frames", ram_bytes=10**9) as cache:
        for _ in range(2):
            np.testing.assert_array_equal(cache.get(source, KEY, 1).to_rgb(), expected)
        assert cache.fill(source, KEY) == FillReport(0, 0, 3)
        assert cache.stored(source, KEY) == []


def test_an_unusable_folder_is_told_once(
    tmp_path: Path, source: VideoSource, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING), FrameCache(tmp_path / "file" / "frames") as cache:
        for frame_index in range(0, 50, 9):
            assert_same(cache.get(source, KEY, frame_index), images, frame_index)
        with pytest.raises(Exception, match="frames"):
            cache.fill(source, KEY)
    assert [record.message for record in caplog.records] == ["frame_cache_stopped"]


def test_a_limit_that_is_reached(
    tmp_path: Path, source: VideoSource, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    frame_bytes = SIZE[0] * SIZE[1] * 3 // 2
    limit = 8192 + 10 * frame_bytes
    with caplog.at_level(logging.WARNING), FrameCache(tmp_path, limit, mode="raw") as cache:
        assert cache.fill(source, KEY) == FillReport(10, 0, N_FRAMES - 10)
        for frame_index in (5, 30, 31, 55):
            assert_same(cache.get(source, KEY, frame_index), images, frame_index)
        assert cache.used_bytes() == limit
        with cache.pin(KEY):
            assert cache.fill(source, "another.mp4") == FillReport(0, 0, N_FRAMES)
    with FrameCache(tmp_path, limit, mode="raw") as cache:
        assert cache.fill(source, "another.mp4").n_stored == 10
        assert cache.stored(source, KEY) == []
    assert {record.message for record in caplog.records} == {"frame_cache_full"}


def test_filling_looks_for_room_that_was_not_there_before(
    tmp_path: Path, source: VideoSource
) -> None:
    """Streams pass over a full cache for a while, without a look; who fills it means it."""
    with FrameCache(tmp_path, 300_000, mode="raw", neighbours="none") as cache:
        n_stored = cache.fill(source, KEY).n_stored
        assert 0 < n_stored < N_FRAMES
        with cache.pin(KEY):
            cache.get(source, "other.mp4", 0)
            assert cache.stored(source, "other.mp4") == []
        assert cache.fill(source, "other.mp4", range(5)) == FillReport(5, 0, 0)


def test_progress_may_stop_it(tmp_path: Path, source: VideoSource) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, _: int) -> None:
        if done == 7:
            raise StoppedError

    before = psutil.Process().num_fds()
    with FrameCache(tmp_path) as cache:
        with pytest.raises(StoppedError):
            cache.fill(source, KEY, range(0, N_FRAMES, 2), on_progress=stop)
        assert cache.stored(source, KEY) == list(range(0, 14, 2))
    assert psutil.Process().num_fds() == before


# ---- sharing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ram_bytes", [0, 10**9])
def test_threads_share_a_cache(
    tmp_path: Path, source: VideoSource, images: Images, ram_bytes: int
) -> None:
    before = psutil.Process().num_fds()
    with FrameCache(tmp_path, ram_bytes=ram_bytes) as cache:

        def work(seed: int) -> None:
            for frame_index in np.random.default_rng(seed % 2).permutation(N_FRAMES).tolist():
                assert_same(cache.get(source, KEY, frame_index), images, frame_index)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6)))
        assert cache.stored(source, KEY) == list(range(N_FRAMES))
    assert psutil.Process().num_fds() == before


def test_streams_put_what_they_decoded(tmp_path: Path, source: VideoSource, images: Images) -> None:
    with FrameCache(tmp_path) as cache, source.open() as reader:
        for frame in reader.decode_range(10, 20):
            cache.put(source, KEY, frame)
        assert cache.stored(source, KEY) == list(range(10, 20))
        assert_same(cache.read(source, KEY, 15), images, 15)


def test_it_pickles(tmp_path: Path, source: VideoSource, images: Images) -> None:
    with FrameCache(tmp_path, 10**9, mode="raw", ram_bytes=5, neighbours="group") as cache:
        cache.get(source, KEY, 3)
        with pickle.loads(pickle.dumps(cache)) as copy:
            assert_same(copy.read(source, KEY, 4), images, 4)
            for name in ("folder", "limit_bytes", "mode", "ram_bytes", "neighbours"):
                assert getattr(copy, name) == getattr(cache, name)


def test_reading_marks_as_used_only_now_and_then(
    tmp_path: Path, source: VideoSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[int] = []
    with FrameCache(tmp_path) as cache:
        cache.fill(source, KEY, [0, 1])
        monkeypatch.setattr(os, "utime", touched.append)
        for frame_index in (0, 1, 0, 1):
            cache.read(source, KEY, frame_index)
    assert len(touched) == 1
