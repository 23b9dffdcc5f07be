"""Files on demand within a limit: what goes, what stays, and after a death between two steps."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nersemble_async.cache.eviction import Room, TransientFiles
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.records import RecordLog
from nersemble_async.cache.store import LocalFile, LocalState, Store
from nersemble_async.errors import CacheError
from tests.support.corpora import state_files
from tests.support.records import record

A, B, C, D = (f"nvs/388/{name}.pcd" for name in "abcd")
SIZE = 100
LIMIT = 3 * SIZE


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def files(store: Store) -> TransientFiles:
    return TransientFiles(store)


def arrive(store: Store, path: str, size_bytes: int = SIZE) -> None:
    """The file under its name, with a record."""
    target = store.target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"x" * size_bytes)
    mtime_ns = target.stat().st_mtime_ns
    store.records.put(replace(record(path), size_bytes=size_bytes, mtime_ns=mtime_ns))


def bring(files: TransientFiles, store: Store, *paths: str) -> None:
    """Fetch on demand, one after another."""
    for path in paths:
        assert files.reserve(path, SIZE, LIMIT) is Room.RESERVED
        arrive(store, path)


def there(store: Store) -> set[str]:
    return {path for path in (A, B, C, D) if store.look(path).state is LocalState.COMPLETE}


def assert_gone(store: Store, path: str) -> None:
    """Nothing of it is left, in the records either."""
    assert store.look(path).state is LocalState.MISSING
    assert RecordLog(store.state_folder / "records.jsonl").get(path) is None
    assert state_files(store.root, "parts") == []
    assert path not in TransientFiles(store).all()


def test_the_least_recently_used_goes(files: TransientFiles, store: Store) -> None:
    bring(files, store, A, B, C)
    files.touch(A)
    bring(files, store, D)
    assert there(store) == {A, C, D}
    assert_gone(store, B)
    assert files.usage() == (3, LIMIT)


def test_what_was_there_is_neither_counted_nor_evicted(files: TransientFiles, store: Store) -> None:
    arrive(store, A)
    store.target(B).write_bytes(b"never recorded")
    assert files.reserve(A, SIZE, LIMIT) is Room.RESERVED
    assert files.reserve(B, SIZE, LIMIT) is Room.RESERVED
    assert files.usage() == (0, 0)
    files.touch(A)
    assert files.reserve(C, LIMIT, LIMIT) is Room.RESERVED
    assert store.target(A).exists()
    assert store.target(B).exists()


def test_a_part_of_a_fetch_on_purpose_stays_the_users(files: TransientFiles, store: Store) -> None:
    with store.open_partial(A) as part:
        part.begin(RemoteIdentity(SIZE, '"a"'))
        part.write(0, bytes(60))
    assert files.reserve(A, SIZE, LIMIT) is Room.RESERVED
    assert files.usage() == (0, 0)


def test_kept_it_is_transient_no_longer(files: TransientFiles, store: Store) -> None:
    bring(files, store, A, B, C)
    TransientFiles(store).keep([A, D])
    assert files.usage() == (2, 2 * SIZE)
    bring(files, store, D)
    assert there(store) == {A, B, C, D}
    assert files.reserve("nvs/e", LIMIT, LIMIT) is Room.RESERVED
    assert there(store) == {A}


def test_pinned_it_stays(files: TransientFiles, store: Store) -> None:
    bring(files, store, A, B, C)
    pins = [TransientFiles(store).pin(path) for path in (A, B)]
    assert all(pin.hold() for pin in pins)
    bring(files, store, D)
    assert there(store) == {A, B, D}
    assert files.reserve("nvs/e", 2 * SIZE, LIMIT) is Room.FULL
    assert there(store) == {A, B}, "as much as could go has gone"
    for pin in pins:
        pin.release()
    assert files.reserve("nvs/e", 2 * SIZE, LIMIT) is Room.RESERVED
    assert there(store) == {B}


def test_a_file_that_is_being_fetched_on_purpose_stays(files: TransientFiles, store: Store) -> None:
    """Another process resumes what a loader left."""
    assert files.reserve(A, SIZE, LIMIT) is Room.RESERVED
    with store.open_partial(A) as part:
        part.begin(RemoteIdentity(SIZE, '"a"'))
        part.write(0, bytes(60))
        assert files.reserve(B, LIMIT, LIMIT) is Room.FULL
    assert files.reserve(B, LIMIT, LIMIT) is Room.RESERVED
    assert_gone(store, A)


def test_larger_than_the_limit(files: TransientFiles, store: Store) -> None:
    bring(files, store, A)
    with pytest.raises(CacheError, match="NERSEMBLE_CACHE_LIMIT"):
        files.reserve(B, LIMIT + 1, LIMIT)
    assert there(store) == {A}, "nothing has gone in vain"
    assert files.reserve(B, LIMIT + 1, None) is Room.RESERVED


def test_a_lowered_limit_is_reached_in_short_steps(files: TransientFiles, store: Store) -> None:
    paths = [f"nvs/{number}" for number in range(40)]
    for path in paths:
        assert files.reserve(path, SIZE, None) is Room.RESERVED
        arrive(store, path)
    told = []
    while (room := files.reserve(A, SIZE, LIMIT)) is not Room.RESERVED:
        told.append(room)
    assert told == [Room.EVICTED] * 2
    assert files.usage() == (3, LIMIT)
    assert [path for path in paths if store.target(path).exists()] == paths[-2:]


def test_a_reservation_is_corrected(files: TransientFiles, store: Store) -> None:
    assert files.reserve(A, 0, LIMIT) is Room.RESERVED
    assert files.reserve(A, 250, LIMIT) is Room.RESERVED
    assert files.usage() == (1, 250)
    assert files.reserve(A, 50, LIMIT) is Room.RESERVED
    assert files.usage() == (1, 250), "another process, that knows less, takes nothing away"
    assert files.resize(A, 50, LIMIT) is Room.RESERVED
    assert files.usage() == (1, 50)
    arrive(store, A, 70)
    files.settle(A)
    assert files.usage() == (1, 70)


def test_without_room_for_its_real_size_it_holds_nothing(
    files: TransientFiles, store: Store
) -> None:
    bring(files, store, A, B)
    pins = [files.pin(path) for path in (A, B)]
    assert all(pin.hold() for pin in pins)
    assert files.reserve(C, SIZE, LIMIT) is Room.RESERVED
    assert files.resize(C, SIZE + 1, LIMIT) is Room.FULL
    assert files.usage() == (3, 2 * SIZE)
    assert files.reserve(D, SIZE, LIMIT) is Room.RESERVED
    for pin in pins:
        pin.release()


def test_looked_at_on_purpose_it_is_kept(files: TransientFiles, store: Store) -> None:
    assert [f.state for f in files.keep_and_look([A], store.look_at)] == [LocalState.MISSING]
    assert not store.state_folder.exists(), "looking creates nothing"
    bring(files, store, A, B)
    evictor = TransientFiles(store)

    def look(paths: Sequence[str]) -> list[LocalFile]:
        assert evictor.all().keys() == {B}
        return store.look_at(paths)

    found = TransientFiles(store).keep_and_look([A, C], look)
    assert [f.state for f in found] == [LocalState.COMPLETE, LocalState.MISSING]
    assert files.usage() == (1, SIZE)


def test_nothing_came_of_it(files: TransientFiles, store: Store) -> None:
    assert files.reserve(A, SIZE, LIMIT) is Room.RESERVED
    files.settle(A)
    assert files.usage() == (0, 0)
    assert_gone(store, A)
    assert files.reserve(B, SIZE, LIMIT) is Room.RESERVED
    pin = files.pin(B)  # somebody else still wants it
    pin.hold()
    files.settle(B)
    assert files.usage() == (1, SIZE)
    pin.release()


def test_the_record_that_another_process_wrote_goes_too(tmp_path: Path) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    bring(TransientFiles(one), one, A)
    assert TransientFiles(other).reserve(B, LIMIT, LIMIT) is Room.RESERVED
    assert_gone(other, A)


def test_published_on_purpose_between_the_look_and_the_line(
    files: TransientFiles, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked for a line to remove before there was one: it must be seen, and kept."""
    log_put = files._log.put

    def put_late(path: str, size_bytes: int) -> None:
        arrive(store, path)
        TransientFiles(store).keep([])  # as a fetch does, finding nothing
        log_put(path, size_bytes)

    monkeypatch.setattr(files._log, "put", put_late)
    assert files.reserve(A, SIZE, LIMIT) is Room.RESERVED
    assert files.usage() == (0, 0)
    assert there(store) == {A}


