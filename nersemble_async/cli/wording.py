"""Numbers and reports as words for people (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nersemble_async.errors import DecodeError, FetchError, MissingBenchmarkUrlError
from nersemble_async.fetch.progress import EvidenceGrade, ExitCode, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nersemble_async.cli.tally import Tally
    from nersemble_async.fetch.progress import FetchReport

Style = Literal["plain", "strong", "good", "warn", "bad", "dim"]

LISTED_FAILURES = 20
"""More failures than this are counted, not listed; the JSON report lists all."""

_KILO = 1000.0
_MINUTE = 60
_HOUR = 3600
_TENTHS_BELOW = 100.0

GRADE_WORDS: Mapping[EvidenceGrade, str] = {
    EvidenceGrade.PUBLISHED: "verified against a published sha-256",
    EvidenceGrade.RECORDED: "verified against a recorded sha-256",
    EvidenceGrade.CONTENT: "content-checked",
    EvidenceGrade.SIZE: "by size only",
}
"""Only what compared a digest is called verified."""

_OUTCOME_WORDS: Mapping[Outcome, str] = {
    Outcome.FETCHED: "fetched",
    Outcome.ADOPTED: "adopted",
    Outcome.PRESENT: "already there",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "not finished",
}

_NEXT_STEPS: Mapping[ExitCode, str] = {
    ExitCode.SOME_FAILED: "Run the same command again: only what is missing is fetched.",
    ExitCode.NO_ACCESS: (
        "The server refused access: check NERSEMBLE_BENCHMARK_URL in the environment or in "
        "~/.config/nersemble_benchmark/.env, then run the same command again to go on."
    ),
    ExitCode.DISK_FULL: (
        "Make room, or choose another folder with --root, then run the same command again to go "
        "on; --dry-run shows what is still needed."
    ),
    ExitCode.INTEGRITY: (
        "Bytes contradicted the evidence for them twice; they are kept in "
        ".nersemble_async/quarantine. Run the same command again; if it stays so, tell those who "
        "run the server (or check the file given with --checksums)."
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text and what it is to look like on a terminal."""

    text: str
    style: Style = "plain"


def bytes_in_words(count_bytes: float) -> str:
    """``1234567`` → ``1.2 MB`` (decimal units, as ``--max-rate`` reads them)."""
    value, units = float(count_bytes), ["TB", "GB", "MB", "kB", "B"]
    while value >= _KILO and len(units) > 1:
        value /= _KILO
        units.pop()
    tenths = units[-1] != "B" and value < _TENTHS_BELOW
    return f"{value:.1f} {units[-1]}" if tenths else f"{value:,.0f} {units[-1]}"


