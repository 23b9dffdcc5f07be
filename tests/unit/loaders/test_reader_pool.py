"""Videos kept open: frames in order decode once, threads do not meet, nothing is left."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.reader_pool import ReaderPool
from tests.support.tagged_videos import write_tagged_video
from tests.support.videos import decode_all

N_FRAMES = 30
BYTES = (5 + 3) * 64 * 48 * 3 // 2
"""What one open video of these counts for."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[VideoSource]:
    folder = tmp_path_factory.mktemp("pool")
    paths = [
        write_tagged_video(folder / f"{seed}.mp4", n_frames=N_FRAMES, seed=seed)
        for seed in range(3)
    ]
    return [VideoSource(path, path.with_suffix(".npz")) for path in paths]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[VideoReader]:
    """Every reader that is opened."""
    readers: list[VideoReader] = []
    init = VideoReader.__init__

    def remember(self: VideoReader, *given: object, **named: object) -> None:
        init(self, *given, **named)  # type: ignore[arg-type]
        readers.append(self)

    monkeypatch.setattr(VideoReader, "__init__", remember)
    return readers


def is_closed(reader: VideoReader) -> bool:
    return reader._decoder is None


def n_open_files(folder: Path) -> int:
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            links.append(descriptor.readlink())
    return sum(link.is_relative_to(folder) for link in links)


def test_frames_in_order_are_decoded_on(
    sources: list[VideoSource], opened: list[VideoReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ReaderPool()
    packets: list[int] = []
    read = VideoReader._packet

    def count(self: VideoReader, position: int) -> object:
        packets.append(position)
        return read(self, position)

    monkeypatch.setattr(VideoReader, "_packet", count)
    for frame_index in range(N_FRAMES):
        for source in sources:  # side by side, as a loop over cameras does
            assert pool.decode(source, frame_index).frame_index == frame_index
    assert len(opened) == len(sources) == pool.n_kept
    assert len(packets) <= len(sources) * (N_FRAMES + 5)
    pool.close()
    assert all(map(is_closed, opened))


def test_any_order_gives_the_frames_themselves(sources: list[VideoSource]) -> None:
    pool = ReaderPool()
    expected = decode_all(sources[0].path)
    for frame_index in np.random.default_rng(0).permutation(N_FRAMES):
        assert np.array_equal(pool.decode(sources[0], frame_index).to_rgb(), expected[frame_index])
    pool.close()


def test_what_was_used_longest_ago_is_closed(
    sources: list[VideoSource], opened: list[VideoReader]
) -> None:
    pool = ReaderPool(2 * BYTES)
    for source in (*sources[:2], sources[0], sources[2]):
        pool.decode(source, 0)
    assert [reader.path for reader in opened if is_closed(reader)] == [sources[1].path]
    pool = ReaderPool(1)  # one is always kept
    pool.decode(sources[0], 0)
    assert pool.n_kept == 1


def test_threads_that_want_one_video_have_a_reader_each(
    sources: list[VideoSource], opened: list[VideoReader]
) -> None:
    pool = ReaderPool()
    expected = decode_all(sources[0].path)
    opened.clear()
    users: dict[int, int] = {}
    clashes: list[int] = []
    decode, lock = VideoReader.decode, threading.Lock()

    def watched(self: VideoReader, frame_index: int) -> object:
        with lock:
            users[id(self)] = users.get(id(self), 0) + 1
            clashes.extend([frame_index] * (users[id(self)] > 1))
        try:
            return decode(self, frame_index)
        finally:
            with lock:
                users[id(self)] -= 1

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as threads:
        patch.setattr(VideoReader, "decode", watched)
        wanted = [int(i) for i in np.random.default_rng(1).integers(0, N_FRAMES, 80)]
        got = list(threads.map(lambda i: pool.decode(sources[0], i).to_rgb(), wanted))
    assert clashes == []
    assert len(opened) <= 4
    assert all(np.array_equal(g, expected[i]) for g, i in zip(got, wanted, strict=True))
    pool.close()


def test_threads_that_read_an_index_at_once_get_the_same(sources: list[VideoSource]) -> None:
    pool, all_inside = ReaderPool(), threading.Barrier(3)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(3) as threads:
        read = VideoSource.read_index

        def meet(self: VideoSource) -> object:
            index = read(self)
            all_inside.wait(timeout=30)
            return index

        patch.setattr(VideoSource, "read_index", meet)
        first, *others = threads.map(pool.read_index, [sources[0]] * 3)
    assert all(other is first for other in others)


def test_two_readers_of_one_video_go_on_where_they_stand(
    sources: list[VideoSource], opened: list[VideoReader]
) -> None:
    pool, both_inside = ReaderPool(), threading.Barrier(2)
    with pytest.MonkeyPatch.context() as patch:
        decode = VideoReader.decode

        def meet(self: VideoReader, frame_index: int) -> object:
            both_inside.wait(timeout=30)
            return decode(self, frame_index)

        patch.setattr(VideoReader, "decode", meet)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda i: pool.decode(sources[0], i), [3, 20]))
    assert pool.n_kept == 2
    for frame_index in (4, 21, 5, 22):
        pool.decode(sources[0], frame_index)
    positions = sorted(video.frame_index for video in pool._kept)
    assert positions == [5, 22]
    assert len(opened) == 2
    pool.close()


