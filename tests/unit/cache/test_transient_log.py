"""The log of files on demand: order of use, shared, rewritten, torn."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.transient_log import TransientLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "transient.jsonl"


def put(log: TransientLog, *paths: str, size_bytes: int = 10) -> None:
    with log.locked():
        for one in paths:
            log.put(one, size_bytes)


def remove(log: TransientLog, path: str) -> None:
    with log.locked():
        log.remove(path)


def reread(path: Path) -> list[tuple[str, int]]:
    """What another process sees, in order."""
    log = TransientLog(path)
    log.refresh()
    return list(log.all().items())


def test_looking_creates_nothing(path: Path) -> None:
    assert reread(path) == []
    assert not path.parent.exists()


def test_the_order_is_that_of_use(path: Path) -> None:
    log = TransientLog(path)
    put(log, "a", "b", "c")
    put(log, "a", size_bytes=7)
    remove(log, "b")
    assert reread(path) == list(log.all().items()) == [("c", 10), ("a", 7)]
    assert log.total_bytes == 17
    assert log.newest == "a"


def test_processes_see_each_other(path: Path) -> None:
    one, other = TransientLog(path), TransientLog(path)
    put(one, "a", "b")
    put(other, "c", "a")
    remove(one, "b")
    other.refresh()
    one.refresh()
    assert list(one.all()) == list(other.all()) == ["c", "a"]
    assert one.total_bytes == other.total_bytes == 20


def test_it_is_rewritten_and_the_others_follow(path: Path) -> None:
    one, other = TransientLog(path), TransientLog(path)
    put(other, "x")
    draw = random.Random(0)
    for _ in range(60):
        put(one, *draw.choices("abcdef", k=100))
    put(one, "f")
    assert len(path.read_bytes().splitlines()) < 2300
    other.refresh()
    assert list(other.all().items()) == list(one.all().items()) == reread(path)
    put(other, "a")
    one.refresh()
    assert one.newest == "a"
    assert one.total_bytes == 70


def test_a_torn_line_is_passed_over(path: Path) -> None:
    log = TransientLog(path)
    put(log, "a", "b")
    with path.open("ab") as out:
        out.write(b'{"path":"c","size_by')
    assert [name for name, _ in reread(path)] == ["a", "b"]
    put(log, "d")
    assert list(log.all()) == [name for name, _ in reread(path)] == ["a", "b", "d"]
    put(TransientLog(path), "e")
    log.refresh()
    assert list(log.all()) == ["a", "b", "d", "e"]


def test_torn_in_its_head_it_begins_anew(path: Path) -> None:
    put(TransientLog(path), "a")
    path.write_bytes(path.read_bytes()[:30])
    log = TransientLog(path)
    put(log, "b")
    assert reread(path) == [("b", 10)]


def test_removed_by_somebody(path: Path) -> None:
    log = TransientLog(path)
    put(log, "a")
    path.unlink()
    log.refresh()
    assert log.all() == {}
    assert log.total_bytes == 0
    put(log, "b")
    assert reread(path) == [("b", 10)]


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "/etc/passwd", "size_bytes": 1},
        {"path": "nvs/../../x", "size_bytes": 1},
        {"path": "", "size_bytes": 1},
        {"path": "a", "size_bytes": -1},
        {"path": "a", "size_bytes": True},
        {"path": ["a"], "size_bytes": 1},
        {"size_bytes": 1},
        ["a", 1],
        7,
    ],
)
def test_what_is_no_line_of_ours_deletes_nothing(path: Path, fields: object) -> None:
    put(TransientLog(path), "good")
    with path.open("ab") as out:
        out.write(json.dumps(fields).encode() + b"\n\xff\x00\n")
    assert reread(path) == [("good", 10)]


def test_changed_within_the_lock_only(path: Path) -> None:
    log = TransientLog(path)
    with pytest.raises(RuntimeError, match="outside"):
        log.put("a", 1)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 99)), max_size=40))
def test_as_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int | None]]
) -> None:
    path = tmp_path_factory.mktemp("log") / "transient.jsonl"
    logs = [TransientLog(path), TransientLog(path)]
    model: dict[str, int] = {}
    for turn, (name, size) in enumerate(steps):
        with logs[turn % 2].locked():
            model.pop(name, None)
            if size is None:
                logs[turn % 2].remove(name)
            else:
                model[name] = size
                logs[turn % 2].put(name, size)
            assert logs[turn % 2].total_bytes == sum(model.values())
    assert reread(path) == list(model.items())
