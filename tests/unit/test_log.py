"""Log events: silent until asked, then lines or JSON on stderr, tracebacks without locals."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from nersemble_async.log import LogFormat, configure_logging, get_logger

SECRET = "s3cr3t"
log = get_logger("nersemble_async.fetch.somewhere")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    logger = logging.getLogger("nersemble_async")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr; stdout is for reports."""
    captured = capfd.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_silent_as_a_library() -> None:
    """Not even the last resort of logging, which prints warnings to stderr."""
    code = (
        "from nersemble_async.log import get_logger\n"
        "log = get_logger('nersemble_async.fetch')\n"
        "log.warning('file_failed', path='nvs/a')\n"
        "log.info('x')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_host_hears_events_and_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="nersemble_async"):
        log.debug("looked", files=3)
        log.info("begun")
        log.warning("file_failed", path="nvs/a", reason="404")
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("DEBUG", "looked"),
        ("INFO", "begun"),
        ("WARNING", "file_failed"),
    ]
    last = vars(caplog.records[-1])
    assert (last["path"], last["reason"]) == ("nvs/a", "404")
    assert last["name"] == "nersemble_async.fetch.somewhere"


def test_json_is_one_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    log.debug("not told")
    log.info("begun", files=3)
    log.warning("file_failed", path='nvs/"ä"\n', reason=None)
    begun, failed = map(json.loads, told(capfd))
    assert begun.pop("timestamp").endswith("Z")
    assert begun == {"event": "begun", "level": "info", "files": 3}
    assert (failed["level"], failed["path"], failed["reason"]) == ("warning", 'nvs/"ä"\n', None)


def test_console_lines(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("console", logging.DEBUG)
    log.debug("looked", files=3)
    (line,) = told(capfd)
    assert "debug" in line
    assert "looked" in line
    assert "files=3" in line
    assert "\x1b" not in line, "no colours where nobody sees them"


def test_configured_twice_it_tells_once(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    configure_logging("json", logging.WARNING)
    log.info("not told")
    log.warning("told")
    assert [json.loads(line)["event"] for line in told(capfd)] == ["told"]
    configure_logging("off")
    log.warning("not told")
    assert told(capfd) == []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_hold_no_local_variables(
    capfd: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    configure_logging(log_format)

    def fail(base_url: str) -> None:
        raise RuntimeError(f"{len(base_url)} letters")

    try:
        fail(SECRET)
    except RuntimeError:
        logging.getLogger("nersemble_async.x").exception("crashed")
    text = "\n".join(told(capfd))
    assert "RuntimeError: 6 letters" in text
    assert SECRET not in text
