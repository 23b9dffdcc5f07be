"""In which order the pictures of a folder are frames, told by the numbers in their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

_NUMBERS = re.compile(r"([0-9]+)")


class PictureOrderError(ValueError):
    """The names do not tell one order; says why."""


def order_pictures(names: Collection[str], timesteps: Sequence[int] = ()) -> list[str]:
    """The names by the one number in which they differ: 0.png, 1.png, …, 10.png.

    Args:
        names: of files in one folder, such as ``frame_00003.png``; at least one.
        timesteps: of the sequence, ascending; numbers may have the gaps that these have.

    Raises:
        PictureOrderError: they differ in more than one number, or in other characters; a number
            stands there twice, or is missing.
    """
    by_number = _by_number(sorted(names))
    numbers = sorted(by_number)
    if numbers != list(timesteps):
        for before, after in pairwise(numbers):
            if after > before + 1:
                missing = f"{after - before - 1} number{'s are' if after - before > 2 else ' is'}"  # noqa: PLR2004 -- of one, singular
                raise PictureOrderError(
                    f"{missing} missing between {by_number[before]} and {by_number[after]}; "
                    "frames are numbered one after another"
                )
    return [by_number[number] for number in numbers]


def _by_number(names: list[str]) -> dict[int, str]:
    pieces = [_NUMBERS.split(name) for name in names]
    for name, parts in zip(names, pieces, strict=True):
        if parts[::2] != pieces[0][::2]:
            raise PictureOrderError(
                f"{names[0]} and {name} are named in two ways, and which comes first is open: "
                "name all alike, such as 00000.png, 00001.png"
            )
    columns = list(zip(*(map(int, parts[1::2]) for parts in pieces), strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) > 1:
        raise PictureOrderError(
            f"names such as {names[0]} and {names[-1]} differ in more than one number, and which "
            "of them counts the frames is open"
        )
    if not varying and len(names) == 1:
        return {0: names[0]}
    by_number: dict[int, str] = {}
    for name, number in zip(names, (varying or columns)[-1], strict=True):
        if number in by_number:
            raise PictureOrderError(f"{by_number[number]} and {name} have the same number")
        by_number[number] = name
    return by_number
