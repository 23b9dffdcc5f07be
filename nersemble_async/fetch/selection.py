"""What a user asks for: `Selection`, and which pointclouds: `PointcloudFrames`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, BenchmarkSpec, Task
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
    """Which pointclouds: single timesteps and ranges together. The default is frame 0 only."""

    timesteps: tuple[int, ...] = (0,)
    ranges: tuple[TimestepRange, ...] = ()

    def __str__(self) -> str:
        """What `parse_pointcloud_frames` takes, tokens joined by spaces."""
        return " ".join(map(str, (*self.timesteps, *self.ranges)))


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
    if not timesteps and not ranges:
        raise SelectionError("no pointcloud frames given; write all, 0 5 7 or 0:1118:10")
    return PointcloudFrames(tuple(dict.fromkeys(timesteps)), tuple(dict.fromkeys(ranges)))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the benchmark: a filter per field, None means everything.

    A value has to exist in at least one selected task. A task in which a filter matches nothing
    contributes nothing. Filters narrow what they apply to: ``serials`` videos and images,
    ``sequences`` everything but calibrations, ``pointcloud_frames`` pointclouds.

    Raises:
        SelectionError: on construction; a value exists nowhere, or nothing is left. The
            message lists what exists.
    """

    tasks: tuple[Task, ...] = TASKS
    assets: tuple[str, ...] | None = None
    """Asset keys; None means all but the optional ones, which come only when named."""
    participants: tuple[int, ...] | None = None
    sequences: tuple[str, ...] | None = None
    serials: tuple[str, ...] | None = None
    pointcloud_frames: PointcloudFrames = PointcloudFrames()

    def __post_init__(self) -> None:
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            if isinstance(value, str):
                raise SelectionError(f"{field.name} takes several values, not the text {value!r}")
            if value is not None:
                object.__setattr__(self, field.name, tuple(dict.fromkeys(value)))
        _check("task", self.tasks, TASKS, lambda: f"there are {', '.join(TASKS)}")
        object.__setattr__(self, "tasks", tuple(t for t in TASKS if t in self.tasks))
        specs = [BENCHMARKS[task] for task in self.tasks]
        for what, chosen, listing in (
            ("asset", self.assets, _asset_keys),
            ("participant", self.participants, _participants),
            ("sequence", self.sequences, _sequence_names),
        ):
            _check_in_specs(what, chosen, specs, listing)
        self._check_hold_out_serials(specs)
        _check_in_specs("serial", self.serials, specs, _serials)

    def _check_hold_out_serials(self, specs: Sequence[BenchmarkSpec]) -> None:
        for serial in self.serials or ():
            holding = [spec for spec in specs if serial in spec.hold_out_serials]
            if holding and not any(serial in spec.serials for spec in specs):
                raise SelectionError(
                    f"serial {serial} is a hold-out camera of "
                    f"{' and '.join(spec.task for spec in holding)}: what it saw is the hidden "
                    "ground truth and is not published (its calibration is in "
                    f"camera_params.json); {_what_exists(specs, _serials)}"
                )


def _asset_keys(spec: BenchmarkSpec) -> Iterable[str]:
    return (asset.key for asset in spec.assets)


def _participants(spec: BenchmarkSpec) -> Iterable[int]:
    return spec.participants


def _sequence_names(spec: BenchmarkSpec) -> Iterable[str]:
    return spec.sequence_names


def _serials(spec: BenchmarkSpec) -> Iterable[str]:
    return spec.serials


def _what_exists(
    specs: Sequence[BenchmarkSpec], listing: Callable[[BenchmarkSpec], Iterable[object]]
) -> str:
    return "; ".join(f"{spec.task} has {', '.join(map(str, listing(spec)))}" for spec in specs)


def _check_in_specs(
    what: str,
    chosen: tuple[object, ...] | None,
    specs: Sequence[BenchmarkSpec],
    listing: Callable[[BenchmarkSpec], Iterable[object]],
) -> None:
    existing = tuple(dict.fromkeys(value for spec in specs for value in listing(spec)))
    _check(what, chosen, existing, lambda: _what_exists(specs, listing))


def _check(
    what: str,
    chosen: Sequence[object] | None,
    existing: Sequence[object],
    describe: Callable[[], str],
) -> None:
    """Raise a SelectionError unless all of ``chosen`` exist; lists what exists, and the nearest."""
    if chosen is None:
        return
    if not chosen:
        raise SelectionError(f"no {what} is selected; {describe()}")
    unknown = [value for value in chosen if value not in existing]
    if not unknown:
        return
    near = {str(value).lower(): str(value) for value in existing}
    guesses = difflib.get_close_matches(str(unknown[0]).lower(), near, n=1, cutoff=0.6)
    guess = f", did you mean {near[guesses[0]]}?" if guesses else ";"
    names = ", ".join(str(value) for value in unknown)
    raise SelectionError(f"unknown {what} {names}{guess} {describe()}")
