"""The rules of the validator."""

from __future__ import annotations

import re

import pytest

from nersemble_async.submission.issues import Severity
from nersemble_async.submission.rules import RULES, breach


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.rule)
def test_every_rule_says_what_and_how_to_mend(rule: object) -> None:
    known = RULES[getattr(rule, "rule")]  # noqa: B009 -- typed as object by parametrize
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", known.rule)
    assert known.title
    assert known.fix


def test_a_breach_carries_its_rule() -> None:
    issue = breach("black-video", "388/a.mp4", "black", "not black")
    assert (issue.rule, issue.severity, issue.entry) == (
        "black-video",
        Severity.WARNING,
        "388/a.mp4",
    )
    assert issue.fix == RULES["black-video"].fix
    assert breach("black-video", None, "a", "b", fix="c").fix == "c"


def test_an_unknown_rule_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        breach("no-such-rule", None, "a", "b")