def seconds_in_words(seconds: float) -> str:
    """``8.24`` → ``8.2 s``, ``3725`` → ``1 h 2 min``."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def counted(number: int, word: str) -> str:
    """Such as ``1 mesh`` or ``1,200 meshes``."""
    plural = "" if number == 1 else "es" if word.endswith("sh") else "s"
    return f"{number:,} {word}{plural}"


def files_in_words(count: int) -> str:
    """``1`` → ``1 file``, ``3651`` → ``3,651 files``."""
    return counted(count, "file")


def retries_in_words(count: int) -> str:
    """``1`` → ``1 retry``."""
    return f"{count:,} retr{'y' if count == 1 else 'ies'}"


def progress_in_words(tally: Tally) -> str:
    """One line that tells how far a run is."""
    done = tally.complete_files + tally.failed_files
    parts = [f"{done:,}/{tally.files:,} {tally.unit}"] if tally.files else []
    if tally.have_bytes or tally.total_bytes:
        parts.append(_bytes_of_total(tally))
    if tally.bytes_per_second > 0:
        parts.append(f"{bytes_in_words(tally.bytes_per_second)}/s")
    if tally.remaining_seconds is not None and (done < tally.files or not tally.files):
        parts.append(f"{seconds_in_words(tally.remaining_seconds)} left")
    if tally.retries:
        parts.append(retries_in_words(tally.retries))
    if tally.failed_files:
        parts.append(f"{tally.failed_files:,} failed")
    return ", ".join(parts)


def _bytes_of_total(tally: Tally) -> str:
    total = tally.total_bytes
    if total is None:
        return bytes_in_words(tally.have_bytes)
    about = "" if tally.total_is_exact else "about "
    return f"{bytes_in_words(tally.have_bytes)} of {about}{bytes_in_words(total)}"


def grades_in_words(grades: Mapping[EvidenceGrade, int]) -> str:
    """``12 verified against a published sha-256, 40 content-checked, 3 by size only``."""
    return ", ".join(
        f"{grades[grade]:,} {words}" for grade, words in GRADE_WORDS.items() if grades.get(grade)
    )


def fetch_summary(report: FetchReport, root: Path) -> list[Line]:
    """How a fetch ended: what came, on what evidence, what failed and what to do next."""
    code, outcomes = report.exit_code, report.outcomes
    complete = sum(outcomes[o] for o in (Outcome.FETCHED, Outcome.ADOPTED, Outcome.PRESENT))
    lines = []
    if code is ExitCode.OK:
        lines.append(
            Line(
                f"Complete: {files_in_words(complete)}, "
                f"{bytes_in_words(report.size_bytes)} in {root}",
                "good",
            )
        )
    else:
        planned = sum(outcomes.values())
        there = f"{complete:,} of {files_in_words(planned)} are" if planned else "nothing new is"
        lines.append(Line(f"Not complete: {there} in {root}", "strong"))
    told = ", ".join(
        f"{outcomes[outcome]:,} {words}"
        for outcome, words in _OUTCOME_WORDS.items()
        if outcomes[outcome]
    )
    rate = ""
    if report.received_bytes and report.seconds > 0:
        rate = f" ({bytes_in_words(report.received_bytes / report.seconds)}/s)"
    retries = f", {retries_in_words(report.retries)}" if report.retries else ""
    lines.append(
        Line(
            f"  {told or 'nothing to do'}; {bytes_in_words(report.received_bytes)} received in "
            f"{seconds_in_words(report.seconds)}{rate}{retries}"
        )
    )
    if grades := grades_in_words(report.grades):
        lines.append(Line(f"  evidence: {grades}"))
    failures = [(file.path, file.error) for file in report.failures]
    lines += failure_lines([(path, reason_of(error)) for path, error in failures])
    if report.stopped is not None:
        lines.append(Line(f"Stopped early: {report.stopped}", "bad"))
    if code in _NEXT_STEPS and not isinstance(report.stopped, MissingBenchmarkUrlError):
        lines.append(Line(_NEXT_STEPS[code], "strong"))
    return lines


def failure_lines(failures: list[tuple[str, str]], word: str = "failed") -> list[Line]:
    """(path, reason) as lines, at most `LISTED_FAILURES` of them."""
    if not failures:
        return []
    lines = [Line(f"{files_in_words(len(failures))} {word}:", "bad")]
    lines += [Line(f"  {path}: {reason}", "bad") for path, reason in failures[:LISTED_FAILURES]]
    if len(failures) > LISTED_FAILURES:
        lines.append(Line(f"  and {len(failures) - LISTED_FAILURES:,} more", "bad"))
    return lines


def reason_of(error: Exception | None) -> str:
    """Why, without the path that a `FetchError` repeats."""
    if error is None:
        return "unknown"
    return error.reason if isinstance(error, FetchError) else str(error)


def visible(text: str) -> str:
    """A file's name may hold what moves a terminal's cursor, or is no character at all."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def reason_in_words(error: DecodeError) -> str:
    """Without the path, which stands before it."""
    return error.reason if error.frame is None else f"frame {error.frame}: {error.reason}"
