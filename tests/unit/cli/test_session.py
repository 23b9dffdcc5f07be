"""Errors become messages and exit codes; what is not ours stays a traceback."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.secrecy import Scrubber
from nersemble_async.cli.session import Session, exit_code_of, run_command
from nersemble_async.errors import (
    AccessDeniedError,
    CacheError,
    ConfigurationError,
    DiskFullError,
    IntegrityError,
    MetadataError,
    MissingBenchmarkUrlError,
    NersembleError,
    SelectionError,
    TransientFetchError,
)
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (SelectionError("x"), 2),
        (MissingBenchmarkUrlError(), 3),
        (AccessDeniedError("nvs/a", "401"), 3),
        (DiskFullError("x"), 4),
        (IntegrityError("nvs/a", "x"), 5),
        (TransientFetchError("nvs/a", "x"), 1),
        (MetadataError("x"), 1),
        (CacheError("x"), 1),
    ],
)
def test_exit_codes(error: NersembleError, code: int) -> None:
    assert exit_code_of(error) == code


def failing(error: Exception) -> Callable[[Session], Awaitable[ExitCode]]:
    async def work(session: Session) -> ExitCode:
        assert session.command == "test"
        raise error

    return work


def leave(
    work: Callable[[Session], Awaitable[ExitCode]],
    tmp_path: Path,
    output_format: OutputFormat = OutputFormat.HUMAN,
) -> int:
    with pytest.raises(typer.Exit) as left:
        run_command("test", work, output_format=output_format, given={"benchmark_folder": tmp_path})
    return left.value.exit_code


def test_an_error_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leave(failing(DiskFullError("no room")), tmp_path) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"data folder: {tmp_path}\nError: no room\n"


def test_several_errors_are_all_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = ExceptionGroup(
        "two",
        [CacheError("one"), ExceptionGroup("inner", [IntegrityError("nvs/a", "other")])],
    )
    assert leave(failing(several), tmp_path, OutputFormat.JSON) == 5
    out, err = capsys.readouterr()
    assert "Error: one\nError: nvs/a: other\n" in err
    assert json.loads(out)["error"] == {"class": "CacheError", "reason": "one"}


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x/a"), 1, "/x/a: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), 4, "No space left on device"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x"), 4, "/x: Disk quota exceeded"),
        (ExceptionGroup("one", [OSError("odd")]), 1, "odd"),
    ],
)
def test_what_the_system_refuses_is_one_message(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    told: str,
) -> None:
    assert leave(failing(error), tmp_path, OutputFormat.JSON) == code
    out, err = capsys.readouterr()
    assert err == f"data folder: {tmp_path}\nError: {told}\n"
    assert json.loads(out)["exit_code"] == code


def test_a_pipe_that_was_closed_is_left_to_typer(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError):
        leave(failing(BrokenPipeError(errno.EPIPE, "Broken pipe")), tmp_path)


def test_what_is_not_ours_is_not_swallowed(tmp_path: Path) -> None:
    for error in (KeyError("bug"), ExceptionGroup("two", [CacheError("one"), KeyError("bug")])):
        with pytest.raises(type(error)):
            run_command(
                "test",
                failing(error),
                output_format=OutputFormat.QUIET,
                given={"benchmark_folder": tmp_path},
            )


def test_the_code_of_the_work_is_the_code_of_the_process(tmp_path: Path) -> None:
    async def work(session: Session) -> ExitCode:
        assert session.settings.root == tmp_path
        return ExitCode.SOME_FAILED

    assert leave(work, tmp_path, OutputFormat.QUIET) == 1


def test_a_keyboard_interrupt_outside_of_the_loop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nersemble_async.cli.session.anyio.run", interrupted)
    assert leave(failing(KeyError()), tmp_path, OutputFormat.JSON) == 130
    out, err = capsys.readouterr()
    assert err.endswith("interrupted; run the same command again to go on\n")
    assert json.loads(out)["exit_code"] == 130


# ---- the question for the URL --------------------------------------------------------------------

URL = "https://host.example/nersemble_benchmark/a-token-0123456789"


async def work_that_needs_the_url(session: Session) -> ExitCode:
    session.settings.require_url()
    return ExitCode.OK


@pytest.fixture
def scrubber(monkeypatch: pytest.MonkeyPatch) -> Scrubber:
    """What a run learns to keep secret, of this test alone."""
    fresh = Scrubber()
    monkeypatch.setattr("nersemble_async.cli.session.SCRUBBER", fresh)
    return fresh


@pytest.fixture
def answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scrubber: Scrubber
) -> Callable[..., None]:
    """Somebody at the terminal, who gives these answers and then presses Ctrl-D."""
    del scrubber
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("nersemble_async.cli.session._somebody_is_there", lambda: True)

    def give(*texts: str) -> None:
        rest = iter(texts)

        def answer(_prompt: str) -> str:
            for text in rest:
                return text
            raise EOFError

        monkeypatch.setattr("nersemble_async.cli.session.getpass.getpass", answer)

    return give


def test_only_an_answer_that_is_a_url_is_kept_secret(
    tmp_path: Path, answers: Callable[..., None], scrubber: Scrubber
) -> None:
    answers("yes please", URL)
    assert leave(work_that_needs_the_url, tmp_path) == 0
    assert scrubber.scrub("yes please") == "yes please"
    assert "a-token" not in scrubber.scrub(URL)


def test_an_answer_that_cannot_be_stored_is_not_lost(
    tmp_path: Path, answers: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").write_text("where the home should be", "utf-8")
    answers(URL)
    assert leave(work_that_needs_the_url, tmp_path) == 0
    err = capsys.readouterr().err
    assert "could not be stored" in err
    assert str(tmp_path / "home") in err


def test_ctrl_d_is_no_access(
    tmp_path: Path, answers: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    answers()
    assert leave(work_that_needs_the_url, tmp_path) == 3
    assert capsys.readouterr().err.endswith(f"Error: {MissingBenchmarkUrlError()}\n")
