"""What in a folder of predictions looks like one that is misnamed or misplaced. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nersemble_async.benchmark.spec import SERIALS, FileKind, Task
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.validation.entry_names import (
    home_of,
    same_but_for_digits,
    spelt_like,
    what_it_names,
)

_LONGEST = 200
_RESEMBLANCE = 0.9
_MOST_COMPARED = 100
"""Names that are compared with all others by their letters, which is slow."""


@dataclass(frozen=True, slots=True)
class NearMisses:
    """What should not be passed over."""

    told: tuple[tuple[str, str], ...]
    """A place and what is wrong there."""
    places: frozenset[str]
    """All that is told of."""


def find_near_misses(task: Task, strays: Mapping[str, str], claimed: Collection[str]) -> NearMisses:
    """Look for misnamed predictions.

    Args:
        task: whose predictions.
        strays: by place, what the entry would be called if it were one.
        claimed: entries that have a source; what only resembles one of these is left alone.
    """
    told: list[tuple[str, str]] = []
    too_deep: dict[str, list[str]] = {}
    places: set[str] = set()
    missing = [path for path in expected_entries(task) if path not in claimed]
    for n_seen, (place, name) in enumerate(strays.items()):
        prefix = _prefix_of(task, name)
        if prefix is not None:
            too_deep.setdefault(prefix, []).append(place)
            continue
        reason = _reason(task, name, claimed, missing if n_seen < _MOST_COMPARED else [])
        if reason is not None:
            told.append((place, reason))
            places.add(place)
    for prefix, those in too_deep.items():
        if all(_home(task, strays[place]) in claimed for place in those):
            continue  # a copy of what is there
        count = "it lies" if len(those) == 1 else f"{len(those)} predictions lie"
        told.append(
            (
                those[0],
                f"{count} in {prefix}/, deeper than in a submission: give that folder as SOURCE",
            )
        )
        places.update(those)
    return NearMisses(tuple(told), frozenset(places))


def _home(task: Task, name: str) -> str | None:
    entry = home_of(task, name)
    return None if entry is None else entry.path


def _prefix_of(task: Task, name: str) -> str | None:
    """The folder around the participants' folders, where that is all that is wrong."""
    parts = name.split("/")
    for n_around in range(1, len(parts) - 1):
        if same_but_for_digits(task, "/".join(parts[n_around:])) is not None:
            return "/".join(parts[:n_around])
    return None


def _reason(
    task: Task, name: str, claimed: Collection[str], missing: Collection[str]
) -> str | None:
    """What it was meant to be; None where it looks like none."""
    named = what_it_names(task, name)
    like = spelt_like(task, name)
    meant = like.path if like is not None else _home(task, name)
    is_other_camera = named is not None and named[0].rpartition(" ")[2] in SERIALS
    if meant is None and not is_other_camera:
        meant = _resembling(name, _nearest(name, missing))
    advice = "" if meant is None or meant in claimed else f"did you mean {_shown(task, meant)}?"
    if named is not None:
        found, there = named
        return f"found {found}; expected {there}{advice and f'; {advice}'}"
    return advice or None


def _resembling(name: str, paths: Collection[str]) -> str | None:
    found = difflib.get_close_matches(name[:_LONGEST], paths, n=1, cutoff=_RESEMBLANCE)
    return found[0] if found else None


def _nearest(name: str, paths: Collection[str]) -> Collection[str]:
    """Of the same folder, else of the same participant and file name, else of the participant."""
    folder, _, file = name.rpartition("/")
    participant = f"{folder.partition('/')[0].zfill(3)}/"
    own = [path for path in paths if path.startswith(participant)]
    same_folder = [p for p in own if p.rpartition("/")[0].lstrip("0") == folder.lstrip("0")]
    return same_folder or [p for p in own if p.endswith(f"/{file}")] or own or paths


def _shown(task: Task, path: str) -> str:
    """An entry as a source is called."""
    if expected_entries(task)[path].kind is FileKind.MP4:
        return path.removesuffix(f".{FileKind.MP4}")
    return path
