"""The official validator's dictionary out of ours: keys, order, types."""

from __future__ import annotations

from pathlib import Path

import pytest

from nersemble_async.submission.issues import OFFICIAL_KEYS, SubmissionReport
from nersemble_async.submission.rules import breach


def report(*official: tuple[str, object], names: tuple[tuple[str, object], ...] = ()) -> object:
    issues = [breach("empty-mesh", "x", "y", "z", official=one) for one in official]
    issues.append(breach("black-video", "x", "y", "z"))
    made = SubmissionReport(Path("out.zip"), "nvs", tuple(issues), 1, deep=False, official=names)
    return made.official_report()


def test_only_keys_with_findings_are_there() -> None:
    assert report() == {}


def test_keys_stand_in_the_official_order_and_findings_in_theirs() -> None:
    found = report(
        ("wrong_resolutions", ("a", (1, 2), (3, 4))),
        ("wrong_frame_counts", ("b", 1, 2)),
        ("wrong_frame_counts", ("a", 1, 2)),
        names=(("missing_files", "c"),),
    )
    assert isinstance(found, dict)
    assert list(found.items()) == [
        ("missing_files", ["c"]),
        ("wrong_frame_counts", [("b", 1, 2), ("a", 1, 2)]),
        ("wrong_resolutions", [("a", (1, 2), (3, 4))]),
    ]


@pytest.mark.parametrize("key", OFFICIAL_KEYS)
def test_every_key_can_be_listed(key: str) -> None:
    assert report((key, "a")) == {key: ["a"]}
