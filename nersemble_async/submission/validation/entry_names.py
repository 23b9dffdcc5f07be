"""What a name in a zip was meant to be: unsafe, junk, misplaced, misspelt. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import Formatter

from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, SubmissionFile, Task
from nersemble_async.submission.entries import ExpectedEntry, expected_entries

_NUMBER = re.compile(r"[0-9]+")
_DRIVE = re.compile(r"[A-Za-z]:")
_JUNK_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db"})
_JUNK_FOLDERS = frozenset({"__macosx", ".git", ".ipynb_checkpoints", "__pycache__"})
_PARTS_LOOKED_AT = 4
"""From the end; the entries of a submission lie three deep."""
_LONGEST_RESEMBLING = 200
_RESEMBLANCE = 0.8


@dataclass(frozen=True, slots=True)
class _Index:
    """Expected entries by what is left of their paths when something about them is wrong."""

    by_numbers: Mapping[str, ExpectedEntry]
    by_tail: Mapping[str, ExpectedEntry | None]
    """By the last two parts or more; None where several have these."""
    by_letters: Mapping[str, ExpectedEntry]
    by_digits: Mapping[tuple[str, ...], Sequence[str]]
    """Paths by the numbers in them, in order."""


@cache
def _index(task: Task) -> _Index:
    entries = expected_entries(task).values()
    by_tail: dict[str, ExpectedEntry | None] = {}
    by_digits: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        by_digits.setdefault(_numbers(entry.path), []).append(entry.path)
        parts = entry.path.split("/")
        for start in range(1, len(parts) - 1):
            tail = _numbers_plain("/".join(parts[start:]))
            by_tail[tail] = None if tail in by_tail else entry
    return _Index(
        {_numbers_plain(entry.path): entry for entry in entries},
        by_tail,
        {_letters_plain(entry.path): entry for entry in entries},
        by_digits,
    )


def _numbers(path: str) -> tuple[str, ...]:
    """Of participant, timestep and camera, and what there is in a sequence's name."""
    return tuple(_NUMBER.findall(_numbers_plain(path.rpartition(".")[0] or path)))


def _numbers_plain(path: str) -> str:
    """Numbers without leading zeros."""
    return _NUMBER.sub(lambda match: match[0].lstrip("0") or "0", path)


def _letters_plain(path: str) -> str:
    """Without the differences that people overlook."""
    return _numbers_plain(re.sub(r"[\s_-]+", "-", path.casefold()))


def why_unsafe(name: str) -> str | None:
    """Why nobody should unpack an entry of that name; None where there is no reason."""
    parts = name.replace("\\", "/").split("/")
    if "\0" in name:
        return "a NUL character in the name"
    if ".." in parts:
        return "a path that leads upwards (..)"
    if name.startswith(("/", "\\")):
        return "an absolute path"
    if _DRIVE.match(name):
        return "a path with a drive letter"
    if "\\" in name:
        return "backslashes, which are no separators in a zip"
    return None


def is_junk(name: str) -> bool:
    """Whether an operating system or a tool left it there."""
    *folders, file = name.casefold().split("/")
    return (
        file in _JUNK_FILES
        or file.startswith("._")
        or any(part in _JUNK_FOLDERS for part in folders)
    )


def same_but_for_digits(task: Task, name: str) -> ExpectedEntry | None:
    """The entry whose name has the same numbers, padded in another way."""
    return _index(task).by_numbers.get(_numbers_plain(name))


def home_of(task: Task, name: str) -> ExpectedEntry | None:
    """The one entry that it was meant to be, by the end of its path; None where that is open."""
    index = _index(task)
    cleaned = _DRIVE.sub("", name, count=1) if _DRIVE.match(name) else name
    parts = [part for part in re.split(r"[/\\]", cleaned) if part not in ("", ".", "..")]
    tails = [_numbers_plain("/".join(parts[-n:])) for n in range(_PARTS_LOOKED_AT, 1, -1)]
    return next(
        (
            entry
            for tail in tails
            if (entry := index.by_numbers.get(tail) or index.by_tail.get(tail))
        ),
        None,
    )


def spelt_like(task: Task, name: str) -> ExpectedEntry | None:
    """The entry whose name differs in case, ``_`` for ``-``, spaces or padding only."""
    return _index(task).by_letters.get(_letters_plain(name))


def resembling(task: Task, name: str) -> str | None:
    """The path that looks most like it, of those with the same numbers, if one does.

    The numbers of two cameras look alike, and nobody mistypes them: they are copied.
    """
    if len(name) > _LONGEST_RESEMBLING:
        return None
    paths = _index(task).by_digits.get(_numbers(name), ())
    found = difflib.get_close_matches(name, paths, n=1, cutoff=_RESEMBLANCE)
    return found[0] if found else None


def task_of(name: str) -> Task | None:
    """The benchmark that has an entry of this very name."""
    return next((task for task in TASKS if name in expected_entries(task)), None)


def what_it_names(task: Task, name: str) -> tuple[str, str] | None:
    """Of a well-formed name that no submission has: what it names, and what there is instead."""
    spec = BENCHMARKS[task]
    matches = (_pattern(file).fullmatch(name) for file in spec.submission_files)
    named = next(filter(None, matches), None)
    if named is None:
        return None
    fields = named.groupdict()
    participant_id, serial = int(fields["p_id"]), fields["serial"]
    if participant_id not in spec.participants:
        there = ", ".join(f"{p:03d}" for p in spec.participants)
        return f"participant {fields['p_id']}", f"one of the participants {there}"
    names = spec.submission_sequences.get(participant_id, ())
    if names and fields["seq_name"] not in names:
        found = f"sequence {fields['seq_name']} of participant {participant_id:03d}"
        return found, f"the sequence {' or '.join(names)}"
    if spec.submission_serials and serial not in spec.submission_serials:
        sort = "train camera" if serial in spec.train_serials else "camera"
        return f"{sort} {serial}", f"one of the cameras {', '.join(spec.submission_serials)}"
    return "an image that the benchmark has not", "one of the benchmark's images"


@cache
def _pattern(file: SubmissionFile) -> re.Pattern[str]:
    """Of the paths that a template makes."""
    pieces = []
    for text, field, _, _ in Formatter().parse(file.template):
        pieces.append(re.escape(text))
        if field is not None:
            digits = field in {"p_id", "timestep", "serial"}
            pieces.append(f"(?P<{field}>{'[0-9]{1,12}' if digits else '[^/]+'})")
    return re.compile("".join(pieces))
