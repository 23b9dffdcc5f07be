"""What a user asks for: `Selection`, checked against what exists."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, BenchmarkSpec, Task
from nersemble_async.errors import SelectionError
from nersemble_async.fetch.pointcloud_frames import FIRST_POINTCLOUD_FRAME, PointcloudFrames

FILTERS = ("tasks", "assets", "participants", "sequences", "serials")
"""The fields of a `Selection` that hold values of which each has to exist."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the benchmark: a filter per field, None means everything.

    A value has to exist in at least one selected task. A task in which a filter matches nothing
    contributes nothing. Filters narrow what they apply to: ``serials`` videos and images,
    ``pointcloud_frames`` pointclouds; a calibration comes with any sequence of its participant.
    Values are kept without repetition, tasks in the order of `TASKS`.

    Raises:
        SelectionError: on construction; a value exists in no selected task, or a filter is
            empty. The message lists what exists.
    """

    tasks: tuple[Task, ...] = TASKS
    assets: tuple[str, ...] | None = None
    """Asset keys; None means all but the optional ones, which come only when named."""
    participants: tuple[int, ...] | None = None
    sequences: tuple[str, ...] | None = None
    serials: tuple[str, ...] | None = None
    pointcloud_frames: PointcloudFrames = FIRST_POINTCLOUD_FRAME

    def __post_init__(self) -> None:
        for name in FILTERS:
            value = getattr(self, name)
            if isinstance(value, str):
                raise SelectionError(f"{name} takes several values, not the text {value!r}")
            if value is not None:
                object.__setattr__(self, name, tuple(dict.fromkeys(value)))
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
    names = ", ".join(repr(value) for value in unknown)
    raise SelectionError(f"unknown {what} {names}{guess} {describe()}")
