"""The full-size layout: every documented path, contents that pass, no two alike."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from nersemble_async.benchmark.spec import TASKS, FileKind
from nersemble_async.formats.content import check_content
from nersemble_async.synthetic.tiny_layout import published_files, write_tiny_layout


def test_counts_are_the_documented_ones() -> None:
    files = {task: list(published_files(task)) for task in TASKS}
    kinds = Counter(file.kind for file in files["nvs"])
    assert sum(kinds.values()) - 1 == 3651  # metadata.json is not counted there
    assert kinds == {FileKind.JSON: 6, FileKind.MP4: 130, FileKind.PCD: 3516}
    assert Counter(file.kind for file in files["mono_flame_avatar"]) == {
        FileKind.JSON: 6,
        FileKind.MP4: 2 * 90,
        FileKind.NPZ: 90 + 110,
    }
    assert Counter(file.kind for file in files["svfr"]) == {FileKind.PNG: 391}
    paths = [file.path for task in TASKS for file in files[task]]
    assert len(set(paths)) == len(paths)


def test_contents_pass_and_differ(tmp_path: Path) -> None:
    files = write_tiny_layout(tmp_path, tasks=["mono_flame_avatar", "svfr"])
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {file.path for file in files}
    digests = set()
    for file in files:
        path = tmp_path / file.path
        check_content(path, file.kind, file.n_frames, file.path)
        digests.add(hashlib.sha256(path.read_bytes()).digest())
    assert len(digests) == len(files)
