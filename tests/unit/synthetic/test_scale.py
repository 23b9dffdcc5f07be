"""Lengths and sizes: in proportion to the documented ones, which they sum up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.synthetic.scale import SCALES, documented_lengths

FULL = SCALES["full-size"]


def test_full_size_is_the_datasets() -> None:
    assert list(FULL.lengths("nvs").values()) == [1118, 517, 1108, 514, 259]
    assert sum(FULL.lengths("nvs").values()) == 3516
    for task in ("nvs", "mono_flame_avatar", "svfr"):
        assert FULL.frame_size(task) == BENCHMARKS[task].frame_size


def test_mono_lengths_sum_up_to_what_is_documented() -> None:
    spec = BENCHMARKS["mono_flame_avatar"]
    lengths = documented_lengths("mono_flame_avatar")
    assert len(lengths) == 5 * 22
    for participant_id in spec.participants:
        for names, total in (
            (spec.train_sequences[participant_id], spec.n_train_frames[participant_id]),
            (spec.test_sequences[participant_id], spec.n_test_frames[participant_id]),
        ):
            parts = [lengths[SequenceKey(participant_id, name)] for name in names]
            assert sum(parts) == total
            assert len(set(parts)) > len(parts) // 2


def test_single_images_have_no_lengths() -> None:
    assert FULL.lengths("svfr") == {}


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_lengths_differ_at_every_scale(name: str) -> None:
    for task in ("nvs", "mono_flame_avatar"):
        assert len(Counter(SCALES[name].lengths(task).values())) > 1


@pytest.mark.parametrize("width", [2, 44, 110, 220, 550, 1100])
def test_heights_keep_the_aspect_and_are_even(width: int) -> None:
    got_width, height = replace(FULL, nvs_width=width).frame_size("nvs")
    assert got_width == width
    assert height % 2 == 0
    assert abs(height - width * 1604 / 1100) <= 1


def test_points_are_in_proportion() -> None:
    scale = replace(FULL, n_points=10_000)
    points = {p: scale.points(p) for p in BENCHMARKS["nvs"].participants}
    assert max(points.values()) == points[422] == 10_000
    assert min(points.values()) == points[475]


@pytest.mark.parametrize(
    "change", [{"nvs_width": 33}, {"mono_width": 31}, {"n_points": 0}, {"nvs_frames": 0}]
)
def test_impossible_scales(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"even|at least"):
        replace(FULL, **change)  # type: ignore[arg-type]  # dataclass fields by name
