"""Records and the log that holds them, made by hand."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from nersemble_async.cache.records import FileRecord, RecordLog

PATHS = ["nvs/a.pcd", "nvs/b.pcd", "svfr/EXP-3-cheeks+nose/ä.png"]


def record(path: str = PATHS[0], version: int = 0) -> FileRecord:
    """A record that differs with its version."""
    return FileRecord(
        path=path,
        size_bytes=10 + version,
        sha256=f"{version:064x}",
        blocks="0" * 16,
        grade="content",
        etag=f'"{version}"',
        last_modified=None,
        mtime_ns=1_700_000_000_000_000_000 + version,
        recorded_at="2026-11-02T10:00:00+00:00",
    )


def line(known: FileRecord) -> bytes:
    """As it stands in the log."""
    return json.dumps(asdict(known)).encode() + b"\n"


def removal(path: str) -> bytes:
    """The line that takes a record away."""
    return json.dumps({"path": path, "removed": True}).encode() + b"\n"


@contextmanager
def log_path(data: bytes | None = None) -> Iterator[Path]:
    """Where a log lies that holds ``data``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "records.jsonl")
        if data is not None:
            path.write_bytes(data)
        yield path


def reread(path: Path) -> dict[str, FileRecord]:
    """What a new process makes of a log."""
    return RecordLog(path).all()
