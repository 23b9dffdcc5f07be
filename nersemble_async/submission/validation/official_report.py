"""A report in the form of the official validator: its dictionary, key by key. Pure."""

from __future__ import annotations

from nersemble_async.submission.issues import SubmissionReport

KEYS: tuple[str, ...] = (
    "missing_files",
    "wrong_frame_counts",
    "wrong_resolutions",
    "missing_posed_meshes",
    "empty_posed_meshes",
    "missing_posed_landmarks",
    "wrong_posed_landmarks",
    "missing_neutral_meshes",
    "empty_neutral_meshes",
    "missing_neutral_landmarks",
    "wrong_neutral_landmarks",
    "unexpected_files",
    "missing_svfr_tasks",
)
"""In the order in which the official validator gives them."""


def official_report(report: SubmissionReport) -> dict[str, list[object]]:
    """What ``validate_submission()`` of the official toolkit (0.2.0) returns for the same zip.

    Only keys under which it lists something. Where it would crash instead (a damaged entry, a
    broken mesh), it holds what it would list of all others; the report itself tells of that one.

    ::

        missing_files                 path
        wrong_frame_counts            (path, frames by the file's header, frames expected)
        wrong_resolutions             (path, (width, height), (width, height) expected)
        missing_/empty_{subtask}_meshes, missing_{subtask}_landmarks     path
        wrong_{subtask}_landmarks     (path, shape)
        unexpected_files              path, in the zip's order; SVFR only
        missing_svfr_tasks            "posed", "neutral"
    """
    listed: dict[str, list[object]] = {key: [] for key in KEYS}
    for key, value in report.official:
        listed[key].append(value)
    for issue in report.issues:
        if issue.official is not None:
            key, value = issue.official
            listed[key].append(value)
    return {key: values for key, values in listed.items() if values}
