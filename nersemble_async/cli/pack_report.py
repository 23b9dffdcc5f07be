"""What a `pack` comes to: kept while it runs, told as words and as JSON.

The JSON object adds to the common fields::

    task, source, path  what was asked for
    written         whether the zip is there, complete (or --allow-partial) and found valid
    size_bytes      of the zip; null: not written
    kept            the unfinished zip, which --resume goes on with; null: there is none
    predictions     [{entry, source, way, frames, packed, resumed}]: the videos and meshes found
                    way: encode, copy (an mp4 taken as it is), mesh
    problems        [{path, reason}]: what is wrong with the source; nothing is packed then
    losses          [{path, reason}]: videos that lose quality
    missing         [entry, …]
    ignored         [path, …]: files that are no predictions
    failures        [{path, reason}]: what turned out to be wrong while it was packed
    warnings        [{rule, entry, found, expected, fix}]: of the validator
    not_checked     [sentence, …]: what the validator could not look at
    seconds         of packing
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.cli.report import document_head
from nersemble_async.cli.wording import (
    LISTED_FAILURES,
    Line,
    bytes_in_words,
    counted,
    files_in_words,
    seconds_in_words,
    visible,
)
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.packing.checks import PackWay
from nersemble_async.submission.packing.sources import PackPlan, SourceProblem, SourceSort
from nersemble_async.submission.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nersemble_async.cli.session import Session
    from nersemble_async.submission.entries import ExpectedEntry
    from nersemble_async.submission.issues import SubmissionIssue, SubmissionReport
    from nersemble_async.submission.packing.checks import CheckedSource

SUBMISSION_PAGE = "https://kaldir.vc.in.tum.de/nersemble_benchmark/"
"""Where submissions are handed in; it stands in the official toolkit's readme."""

_WAYS = {
    (SourceSort.PICTURES, PackWay.ENCODE): "from pictures",
    (SourceSort.VIDEO, PackWay.ENCODE): "from videos",
    (SourceSort.VIDEO, PackWay.COPY): "taken as it is",
}
_LISTED_IGNORED = 3
_LISTED_MISSING = 5
_EMPTY_PLAN = PackPlan({}, frozenset(), (), ())


@dataclass(slots=True)
class Packing:
    """A run of `pack`."""

    task: Task
    source: Path
    target: Path
    plan: PackPlan = _EMPTY_PLAN
    problems: list[SourceProblem] = field(default_factory=list)
    checked: list[CheckedSource] = field(default_factory=list)
    """What can be packed."""
    missing: list[ExpectedEntry] = field(default_factory=list)
    resumed: frozenset[str] = frozenset()
    """Entries that an earlier run had written."""
    nothing_to_resume: bool = False
    """Whether it was to go on with an earlier run, and there is none."""
    done: dict[str, int] = field(default_factory=dict)
    """Frames or meshes, by the path of the entry."""
    packed: set[str] = field(default_factory=set)
    """Entries that are in the zip."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Paths and reasons."""
    report: SubmissionReport | None = None
    """Of the finished zip."""
    seconds: float = 0.0

    @property
    def predictions(self) -> list[CheckedSource]:
        """Videos and meshes; landmarks go with theirs."""
        return [one for one in self.checked if one.source.sort is not SourceSort.LANDMARKS]

    @property
    def to_do(self) -> list[CheckedSource]:
        """What is not in the zip yet."""
        return [one for one in self.predictions if one.source.entry.path not in self.resumed]

    @property
    def n_to_do(self) -> int:
        """Frames or meshes of `to_do`."""
        return sum(one.n_frames for one in self.to_do)

    @property
    def n_done(self) -> int:
        """Frames or meshes."""
        return sum(list(self.done.values()))  # a copy: threads add to it

    @property
    def partial(self) -> Path | None:
        """The unfinished zip, where there is one."""
        path = self.target.with_name(f"{self.target.name}.partial")
        return path if path.exists() else None


# ---- words --------------------------------------------------------------------------------------


