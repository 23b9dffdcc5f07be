"""The videos of a submission: each by itself, several at a time; then all of them together."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.camera_checks import compare_cameras
from nersemble_async.submission.validation.validation_run import (
    ValidationRun,
    issue_of_entry,
    issue_of_fault,
)
from nersemble_async.submission.validation.video_checks import VideoFindings, check_video
from nersemble_async.submission.zips.zip_entries import EntryError

T = TypeVar("T")

_HEARTBEAT_SECONDS = 0.1
"""Between two calls of `ValidationRun.beat` at most, so that it can end the validation soon."""


class _StoppedError(Exception):
    """The validation has ended; nobody waits for this video."""


def look_at_videos(run: ValidationRun, threads: int) -> None:
    """Find what is wrong with the videos that are there."""
    units = list(run.units())
    findings: dict[str, VideoFindings] = {}
    stopped = threading.Event()
    with ThreadPoolExecutor(max_workers=max(1, min(threads, len(units)))) as pool:
        try:
            futures = {pool.submit(_look_at, run, entry, stopped): entry for entry in units}
            for future in _as_they_end(run, futures):
                found = future.result()
                if isinstance(found, SubmissionIssue):
                    run.issues.append(found)
                else:
                    run.add(futures[future], found.issues)
                    findings[futures[future].path] = found
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    in_order = {entry.path: findings[entry.path] for entry in units if entry.path in findings}
    _compare_lengths(run, [entry for entry in units if run.n_frames(entry) is None], in_order)
    with run.going_on_without("whether cameras are mixed up"):
        cameras = compare_cameras(run.task, in_order, run.root)
        run.issues += cameras.issues
        run.not_checked += cameras.not_checked


def _as_they_end(run: ValidationRun, futures: Iterable[Future[T]]) -> Iterator[Future[T]]:
    pending = set(futures)
    run.beat()
    while pending:
        done, pending = wait(pending, _HEARTBEAT_SECONDS, FIRST_COMPLETED)
        yield from done
        run.beat(len(done))


def _look_at(
    run: ValidationRun, entry: ExpectedEntry, stopped: threading.Event
) -> VideoFindings | SubmissionIssue:
    def on_frame() -> None:
        if stopped.is_set():
            raise _StoppedError

    spec = BENCHMARKS[run.task]
    try:
        with run.submission.extracted(run.places[entry.path]) as file:
            try:
                return check_video(
                    file, entry, spec, run.n_frames(entry), deep=run.deep, on_frame=on_frame
                )
            except _StoppedError:
                raise
            except Exception as error:  # noqa: BLE001 -- becomes an issue, whatever it is
                return issue_of_fault("unreadable-video", entry.path, error)
    except EntryError as error:
        return issue_of_entry(error, entry.path)


def _compare_lengths(
    run: ValidationRun, entries: list[ExpectedEntry], findings: Mapping[str, VideoFindings]
) -> None:
    """Videos of one sequence that differ in length, where no metadata says which is right."""
    by_sequence: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for entry in entries:
        found = findings.get(entry.path)
        if found is not None and found.n_frames is not None:
            of_sequence = by_sequence.setdefault((entry.participant_id, entry.sequence_name), [])
            of_sequence.append((entry.path, found.n_frames))
    for videos in by_sequence.values():
        counts = [count for _, count in videos]
        usual = max(counts, key=lambda count: (counts.count(count), count))
        expected = f"{usual} frames, as other cameras have of this sequence"
        run.issues += [
            breach("wrong-frame-count", path, f"{count} frames", expected)
            for path, count in videos
            if count != usual
        ]
    if entries:
        run.not_checked.append(
            f"how many frames {len(entries):,} of the videos need: no metadata.json says it, so "
            "that those of a sequence were compared with one another only"
        )
