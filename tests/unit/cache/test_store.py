"""A root: where things lie, what is there, and damaged files turned back into part files."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.records import FileRecord
from nersemble_async.cache.store import LocalFile, LocalState, Store
from nersemble_async.errors import CacheError, CacheLockedError
from tests.support.part_files import evidence, finish, recheck

PATH = "svfr/078/EXP-3-cheeks+nose_78_222200045/image.png"
BODY = random.Random(5).randbytes(3 * BLOCK_BYTES + 77)
IDENTITY = RemoteIdentity(len(BODY), '"a"')


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "root")


def put(store: Store, body: bytes = BODY) -> FileRecord:
    """The file under its final name, and its record."""
    target = store.target(PATH)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(body)
    sha256, blocks = evidence(body, BLOCK_BYTES)
    mtime_ns = target.stat().st_mtime_ns
    record = FileRecord(
        PATH, len(body), sha256, blocks, "content", '"a"', None, mtime_ns, "2026-11-02T10:00:00"
    )
    store.records.put(record)
    return record


# ---- looking ------------------------------------------------------------------------------------


def test_looking_creates_nothing(store: Store) -> None:
    assert store.look(PATH) == LocalFile(PATH, LocalState.MISSING, 0, None, None)
    assert store.visible_files("svfr") == []
    assert store.free_bytes() > 0
    store.sweep()
    assert not store.root.exists()


def test_everything_of_ours_lies_in_the_state_folder(store: Store) -> None:
    own = {store.part(PATH), store.journal(PATH), store.quarantine(PATH)}
    assert len(own) == 3
    assert all(path.is_relative_to(store.state_folder) for path in own)
    assert store.target(PATH) == store.root / PATH
    assert store.part("a/b") != store.part("a_b")
    assert len({path.parent for path in own}) == 2, "flat folders"


def test_complete_and_touched(store: Store) -> None:
    record = put(store)
    size = len(BODY)
    assert store.look(PATH) == LocalFile(PATH, LocalState.COMPLETE, size, size, record)
    os.utime(store.target(PATH))
    assert store.look(PATH) == LocalFile(PATH, LocalState.UNRECORDED, size, None, record)
    store.records.remove(PATH)
    assert store.look(PATH) == LocalFile(PATH, LocalState.UNRECORDED, size, None, None)


def test_a_record_without_its_file_says_nothing(store: Store) -> None:
    """It is written before the file gets its name."""
    record = put(store)
    store.target(PATH).unlink()
    assert store.look(PATH) == LocalFile(PATH, LocalState.MISSING, 0, None, record)


def test_partial(store: Store) -> None:
    with store.open_partial(PATH) as part:
        part.begin(IDENTITY)
        assert store.look(PATH).state is LocalState.MISSING, "nothing received yet"
        part.write(BLOCK_BYTES, BODY[BLOCK_BYTES : 2 * BLOCK_BYTES])
        part.write(10, BODY[10:20])
    expected = LocalFile(PATH, LocalState.PARTIAL, BLOCK_BYTES + 10, len(BODY), None)
    assert store.look(PATH) == expected
    assert store.look_at(["nvs/x", PATH]) == [store.look("nvs/x"), expected]
    store.part(PATH).unlink()
    assert store.look(PATH).state is LocalState.MISSING


def test_bytes_that_are_claimed_twice_count_once(store: Store) -> None:
    """A power loss took a block, and it was fetched and journalled again."""
    for _ in range(2):
        with store.open_partial(PATH) as part:
            recheck(part)
            if part.identity is None:
                part.begin(IDENTITY)
            part.write(0, BODY[:BLOCK_BYTES])
        os.truncate(store.part(PATH), 0)
    assert store.look(PATH).local_bytes == BLOCK_BYTES


@pytest.mark.parametrize("there", ["root", "svfr"])
def test_a_file_where_a_folder_should_be(store: Store, there: str) -> None:
    target = store.root if there == "root" else store.root / there
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"")
    assert Store(store.root).look(PATH).state is LocalState.MISSING
    assert store.visible_files("svfr") == []


def test_visible_files_are_those_of_a_task(store: Store) -> None:
    put(store)
    for name in ("nvs/metadata.json", "svfr/b/c.txt", "svfr/a.txt"):
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_bytes(b"")
    assert store.visible_files("svfr") == [PATH, "svfr/a.txt", "svfr/b/c.txt"]
    assert store.visible_files("nvs") == ["nvs/metadata.json"]


# ---- writing ------------------------------------------------------------------------------------


def test_make_ready(store: Store, tmp_path: Path) -> None:
    store.make_ready()
    store.make_ready()
    assert (store.root / ".nersemble_async" / "parts").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match=r"file cannot be written to: (Not a dir|File exists)"):
        Store(tmp_path / "file").make_ready()


def test_one_process_at_a_time_writes_a_file(store: Store) -> None:
    with store.open_partial(PATH):
        with pytest.raises(CacheLockedError):
            Store(store.root).open_partial(PATH)
        Store(store.root).open_partial("nvs/other").close()


def test_sweep_removes_what_a_kill_left(store: Store) -> None:
    with store.open_partial(PATH) as part:
        part.begin(IDENTITY)
        part.write(0, BODY[:10])
    orphan = store.journal("nvs/388/frame_00000.pcd")
    orphan.write_bytes(store.journal(PATH).read_bytes())
    store.sweep()
    assert not orphan.exists()
    assert store.look(PATH).state is LocalState.PARTIAL


def test_set_aside_keeps_the_newest_copy(store: Store) -> None:
    for body in (b"one", b"two"):
        put(store, body)
        store.set_aside(PATH)
        assert store.look(PATH).state is LocalState.MISSING
        assert store.quarantine(PATH).read_bytes() == body


# ---- repair -------------------------------------------------------------------------------------


@pytest.mark.parametrize("damaged", [set(), {1}, {0, 3}, {0, 1, 2, 3}])
def test_reopened_for_repair_it_lacks_the_damaged_blocks(store: Store, damaged: set[int]) -> None:
    record = put(store)
    with store.target(PATH).open("r+b") as file:
        for index in damaged:
            file.seek(index * BLOCK_BYTES)
            file.write(b"xx")
    store.reopen_for_repair(record, damaged)
    assert not store.target(PATH).exists()
    with store.open_partial(PATH) as part:
        recheck(part)
        if part.identity is None:
            assert damaged == {0, 1, 2, 3}
            return
        assert part.identity == IDENTITY
        starts = {gap.start + o for gap in part.missing() for o in range(0, len(gap), BLOCK_BYTES)}
        assert starts == {index * BLOCK_BYTES for index in damaged}
        for start in starts:
            part.write(start, BODY[start : start + BLOCK_BYTES])
        assert finish(part, len(BODY)) == (record.sha256, record.blocks)


@pytest.mark.parametrize("size_bytes", [0, 5, BLOCK_BYTES, len(BODY) - 1, len(BODY) + 9])
def test_a_file_of_another_length_is_repaired_too(store: Store, size_bytes: int) -> None:
    record = put(store)
    store.target(PATH).write_bytes((BODY + bytes(9))[:size_bytes])
    store.reopen_for_repair(record, {3})
    with store.open_partial(PATH) as part:
        recheck(part)
        right = min(size_bytes // BLOCK_BYTES, 3) * BLOCK_BYTES
        assert part.present_bytes == right
        if part.identity is None:
            assert right == 0
            part.begin(IDENTITY)
        for gap in part.missing():
            for start in range(gap.start, gap.stop, BLOCK_BYTES):
                part.write(start, BODY[start : start + BLOCK_BYTES])
        assert finish(part, len(BODY)) == (record.sha256, record.blocks)
        assert part.sync(len(BODY)).st_size == len(BODY)


def test_a_file_that_another_process_writes_is_not_repaired(store: Store) -> None:
    record = put(store)
    with store.open_partial(PATH), pytest.raises(CacheLockedError):
        store.reopen_for_repair(record, {1})
    assert store.look(PATH).state is LocalState.COMPLETE, "left as it was"


def test_a_record_of_no_version_of_the_file_repairs_nothing(store: Store) -> None:
    record = put(store)
    other = replace(record, blocks="0" * len(record.blocks))
    store.reopen_for_repair(other, set())
    with store.open_partial(PATH) as part:
        recheck(part)
        assert part.present_bytes == 0