def begin_lines(packing: Packing) -> Iterator[Line]:
    """What was found in the source, and everything that is wrong with it."""
    yield from _found_lines(packing)
    yield from _loss_lines(packing)
    if packing.plan.ignored:
        told = ", ".join(map(visible, packing.plan.ignored[:_LISTED_IGNORED]))
        more = len(packing.plan.ignored) > _LISTED_IGNORED
        count = files_in_words(len(packing.plan.ignored))
        yield Line(f"  ignored: {count}, {'such as ' if more else ''}{told}", "dim")
    if packing.problems:
        yield Line(f"{counted(len(packing.problems), 'problem')} in {packing.source}:", "bad")
        told_of = packing.problems[:LISTED_FAILURES]
        yield from (Line(f"  {visible(p.path)}: {visible(p.reason)}", "bad") for p in told_of)
        if len(packing.problems) > len(told_of):
            rest = len(packing.problems) - len(told_of)
            yield Line(f"  and {rest:,} more (--format json lists all)", "bad")
    if packing.missing:
        yield from _missing_lines(packing)


def _loss_lines(packing: Packing) -> Iterator[Line]:
    places: dict[str, list[str]] = {}
    for one in packing.checked:
        if one.warning is not None:
            places.setdefault(one.warning, []).append(visible(one.source.place))
    for warning, those in places.items():
        first = those[0] if len(those) == 1 else f"{len(those):,} videos, such as {those[0]}"
        yield Line(f"  {first}: {warning}", "warn")


def _found_lines(packing: Packing) -> Iterator[Line]:
    predictions = packing.predictions
    ways: dict[str, int] = {}
    for one in predictions:
        way = _WAYS.get((one.source.sort, one.way))
        if way is not None:
            ways[way] = ways.get(way, 0) + 1
    if BENCHMARKS[packing.task].submission_rate is None:
        n_marks = len(packing.checked) - len(predictions)
        marks = f", {n_marks:,} with landmarks" if n_marks else ""
        yield Line(f"{counted(len(predictions), 'mesh')} in {packing.source}{marks}")
    else:
        n_frames = sum(one.n_frames for one in predictions)
        how = "".join(f", {count:,} {way}" for way, count in ways.items())
        videos = counted(len(predictions), "video")
        yield Line(f"{videos}, {counted(n_frames, 'frame')} in {packing.source}{how}")
    if packing.nothing_to_resume:
        yield Line("  there is nothing to go on with: all of it is packed", "dim")
    if packing.resumed:
        yield Line(f"  {files_in_words(len(packing.resumed))} are in {packing.partial} already")


def _missing_lines(packing: Packing) -> Iterator[Line]:
    paths = [entry.path for entry in packing.missing]
    told = ", ".join(paths[:_LISTED_MISSING])
    more = f" and {len(paths) - _LISTED_MISSING:,} more" if len(paths) > _LISTED_MISSING else ""
    yield Line(f"{counted(len(paths), 'prediction')} missing: {told}{more}", "bad")


def tell_end(session: Session, packing: Packing, code: ExitCode) -> ExitCode:
    """Summary and report; blocking for an instant."""
    size_bytes = packing.target.stat().st_size if packing.report is not None else None
    session.output.lines(_end_lines(packing, size_bytes, code))
    session.output.document(
        {
            **document_head("pack", session.settings.root, code),
            "task": packing.task,
            "source": str(packing.source),
            "path": str(packing.target),
            "written": packing.report is not None,
            "size_bytes": size_bytes,
            "kept": None if packing.partial is None else str(packing.partial),
            "predictions": [_prediction(packing, one) for one in packing.predictions],
            "problems": [{"path": p.path, "reason": p.reason} for p in packing.problems],
            "losses": [
                {"path": one.source.place, "reason": one.warning}
                for one in packing.checked
                if one.warning is not None
            ],
            "missing": [entry.path for entry in packing.missing],
            "ignored": list(packing.plan.ignored),
            "failures": [{"path": path, "reason": reason} for path, reason in packing.failures],
            "warnings": [
                {
                    "rule": issue.rule,
                    "entry": issue.entry,
                    "found": issue.found,
                    "expected": issue.expected,
                    "fix": issue.fix,
                }
                for issue in _warnings(packing)
            ],
            "not_checked": [] if packing.report is None else list(packing.report.not_checked),
            "seconds": round(packing.seconds, 3),
        }
    )
    return code


