"""Which pointclouds of a sequence are meant: timesteps and ranges of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nersemble_async.errors import SelectionError

_RANGE_PATTERN = re.compile(r"(-?[0-9]{1,9})?:(-?[0-9]{1,9})?(?::(-?[0-9]{1,9})?)?")
_TIMESTEP_PATTERN = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class TimestepRange:
    """``start:stop:step`` over a sequence's timeline, as Python slices ``range(last + 1)``.

    So ``0:100:10`` is 0, 10, … 90; negative bounds count from the end, and ``-10:`` are the last
    ten timesteps. Of what the slice names, those timesteps are meant that metadata.json lists.
    """

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def __post_init__(self) -> None:
        if self.step == 0:
            raise SelectionError("the step of a range of pointcloud frames cannot be 0")

    def of(self, timesteps: Sequence[int]) -> list[int]:
        """Which of ``timesteps`` (ascending, not negative) lie in the range, ascending."""
        if not timesteps:
            return []
        named = range(timesteps[-1] + 1)[self.start : self.stop : self.step]
        return [timestep for timestep in timesteps if timestep in named]

    def __str__(self) -> str:
        if self == TimestepRange():
            return "all"
        parts = [self.start, self.stop] if self.step is None else [self.start, self.stop, self.step]
        return ":".join("" if part is None else str(part) for part in parts)


@dataclass(frozen=True, slots=True)
class PointcloudFrames:
    """Which pointclouds: single timesteps and ranges together. The default is frame 0 only.

    Raises:
        SelectionError: on construction; a timestep is no integer from 0 on, or nothing is given.
    """

    timesteps: tuple[int, ...] = (0,)
    ranges: tuple[TimestepRange, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "timesteps", tuple(dict.fromkeys(self.timesteps)))
        object.__setattr__(self, "ranges", tuple(dict.fromkeys(self.ranges)))
        if not self.timesteps and not self.ranges:
            raise SelectionError("no pointcloud frames given; write all, 0 5 7 or 0:1118:10")
        for timestep in self.timesteps:
            if isinstance(timestep, bool) or not isinstance(timestep, int) or timestep < 0:
                raise SelectionError(f"{timestep!r} is not a timestep: those are 0, 1, 2, …")

    def __str__(self) -> str:
        """What `parse_pointcloud_frames` takes, tokens joined by spaces."""
        return " ".join(map(str, (*self.timesteps, *self.ranges)))


FIRST_POINTCLOUD_FRAME = PointcloudFrames()
ALL_POINTCLOUD_FRAMES = PointcloudFrames((), (TimestepRange(),))


def parse_pointcloud_frames(tokens: Sequence[str]) -> PointcloudFrames:
    """``["all"]``, ``["0"]``, ``["0", "5", "7"]``, ``["0:1118:10"]`` or any mix of them.

    Ranges have Python's slice semantics, see `TimestepRange`. A token may hold several parts
    with spaces or commas between them.

    Raises:
        SelectionError: there is no token, or one is neither a timestep nor a range.
    """
    if isinstance(tokens, str):
        tokens = (tokens,)
    timesteps: list[int] = []
    ranges: list[TimestepRange] = []
    for part in (part for token in tokens for part in re.split(r"[\s,]+", token) if part):
        if _TIMESTEP_PATTERN.fullmatch(part):
            timesteps.append(int(part))
        elif part == "all":
            ranges.append(TimestepRange())
        elif match := _RANGE_PATTERN.fullmatch(part):
            ranges.append(TimestepRange(*(None if g is None else int(g) for g in match.groups())))
        else:
            raise SelectionError(
                f"{part!r} does not say which pointcloud frames; write all, timesteps like "
                "0 5 7, or ranges like 0:1118:10 (start:stop:step, as Python slices)"
            )
    return PointcloudFrames(tuple(timesteps), tuple(ranges))
