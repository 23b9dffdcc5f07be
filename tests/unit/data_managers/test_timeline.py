"""Timesteps and positions: gaps, selections, and what an unknown one is told."""

from __future__ import annotations

import numpy as np
import pytest

from nersemble_async.data_managers.timeline import Timeline
from nersemble_async.errors import SelectionError

GAPS = Timeline("FREE", (0, 3, 6, 20))


def test_a_timestep_is_found_where_the_metadata_lists_it() -> None:
    assert [GAPS.frame_index(timestep) for timestep in (0, 3, 6, 20)] == [0, 1, 2, 3]
    assert GAPS.frame_index(np.int64(6)) == 2


@pytest.mark.parametrize("timestep", [1, -1, 21, 3.0, "3", None])
def test_an_unknown_timestep_is_told_which_there_are(timestep: object) -> None:
    with pytest.raises(SelectionError, match="it has 0, 3, 6, 20"):
        GAPS.frame_index(timestep)  # type: ignore[arg-type]


def test_long_timelines_are_told_in_short() -> None:
    with pytest.raises(SelectionError, match=r"it has 0 to 1117$"):
        Timeline("GLASSES", range(1118)).frame_index(1118)
    with pytest.raises(SelectionError, match="373 of them: 0, 3, 6, 9, 12, 15, … to"):
        Timeline("GLASSES", range(0, 1118, 3)).frame_index(1)


def test_start_and_stop_are_timesteps_and_step_counts_listed_ones() -> None:
    assert GAPS.select() == [0, 3, 6, 20]
    assert GAPS.select(1, 20) == [3, 6]
    assert GAPS.select(step=2) == [0, 6]
    assert GAPS.select(20, 21) == [20]


@pytest.mark.parametrize(("start", "stop", "step"), [(21, None, 1), (4, 6, 1), (0, None, 0)])
def test_an_empty_selection_is_an_error(start: int, stop: int | None, step: int) -> None:
    with pytest.raises(SelectionError):
        GAPS.select(start, stop, step)


def test_given_timesteps_keep_their_order() -> None:
    assert GAPS.checked([6, 0, 6]) == [6, 0, 6]
    assert GAPS.checked(None) == [0, 3, 6, 20]
    with pytest.raises(SelectionError):
        GAPS.checked([0, 1])