def _prediction(packing: Packing, one: CheckedSource) -> dict[str, object]:
    path = one.source.entry.path
    return {
        "entry": path,
        "source": one.source.place,
        "way": one.way.value,
        "frames": one.n_frames,
        "packed": path in packing.packed or path in packing.resumed,
        "resumed": path in packing.resumed,
    }


def _warnings(packing: Packing) -> Sequence[SubmissionIssue]:
    return () if packing.report is None else packing.report.warnings


def _end_lines(packing: Packing, size_bytes: int | None, code: ExitCode) -> Iterator[Line]:
    if packing.failures:
        yield Line(f"{counted(len(packing.failures), 'prediction')} could not be packed:", "bad")
        yield from _failure_lines(packing.failures)
    if packing.report is not None and size_bytes is not None:
        yield from _written_lines(packing, packing.report, size_bytes)
        return
    n_there = len(packing.packed) + len(packing.resumed)
    if packing.partial is None or not n_there:
        yield Line(f"Not written: {packing.target}; {_what_to_do(packing, code)}", "strong")
        return
    kept = f"{n_there:,} of {counted(len(packing.predictions), 'prediction')} are kept"
    yield Line(f"Not complete: {kept} in {packing.partial}", "strong")
    if code is not ExitCode.INTERRUPTED:  # then the session tells it
        yield Line(f"  {_what_to_do(packing, code)} with --resume", "strong")


def _failure_lines(failures: Sequence[tuple[str, str]]) -> Iterator[Line]:
    places: dict[str, list[str]] = {}
    for path, reason in failures:
        places.setdefault(reason, []).append(path)
    for reason, those in list(places.items())[:LISTED_FAILURES]:
        more = f" ({len(those) - 1:,} more alike)" if len(those) > 1 else ""
        yield Line(f"  {visible(those[0])}: {visible(reason)}{more}", "bad")
    if max(len(those) for those in places.values()) > 1 or len(places) > LISTED_FAILURES:
        yield Line("  --format json lists all", "bad")


def _what_to_do(packing: Packing, code: ExitCode) -> str:
    if code is ExitCode.INTERRUPTED:
        if packing.partial is not None:
            return f"what an earlier run packed stays in {packing.partial}"
        return "nothing was packed yet"
    if packing.problems or packing.failures:
        return "mend what is named above, then run the same command again"
    if not packing.predictions:
        path = next(iter(expected_entries(packing.task)))
        return f"no prediction was found: SOURCE holds the participants' folders, such as {path}"
    return "add what is missing (--allow-partial does without), then run the same command again"


def _written_lines(packing: Packing, report: SubmissionReport, size_bytes: int) -> Iterator[Line]:
    for rule in dict.fromkeys(issue.rule for issue in report.warnings):
        issues = [issue for issue in report.warnings if issue.rule == rule]
        times = f" ({len(issues):,} times)" if len(issues) > 1 else ""
        first = f"{issues[0].entry}: " if issues[0].entry else ""
        yield Line(f"warning {rule}: {RULES[rule].title}{times}: {first}{issues[0].found}", "warn")
        yield Line(f"  {issues[0].fix}")
    for sentence in report.not_checked:
        yield Line(f"not checked: {visible(sentence)}", "dim")
    what = f"{packing.target} ({files_in_words(report.n_entries)}, {bytes_in_words(size_bytes)})"
    took = f" in {seconds_in_words(packing.seconds)}" if packing.packed else ""
    if packing.missing:
        lacking = counted(len(packing.missing), "prediction")
        yield Line(f"Written{took}, but not to be submitted: {what} lacks {lacking}", "warn")
        return
    verdict = ", but look at the warnings" if report.warnings else ", and valid"
    yield Line(f"Written{took}{verdict}: {what}", "warn" if report.warnings else "good")
    yield Line(f"  next: look at it (nersemble-async preview {packing.target})")
    yield Line(f"  then hand it in at {SUBMISSION_PAGE}")
    yield Line("  (10 submissions for each task, at least 2 hours apart)", "dim")
