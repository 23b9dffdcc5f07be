"""A sequence's timesteps (dataset time) and where each lies in its videos. Pure."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import SupportsIndex

from nersemble_async.errors import SelectionError

_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timesteps of one sequence; the position of one is its frame in the mp4.

    Raises:
        SelectionError: from its methods; a timestep that does not exist, lists what does.
    """

    sequence_name: str
    timesteps: Sequence[int]
    """Ascending, as metadata.json lists them; there may be gaps."""
    _frame_indices: Mapping[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positions = {timestep: position for position, timestep in enumerate(self.timesteps)}
        object.__setattr__(self, "_frame_indices", positions)

    def frame_index(self, timestep: SupportsIndex) -> int:
        """The timestep's position in the sequence's videos."""
        try:
            return self._frame_indices[operator.index(timestep)]
        except (KeyError, TypeError):
            raise self._unknown(timestep) from None

    def select(self, start: int = 0, stop: int | None = None, step: int = 1) -> list[int]:
        """Every ``step``-th of the listed timesteps from ``start`` on and before ``stop``.

        Raises:
            SelectionError: there is none, or ``step`` is not 1 or more.
        """
        if step < 1:
            raise SelectionError(f"step is {step}; it is 1 (each listed timestep) or more")
        chosen = [t for t in self.timesteps if start <= t and (stop is None or t < stop)][::step]
        if not chosen:
            raise SelectionError(
                f"{self.sequence_name} has no timestep from {start} on"
                f"{'' if stop is None else f' and before {stop}'}; it has {self._listed()}"
            )
        return chosen

    def checked(self, timesteps: Iterable[int] | None) -> list[int]:
        """The timesteps as given, or all; each of them has to exist."""
        if timesteps is None:
            return list(self.timesteps)
        wanted = list(timesteps)
        for timestep in wanted:
            self.frame_index(timestep)
        return [operator.index(timestep) for timestep in wanted]

    def _unknown(self, timestep: object) -> SelectionError:
        return SelectionError(
            f"{self.sequence_name} has no timestep {timestep!r}; it has {self._listed()}"
        )

    def _listed(self) -> str:
        listed = self.timesteps
        if len(listed) <= _MOST_LISTED:
            return ", ".join(map(str, listed))
        if listed[-1] - listed[0] + 1 == len(listed):
            return f"{listed[0]} to {listed[-1]}"
        first = ", ".join(map(str, listed[: _MOST_LISTED // 2]))
        widest = max(after - before for before, after in pairwise(listed))
        return f"{len(listed)} of them: {first}, … to {listed[-1]}, with gaps of up to {widest}"
