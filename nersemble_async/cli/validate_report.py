"""What ``validate`` found: as words and as JSON (pure).

The JSON object of ``validate`` adds to the common fields::

    path, task
    valid         no error, and with --strict no warning
    strict, deep  as asked for
    entries       number of files in the zip
    errors, warnings  how many of the issues are of which severity
    issues        [{rule, severity, entry, found, expected, fix}]
                  rule: see ``validate --rules``; entry: null where it is the zip as a whole
    not_checked   [sentence, …]: what could not be looked at
    official      the dictionary of the official validator for this zip
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nersemble_async.cli.report import Document, document_head
from nersemble_async.cli.wording import Line, counted, visible
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.submission.issues import Severity
from nersemble_async.submission.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nersemble_async.cli.wording import Style
    from nersemble_async.submission.issues import SubmissionIssue, SubmissionReport

_LISTED = 5
"""Entries of one rule that are listed; the JSON report lists all."""
_LISTED_FIXES = 3
_STYLES: dict[Severity, Style] = {Severity.ERROR: "bad", Severity.WARNING: "warn"}


def exit_code_of(report: SubmissionReport, *, strict: bool) -> ExitCode:
    """0 where it is valid, else 1."""
    return ExitCode.OK if is_valid(report, strict=strict) else ExitCode.SOME_FAILED


def is_valid(report: SubmissionReport, *, strict: bool) -> bool:
    """Without an error, and, if ``strict``, without a warning."""
    return report.valid and not (strict and report.warnings)


def validate_document(report: SubmissionReport, root: Path, *, strict: bool) -> Document:
    """A validation as JSON; the fields stand in this module's docstring."""
    return {
        **document_head("validate", root, exit_code_of(report, strict=strict)),
        "path": str(report.path),
        "task": report.task,
        "valid": is_valid(report, strict=strict),
        "strict": strict,
        "deep": report.deep,
        "entries": report.n_entries,
        "errors": len(report.errors),
        "warnings": len(report.warnings),
        "issues": [
            {
                "rule": issue.rule,
                "severity": issue.severity.value,
                "entry": issue.entry,
                "found": issue.found,
                "expected": issue.expected,
                "fix": issue.fix,
            }
            for issue in report.issues
        ],
        "not_checked": list(report.not_checked),
        "official": report.official_report(),
    }


def validate_lines(report: SubmissionReport, *, strict: bool) -> Iterator[Line]:
    """Rule by rule, errors first, each with its first entries; then the verdict."""
    for severity in Severity:
        groups: dict[str, list[SubmissionIssue]] = {}
        for issue in report.issues:
            if issue.severity is severity:
                groups.setdefault(issue.rule, []).append(issue)
        for rule, issues in groups.items():
            yield from _group_lines(rule, issues)
    for sentence in report.not_checked:
        yield Line(f"not checked: {visible(sentence)}", "dim")
    yield _verdict(report, strict=strict)


def _group_lines(rule: str, issues: Sequence[SubmissionIssue]) -> Iterator[Line]:
    severity = issues[0].severity
    count = f" ({len(issues):,} times)" if len(issues) > 1 else ""
    title = f"{severity.value} {rule}: {RULES[rule].title}{count}"
    yield Line(title, _STYLES[severity])
    told = {(issue.found, issue.expected) for issue in issues}
    if len(told) == 1 and len(issues) > 1:
        yield Line(f"  {_told(issues[0])}")
    for issue in issues[:_LISTED]:
        parts = [] if issue.entry is None else [visible(issue.entry)]
        if len(told) > 1 or len(issues) == 1:
            parts.append(_told(issue))
        yield Line(f"  {': '.join(parts)}")
    if len(issues) > _LISTED:
        yield Line(f"  and {len(issues) - _LISTED:,} more (--format json lists all)")
    fixes = list(dict.fromkeys(issue.fix for issue in issues))
    for fix in fixes[:_LISTED_FIXES]:
        yield Line(f"  fix: {visible(fix)}", "strong")
    if len(fixes) > _LISTED_FIXES:
        yield Line(f"  and {len(fixes) - _LISTED_FIXES:,} other fixes", "dim")


def _told(issue: SubmissionIssue) -> str:
    return f"found {visible(issue.found)}; expected {visible(issue.expected)}"


def _verdict(report: SubmissionReport, *, strict: bool) -> Line:
    counts = f"{counted(len(report.errors), 'error')}, {counted(len(report.warnings), 'warning')}"
    where = f"{report.path} ({counted(report.n_entries, 'file')}, {report.task})"
    if not is_valid(report, strict=strict):
        how = " (--strict: warnings count)" if report.valid else ""
        return Line(f"Not valid: {counts} in {where}{how}", "bad")
    if report.warnings:
        return Line(f"Valid, but look at the warnings: {counts} in {where}", "warn")
    depth = "every frame decoded" if report.deep else "not every frame decoded: --deep does"
    depth = f"; {depth}" if report.deep or _has_videos(report) else ""
    return Line(f"Valid: no problem in {where}{depth}", "good")


def _has_videos(report: SubmissionReport) -> bool:
    from nersemble_async.benchmark.spec import BENCHMARKS  # noqa: PLC0415 -- only here

    return BENCHMARKS[report.task].submission_rate is not None


def rule_lines() -> Iterator[Line]:
    """Every rule: id, severity, what is wrong; what to do."""
    for rule in RULES.values():
        title = f"{rule.rule} ({rule.severity.value}): {rule.title}"
        yield Line(title, _STYLES[rule.severity])
        yield Line(f"    {rule.fix}")
