"""The store of frames: what is read is what was written, whatever happened to the files."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from nersemble_async.cache.frame_segment import DATA_OFFSET, SEGMENT_FRAMES
from nersemble_async.cache.frame_space import list_segments
from nersemble_async.cache.frame_store import FrameStore
from nersemble_async.errors import CacheError
from tests.support.frame_bytes import SOURCE, TAG, VIDEO, PlainFrame, put, read

FRAMES = {0: b"zero" * 10, 3: b"three" * 7, 63: b"last of the first segment", 64: b"next", 200: b""}


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "frames")


def segment_of(store: FrameStore, number: int = 0, key: str = VIDEO) -> Path:
    return store.folder / key / f"{number:06d}.frames"


def test_frames_come_back_here_and_elsewhere(store: FrameStore) -> None:
    assert not store.folder.exists(), "looking creates nothing"
    assert read(store, 0) is None
    assert store.stored(VIDEO, SOURCE) == []
    for frame_index, data in FRAMES.items():
        assert put(store, frame_index, data)
    for reader in (store, FrameStore(store.folder)):
        assert {index: read(reader, index) for index in FRAMES} == FRAMES
        assert read(reader, 1) is None
        assert reader.stored(VIDEO, SOURCE) == sorted(FRAMES)
        assert reader.stored("nvs/another.mp4", SOURCE) == []


def test_a_reader_sees_what_another_store_writes_later(store: FrameStore) -> None:
    writer = FrameStore(store.folder)
    put(writer, 0, b"first")
    assert read(store, 0) == b"first"
    assert read(store, 1) is None
    put(writer, 1, b"second")
    assert read(store, 1) == b"second"


def test_what_is_there_stays(store: FrameStore) -> None:
    put(store, 0, b"first")
    size = segment_of(store).stat().st_size
    assert put(store, 0, b"other")
    assert read(store, 0) == b"first"
    assert segment_of(store).stat().st_size == size


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../outside", "nvs/../../outside", "."])
def test_keys_stay_inside_the_folder(store: FrameStore, key: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        put(store, 0, b"", key=key)
    with pytest.raises(ValueError, match="relative path"):
        read(store, 0, key=key)


# ---- sources that change ------------------------------------------------------------------------


def test_a_changed_source_has_no_frames_and_its_old_ones_are_dropped(store: FrameStore) -> None:
    other = FrameStore(store.folder)
    put(store, 0, b"old")
    put(store, 1, b"old too")
    assert read(other, 0) == b"old"
    assert read(store, 0, identity=b"new") is None
    assert store.stored(VIDEO, b"new") == []
    assert put(store, 0, b"new frame", identity=b"new")
    for reader in (store, other):
        assert read(reader, 0, identity=b"new") == b"new frame"
        assert read(reader, 1, identity=b"new") is None
        assert read(reader, 0) is None, "of the old source"
    assert store.used_bytes() == DATA_OFFSET + len(b"new frame")


def test_an_identity_is_not_taken_for_a_longer_one(store: FrameStore) -> None:
    put(store, 0, b"frame", identity=b"1234")
    assert read(store, 0, identity=b"123") is None
    assert read(store, 0, identity=b"12345") is None


# ---- damage -------------------------------------------------------------------------------------


def small_segment(folder: Path) -> tuple[Path, bytes, dict[int, bytes]]:
    frames = {0: b"abc" * 5, 7: b"defg" * 6, 63: b"hi" * 4}
    store = FrameStore(folder)
    for frame_index, data in frames.items():
        put(store, frame_index, data)
    path = segment_of(store)
    return path, path.read_bytes(), frames


def assert_none_wrong(folder: Path, frames: dict[int, bytes]) -> int:
    """Nothing but what was written; and it can be written again."""
    store = FrameStore(folder)
    found = {index: read(store, index) for index in (*frames, 1)}
    assert all(data in (None, frames.get(index)) for index, data in found.items())
    return sum(data is not None for data in found.values())


def test_cut_at_every_byte(tmp_path: Path) -> None:
    path, whole, frames = small_segment(tmp_path)
    assert len(whole) == DATA_OFFSET + 47
    seen = set()
    for length in (*range(0, DATA_OFFSET - 70, 97), *range(DATA_OFFSET - 70, len(whole))):
        path.write_bytes(whole[:length])
        seen.add(assert_none_wrong(tmp_path, frames))
    assert seen == {0, 1, 2}
    path.write_bytes(whole)
    assert assert_none_wrong(tmp_path, frames) == 3


def test_every_byte_flipped(tmp_path: Path) -> None:
    path, whole, frames = small_segment(tmp_path)
    slots = range(4096, DATA_OFFSET)
    used = [at for at in slots if (at - 4096) // 64 in (0, 1, 7, 63)]
    for at in (*range(80), *used, *range(DATA_OFFSET, len(whole))):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        assert assert_none_wrong(tmp_path, frames) >= (0 if at < 80 else 2)


def test_a_slot_in_another_place_is_none(tmp_path: Path) -> None:
    path, whole, _ = small_segment(tmp_path)
    path.write_bytes(whole[:4160] + whole[4096:4160] + whole[4224:])
    assert read(FrameStore(tmp_path), 1) is None


def test_damage_is_stored_anew(tmp_path: Path) -> None:
    path, whole, frames = small_segment(tmp_path)
    store = FrameStore(tmp_path)
    assert read(store, 7) == frames[7]
    path.write_bytes(whole[:-10] + b"!" + whole[-9:])  # in the midst of a use
    assert read(store, 63) == frames[63]
    at = whole.index(frames[7])
    path.write_bytes(whole[:at] + b"!" + whole[at + 1 :])
    assert read(store, 7) is None
    assert store.stored(VIDEO, SOURCE) == [0, 63]
    assert put(store, 7, frames[7])
    assert {index: read(store, index) for index in frames} == frames


def test_a_file_that_is_no_segment_is_replaced(store: FrameStore) -> None:
    path = segment_of(store)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    assert read(store, 0) is None
    assert put(store, 0, b"frame")
    assert read(store, 0) == b"frame"


def test_discarded_frames_are_stored_anew(store: FrameStore) -> None:
    put(store, 0, b"unknown to this version")
    put(store, 1, b"known")
    store.discard(VIDEO, SOURCE, 0)
    store.discard(VIDEO, SOURCE, 5)  # never was
    assert store.stored(VIDEO, SOURCE) == [1]
    put(store, 0, b"new")
    assert read(store, 0) == b"new"


# ---- the limit ----------------------------------------------------------------------------------

FRAME = bytes(1000)
SEGMENT_BYTES = DATA_OFFSET + len(FRAME)


def limited(folder: Path, n_segments: int) -> FrameStore:
    """Room for so many segments of one frame each."""
    return FrameStore(folder, n_segments * SEGMENT_BYTES)


def age(store: FrameStore) -> None:
    """Let everything be used an hour earlier than it was, in the order of video names."""
    for at, segment in enumerate(sorted(list_segments(store.folder), key=lambda s: s.path)):
        time_ns = segment.used_ns - 3600 * 10**9 + at * 10**9
        os.utime(segment.path, ns=(time_ns, time_ns))


def keys(store: FrameStore) -> set[str]:
    return {
        segment.path.parent.relative_to(store.folder).as_posix()
        for segment in list_segments(store.folder)
    }


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = limited(tmp_path, 3)
    for key in ("a", "b", "c"):
        assert put(store, 0, FRAME, key=key)
    age(store)
    assert read(FrameStore(tmp_path), 0, key="a") == FRAME, "another process reads it"
    assert put(store, 0, FRAME, key="d")
    assert keys(store) == {"a", "c", "d"}
    assert store.used_bytes() == 3 * SEGMENT_BYTES


def test_pinned_videos_stay(tmp_path: Path) -> None:
    store, other = limited(tmp_path, 2), limited(tmp_path, 2)
    put(store, 0, FRAME, key="a")
    put(store, 0, FRAME, key="b")
    age(store)
    with other.pin("a"), other.pin("a"):
        assert put(store, 0, FRAME, key="c")
        assert keys(store) == {"a", "c"}
        with store.pin("c"):
            assert not put(store, 0, FRAME, key="d"), "everything is in use"
            assert not put(store, 0, FRAME, key="d")
            assert keys(store) == {"a", "c"}
    assert put(limited(tmp_path, 2), 0, FRAME, key="d")
    assert keys(store) == {"c", "d"}


def test_after_a_vain_search_it_is_not_searched_at_once_again(tmp_path: Path) -> None:
    store = limited(tmp_path, 1)
    put(store, 0, FRAME, key="a")
    with store.pin("a"):
        assert not put(store, 0, FRAME, key="b")
    refused = 0
    while not put(store, 0, FRAME, key="b"):
        refused += 1
        assert refused < 100
    assert keys(store) == {"b"}


def test_the_segment_that_grows_is_not_evicted_for_itself(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, SEGMENT_BYTES + 10)
    assert put(store, 0, FRAME)
    assert not put(store, 1, FRAME)
    assert read(store, 0) == FRAME
    assert not put(FrameStore(tmp_path / "tiny", 10), 0, FRAME)


def test_eviction_frees_room_that_readers_hold_open(tmp_path: Path) -> None:
    store, reader = limited(tmp_path, 1), FrameStore(tmp_path)
    put(store, 0, FRAME, key="a")
    assert read(reader, 0, key="a") == FRAME
    assert put(store, 0, FRAME, key="b")
    ours = [file for file in psutil.Process().open_files() if "/a/" in file.path]
    assert sum(os.fstat(file.fd).st_size for file in ours) == 0
    assert read(reader, 0, key="a") is None
    assert read(reader, 0, key="b") == FRAME


def test_a_lost_count_is_counted_anew(tmp_path: Path) -> None:
    store = limited(tmp_path, 2)
    put(store, 0, FRAME, key="a")
    for damage in (b"", b"nonsense nonsense nonsense"):
        (tmp_path / "usage").write_bytes(damage)
        put(store, 0, FRAME, key="b")
        put(store, 0, FRAME, key="c")
        assert store.used_bytes() == 2 * SEGMENT_BYTES


def test_files_removed_by_hand_are_no_harm(tmp_path: Path) -> None:
    store = limited(tmp_path, 2)
    put(store, 0, FRAME, key="a")
    segment_of(store, key="a").unlink()
    assert read(store, 0, key="a") is None
    for key in ("b", "c"):
        assert put(store, 0, FRAME, key=key)
    assert keys(store) == {"b", "c"}


# ---- folders that cannot be written to, threads -------------------------------------------------


def test_a_folder_that_cannot_be_made_is_a_cache_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = FrameStore(tmp_path / "file" / "frames")
    assert read(store, 0) is None
    assert store.stored(VIDEO, SOURCE) == []
    with pytest.raises(CacheError, match="frames"):
        put(store, 0, b"frame")
    with store.pin(VIDEO):
        pass


def test_threads_write_and_read_at_once(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, 20 * SEGMENT_BYTES)
    wrong = threading.Event()

    def work(number: int) -> None:
        for step in range(60):
            frame_index = (number * 7 + step * 13) % (6 * SEGMENT_FRAMES)
            expected = frame_index.to_bytes(4, "big") * 250
            if read(store, frame_index) not in (None, expected):
                wrong.set()
            put(store, frame_index, expected)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert not wrong.is_set()
    assert store.used_bytes() <= 20 * SEGMENT_BYTES


def test_closing_leaves_no_file_open_and_it_opens_again(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    store = FrameStore(tmp_path)
    for number in range(200):
        put(store, number * SEGMENT_FRAMES, b"frame")
        assert read(store, number * SEGMENT_FRAMES) == b"frame"
    assert psutil.Process().num_fds() < before + 150, "so many segments are not all kept open"
    store.close()
    assert psutil.Process().num_fds() == before
    assert read(store, 0) == b"frame"
    assert put(store, 1, b"frame")
    store.close()
    assert psutil.Process().num_fds() == before


def test_tags_and_identities_have_a_size(store: FrameStore) -> None:
    with pytest.raises(ValueError, match="tag"):
        store.put(VIDEO, SOURCE, 0, TAG + b"!", memoryview(b""))
    with pytest.raises(ValueError, match="identity"):
        store.put(VIDEO, bytes(2000), 0, TAG, memoryview(b""))
    assert PlainFrame(TAG, 3).buffer.nbytes == 3
