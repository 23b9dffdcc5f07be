"""``validate``: exit codes, JSON, and words for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nersemble_async.cli.app import main
from nersemble_async.cli.validate_report import validate_lines
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.submission.rules import RULES, breach
from tests.support.broken_zips import MONO, POSED, write_zip
from tests.support.submission_files import ascii_ply, good_video, head, ply, small_head
from tests.support.submissions import metadata_json

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # so that it is put back afterwards
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["validate", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run_it


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    """Of all posed meshes, with a warning for one."""
    mesh, last = ply(*head()), ascii_ply(*head())
    contents = [(path, mesh) for path in POSED[:-1]]
    return write_zip(tmp_path / "svfr.zip", [*contents, (POSED[-1], last)])


def test_a_warning_leaves_it_valid_unless_strict(run: Run, valid: Path) -> None:
    code, out, err = run("svfr", str(valid))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "warning ascii-mesh: the mesh is an ASCII PLY"
    assert out.splitlines()[-1] == (
        f"Valid, but look at the warnings: 0 errors, 1 warning in {valid} (391 files, svfr)"
    )
    code, out, _ = run("svfr", str(valid), "--strict", "--format", "json")
    document = json.loads(out)
    assert code == document["exit_code"] == 1
    assert (document["valid"], document["errors"], document["warnings"]) == (False, 0, 1)


def test_the_json_report_has_what_it_promises(run: Run, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "out.zip", [(MONO[0], good_video("mono_flame_avatar"))])
    (tmp_path / "metadata.json").write_text(metadata_json("mono_flame_avatar", 7), "utf-8")
    code, out, err = run(
        *("mono_flame_avatar", "out.zip", "--metadata", "metadata.json", "--format", "json")
    )
    assert (code, err) == (1, "")
    document = json.loads(out)
    head = ["schema_version", "command", "root", "exit_code", "error"]
    own = ["path", "task", "valid", "strict", "deep", "entries", "errors", "warnings"]
    assert list(document) == [*head, *own, "issues", "not_checked", "official"]
    assert document["path"] == path.name
    assert document["issues"][0] == {
        "rule": "wrong-frame-count",
        "severity": "error",
        "entry": MONO[0],
        "found": "3 frames",
        "expected": "7 frames",
        "fix": RULES["wrong-frame-count"].fix,
    }
    assert document["official"]["wrong_frame_counts"] == [[MONO[0], 3, 7]]
    assert len(document["official"]["missing_files"]) == 79


def test_many_of_a_rule_are_counted_and_few_are_listed(run: Run, tmp_path: Path) -> None:
    write_zip(tmp_path / "out.zip", [])
    code, out, _ = run("nvs", "out.zip")
    lines = out.splitlines()
    assert code == 1
    assert lines[0] == "error missing-entry: an entry is missing (15 times)"
    assert lines[1] == "  found nothing; expected a video"
    assert sum(line.endswith(".mp4") for line in lines) == 5
    assert "  and 10 more (--format json lists all)" in lines
    assert lines[-1] == "Not valid: 15 errors, 0 warnings in out.zip (0 files, nvs)"


def test_what_is_no_zip_is_invalid_not_a_crash(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_bytes(b"<html>")
    code, out, _ = run("nvs", "out.zip")
    assert code == 1
    assert out.splitlines()[0] == "error not-a-zip: the file is no zip, or is cut off"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nvs", "nowhere.zip"), "nowhere.zip"),
        (("nvs", "."), "'.'"),
        (("nvx", "out.zip"), "'nvx' is not a task; there are nvs, mono_flame_avatar, svfr"),
        (("nvs",), "ZIP"),
        (("nvs", "out.zip", "--metadata", "nowhere.json"), "nowhere.json"),
        (("nvs", "out.zip", "--metadata", "out.zip"), "--metadata: out.zip"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    write_zip(tmp_path / "out.zip", [])
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert told in err


def test_every_rule_is_listed(run: Run) -> None:
    code, out, _ = run("--rules")
    assert code == 0
    assert out.count("\n") == 2 * len(RULES)
    assert all(f"{rule} (" in out for rule in RULES)


def report(*names: str) -> SubmissionReport:
    issues = tuple(breach("unsafe-entry", name, "x", "y") for name in names)
    return SubmissionReport(Path("out.zip"), "nvs", issues, len(names), deep=False)


def test_names_cannot_write_to_the_terminal() -> None:
    text = "\n".join(
        line.text for line in validate_lines(report("a\x1b[2Jb", "a\0\u202eb\udcff"), strict=False)
    )
    assert "a\\x1b[2Jb" in text
    assert "a\\x00\\u202eb\\udcff" in text
    text.encode()


def test_a_video_that_was_not_decoded_whole_is_not_called_checked() -> None:
    (line,) = validate_lines(report(), strict=True)
    assert line.text.endswith("not every frame decoded: --deep does")
    assert line.style == "good"


def test_meshes_without_faults_are_valid(run: Run, tmp_path: Path) -> None:
    write_zip(tmp_path / "out.zip", [(POSED[0], ply(*small_head()))])
    code, out, _ = run("svfr", "out.zip")
    assert code == 1
    assert "error missing-landmarks" in out
