"""The log of records with several readers and writers: threads, instances, processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nersemble_async.cache import records
from nersemble_async.cache.records import FileRecord, RecordLog
from tests.support.records import PATHS, line, log_path, record, reread

STEPS = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["put", "remove", "refresh", "reopen"]),
    st.sampled_from(PATHS),
    st.integers(0, 99),
)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=15))
def test_two_instances_end_with_the_newest(steps: list[tuple[int, str, str, int]]) -> None:
    model: dict[str, FileRecord] = {}
    with log_path() as path:
        logs = [RecordLog(path), RecordLog(path)]
        for which, step, name, version in steps:
            if step == "put":
                logs[which].put(record(name, version))
                model[name] = record(name, version)
            elif step == "remove":
                logs[which].refresh()
                logs[which].remove(name)
                model.pop(name, None)
            elif step == "refresh":
                logs[which].refresh()
                assert logs[which].all() == model
            else:
                logs[which] = RecordLog(path)
        for log in logs:
            log.refresh()
            assert log.all() == model


def test_a_line_that_is_not_whole_yet_is_read_later(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    text = line(record())
    path.write_bytes(text[:20])
    log = RecordLog(path)
    assert log.all() == {}
    with path.open("ab") as file:
        file.write(text[20:])
    log.refresh()
    assert log.all() == {PATHS[0]: record()}


def test_a_log_that_was_replaced_or_cut_is_read_anew(tmp_path: Path) -> None:
    """Whoever deletes it may get the same inode for the new one."""
    path = tmp_path / "records.jsonl"
    log = RecordLog(path)
    for version in range(5):
        log.put(record(PATHS[0], version))
    log.refresh()
    path.write_bytes(line(record(PATHS[1])))
    log.refresh()
    assert log.all() == {PATHS[1]: record(PATHS[1])}


def test_threads_share_one_instance(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "records.jsonl")

    def put_all(number: int) -> None:
        for version in range(25):
            log.put(record(f"nvs/{number}", version))
            log.refresh()

    threads = [threading.Thread(target=put_all, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"nvs/{number}": record(f"nvs/{number}", 24) for number in range(4)}
    assert log.all() == reread(tmp_path / "records.jsonl") == expected


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from nersemble_async.cache.records import FileRecord, RecordLog

path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
log = RecordLog(path)
known = FileRecord(name, 0, "0" * 64, "", "content", None, None, 0, "")
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    log.put(replace(known, path=f"{name}/{number}", mtime_ns=number))
    log.put(replace(known, path=f"{name}/newest", mtime_ns=number))
"""


@contextmanager
def writers(path: Path, count: int, puts: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that append at the same time; all begin when all are ready."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(path), f"nvs/{name}", str(puts)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for name in range(count)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield processes


def everything_put(count: int, puts: int) -> dict[str, int]:
    """Time by path, as the writers leave it."""
    expected = {f"nvs/{name}/{number}": number for name in range(count) for number in range(puts)}
    return expected | {f"nvs/{name}/newest": puts - 1 for name in range(count)}


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    with writers(path, 2, 150) as processes:
        assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert {p: known.mtime_ns for p, known in reread(path).items()} == everything_put(2, 150)
    assert len([json.loads(text) for text in path.read_bytes().splitlines()]) == 2 * 2 * 150


def test_compaction_while_others_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_GARBAGE_LINES", 0)
    path = tmp_path / "records.jsonl"
    rewritten = set()
    watcher = RecordLog(path)
    with writers(path, 2, 150) as processes:
        while any(process.poll() is None for process in processes):
            RecordLog(path)
            watcher.refresh()
            if path.exists():
                rewritten.add(path.stat().st_ino)
        assert [process.returncode for process in processes] == [0, 0]
    watcher.refresh()
    for found in (watcher.all(), reread(path)):
        assert {p: known.mtime_ns for p, known in found.items()} == everything_put(2, 150)
    assert len(rewritten) > 1, "it was compacted meanwhile"


FULL = """
import resource, sys
from pathlib import Path
from nersemble_async.cache.records import FileRecord, RecordLog

log = RecordLog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    log.put(FileRecord("nvs/no room", 0, "0" * 64, "", "content", None, None, 0, ""))
except OSError:
    print("refused", log.all().keys())
"""


@pytest.mark.parametrize("room_bytes", [0, 1, 100])
def test_no_room_for_a_whole_line_is_no_silence(tmp_path: Path, room_bytes: int) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(line(record()))
    limit = str(path.stat().st_size + room_bytes)
    arguments = [sys.executable, "-c", FULL, str(path), limit]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"refused dict_keys(['{PATHS[0]}'])\n"
    assert path.stat().st_size == int(limit)
    RecordLog(path).put(record(PATHS[1]))
    assert reread(path) == {name: record(name) for name in PATHS[:2]}