class DiedError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("calls", range(1, 8))
def test_dead_between_two_steps(
    files: TransientFiles, store: Store, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Before each of the steps of an eviction in turn: nothing wrong stands there afterwards."""
    bring(files, store, A, B, C)
    left = calls

    def dying(function: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                raise DiedError
            return function(*arguments, **named)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dying(Path.unlink))
        patch.setattr(store.records, "refresh", dying(store.records.refresh))
        patch.setattr(store.records, "remove", dying(store.records.remove))
        patch.setattr(files._log, "remove", dying(files._log.remove))
        with pytest.raises(DiedError):
            files.reserve(D, SIZE, LIMIT)
    after = Store(store.root)
    assert (after.look(A).state is LocalState.COMPLETE) == after.target(A).exists()
    assert {B, C} <= there(after)
    again = TransientFiles(after)
    assert again.reserve(D, SIZE, LIMIT) is Room.RESERVED
    arrive(after, D)
    assert_gone(after, A)
    assert there(after) == {B, C, D}
    assert again.usage() == (3, LIMIT)


def test_a_root_that_can_only_be_read(
    files: TransientFiles, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(files, store, A, B)

    def refuse(*_: object) -> int:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(files._log, "_open", refuse)
    files.touch(A)
    assert list(files.all()) == [A, B]