def test_a_reader_that_failed_is_not_used_again(
    sources: list[VideoSource], opened: list[VideoReader]
) -> None:
    pool = ReaderPool()
    with pytest.raises(SelectionError, match="there is no frame 30"):
        pool.decode(sources[0], N_FRAMES)
    assert pool.n_kept == 0
    assert all(map(is_closed, opened))
    assert pool.decode(sources[0], 1).frame_index == 1
    pool.close()


def test_a_replaced_file_is_opened_anew(sources: list[VideoSource], tmp_path: Path) -> None:
    pool, path = ReaderPool(), tmp_path / "video.mp4"
    source = VideoSource(path, tmp_path / "index.npz")
    for original in sources[:2]:
        shutil.copy(original.path, tmp_path / "new")
        (tmp_path / "new").replace(path)
        expected = decode_all(path)
        for frame_index in (2, 3):
            assert np.array_equal(pool.decode(source, frame_index).to_rgb(), expected[frame_index])
    assert pool.n_kept == 1
    (tmp_path / "new").write_bytes(b"not a video")
    (tmp_path / "new").replace(path)
    with pytest.raises(DecodeError):
        pool.decode(source, 2)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        pool.decode(source, 2)
    pool.close()


def test_nothing_is_left_open_when_nobody_holds_the_pool(sources: list[VideoSource]) -> None:
    folder = sources[0].path.parent
    pool = ReaderPool()
    for source in sources:
        pool.decode(source, 0)
    assert n_open_files(folder) == 3
    del pool
    gc.collect()
    assert n_open_files(folder) == 0


def _decode_in_child(pool: ReaderPool, source: VideoSource, frame_index: int) -> None:
    def check() -> bool:
        if n_open_files(source.path.parent):
            return False
        expected = decode_all(source.path)
        return np.array_equal(pool.decode(source, frame_index).to_rgb(), expected[frame_index])

    # In a thread of its own: the one that forked may have converted frames in the parent.
    with ThreadPoolExecutor(1) as thread:
        is_well = thread.submit(check).result()
    pool.close()
    sys.exit(0 if is_well else 3)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # threads of earlier tests
def test_no_decoder_crosses_a_fork(sources: list[VideoSource]) -> None:
    pool = ReaderPool(threads=2)
    pool.decode(sources[0], 3)
    child = multiprocessing.get_context("fork").Process(
        target=_decode_in_child, args=(pool, sources[0], 4)
    )
    child.start()
    try:
        expected = decode_all(sources[0].path)
        assert np.array_equal(pool.decode(sources[0], 4).to_rgb(), expected[4])
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()  # one that hangs would be waited for
    pool.close()


def test_pickled_it_is_an_empty_one(sources: list[VideoSource]) -> None:
    pool = ReaderPool(BYTES, threads=2)
    pool.decode(sources[0], 4)
    copy = pickle.loads(pickle.dumps(pool))
    assert (pool.n_kept, copy.n_kept) == (1, 0)
    for frame_index in (3, 8):
        copy.decode(sources[0], frame_index)
        copy.decode(sources[1], frame_index)
    assert copy.n_kept == 1  # the same budget
    copy.close()
    pool.close()
