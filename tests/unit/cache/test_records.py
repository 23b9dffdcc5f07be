"""The log of records: what is written, and what torn and damaged lines come to."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache import records
from nersemble_async.cache.records import FileRecord, RecordLog
from tests.support.records import PATHS, line, log_path, record, removal, reread

# ---- what is read -------------------------------------------------------------------------------


def test_nothing_is_created_by_looking(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "state" / "records.jsonl")
    assert (log.all(), log.get("x")) == ({}, None)
    log.remove("x")
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file_holds_no_records(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"")
    assert reread(tmp_path / "root" / "records.jsonl") == {}


def test_put_get_remove_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "records.jsonl"
    log = RecordLog(path)
    for version, name in enumerate(PATHS):
        log.put(record(name, version))
    log.put(record(PATHS[0], 9))
    log.remove(PATHS[1])
    expected = {PATHS[0]: record(PATHS[0], 9), PATHS[2]: record(PATHS[2], 2)}
    assert log.all() == reread(path) == expected
    assert log.get(PATHS[0]) == record(PATHS[0], 9)
    assert log.get(PATHS[1]) is None
    assert len(path.read_bytes().splitlines()) == 5


WHOLE_LINES = st.one_of(
    st.builds(record, st.sampled_from(PATHS), st.integers(0, 99)).map(line),
    st.sampled_from(PATHS).map(removal),
)
TORN_LINES = st.tuples(WHOLE_LINES, st.integers(0, 400)).map(
    lambda torn: torn[0][: min(torn[1], len(torn[0]) - 2)] + b"\n"
)


def model_of(lines: list[bytes]) -> dict[str, FileRecord]:
    model: dict[str, FileRecord] = {}
    for text in lines:
        fields = json.loads(text)
        if fields.get("removed"):
            model.pop(fields["path"], None)
        else:
            model[fields["path"]] = FileRecord(**fields)
    return model


@given(st.lists(st.tuples(st.booleans(), WHOLE_LINES, TORN_LINES), max_size=8), st.data())
def test_torn_lines_cost_themselves_alone(
    pieces: list[tuple[bool, bytes, bytes]], data: st.DataObject
) -> None:
    whole = [text for is_torn, text, _ in pieces if not is_torn]
    # The last line may lack its newline: a crash tore it and nobody has written since.
    last = data.draw(WHOLE_LINES)
    end = last[: data.draw(st.integers(0, len(last) - 2))]
    written = b"".join(torn if is_torn else text for is_torn, text, torn in pieces) + end
    with log_path(written) as path:
        assert reread(path) == model_of(whole)
        RecordLog(path).put(record("nvs/next", 1))
        assert reread(path) == {**model_of(whole), "nvs/next": record("nvs/next", 1)}


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_arbitrary_lines_are_passed_over(garbage: list[bytes]) -> None:
    pieces = [piece.replace(b"\n", b"") + b"\n" for piece in garbage]
    with log_path(b"".join([line(record()), *pieces, line(record(PATHS[1]))])) as path:
        assert reread(path) == {name: record(name) for name in PATHS[:2]}


DAMAGED: list[object] = [
    5,
    None,
    "text",
    True,
    [],
    [["removed", True]],
    {},
    {"removed": True},
    {"removed": True, "path": []},
    {"path": PATHS[0]},
    asdict(record()) | {"path": []},
    asdict(record()) | {"path": None},
    asdict(record()) | {"size_bytes": "10"},
    asdict(record()) | {"size_bytes": None},
    asdict(record()) | {"size_bytes": -1, "blocks": ""},
    asdict(record()) | {"size_bytes": 1.5},
    asdict(record()) | {"size_bytes": True},
    asdict(record()) | {"sha256": 5},
    asdict(record()) | {"blocks": None},
    asdict(record()) | {"blocks": "0" * 15},
    asdict(record()) | {"grade": []},
    asdict(record()) | {"etag": 5},
    asdict(record()) | {"last_modified": {}},
    asdict(record()) | {"mtime_ns": "1"},
    asdict(record()) | {"from a later version": 1},
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=repr)
def test_json_that_is_no_record_is_passed_over(damaged: object) -> None:
    with log_path(line(record()) + json.dumps(damaged).encode() + b"\n") as path:
        assert reread(path) == {PATHS[0]: record()}


def test_endless_nesting_is_passed_over() -> None:
    with log_path(b"[" * 100_000 + b"\n" + line(record())) as path:
        assert reread(path) == {PATHS[0]: record()}


# ---- compaction ---------------------------------------------------------------------------------


def test_outdated_lines_go_when_there_are_many(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    outdated = b"".join(line(record(PATHS[0], version)) for version in range(2001))
    newest = line(record(PATHS[0], 5000)) + line(record(PATHS[1], 1)) + removal(PATHS[1])
    path.write_bytes(outdated)
    RecordLog(path)
    assert path.read_bytes() == outdated, "few enough"
    path.write_bytes(outdated + newest + b'{"torn')
    log = RecordLog(path)
    assert log.all() == reread(path) == {PATHS[0]: record(PATHS[0], 5000)}
    assert len(path.read_bytes().splitlines()) == 1
    log.put(record(PATHS[1], 2))
    assert reread(path) == {PATHS[0]: record(PATHS[0], 5000), PATHS[1]: record(PATHS[1], 2)}


def test_where_it_cannot_be_rewritten_it_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A colleague's root that can only be read, for example."""
    monkeypatch.setattr(records, "_GARBAGE_LINES", 0)
    path = tmp_path / "records.jsonl"
    path.write_bytes(line(record()) + line(record(version=2)))
    (tmp_path / "records.jsonl.new").mkdir()
    assert reread(path) == {PATHS[0]: record(version=2)}


# ---- one record ---------------------------------------------------------------------------------


def test_a_record_knows_its_file_by_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    stat = file.stat()
    known = replace(record(), mtime_ns=stat.st_mtime_ns)
    assert known.matches(stat)
    os.utime(file, ns=(0, stat.st_mtime_ns + 1))
    assert not known.matches(file.stat())
    touched = known.touched(file.stat())
    assert touched.matches(file.stat())
    assert (touched.sha256, touched.grade) == (known.sha256, known.grade)
    file.write_bytes(b"01234567890")
    os.utime(file, ns=(0, touched.mtime_ns))
    assert not touched.matches(file.stat())
