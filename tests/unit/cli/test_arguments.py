"""The official tool's spellings become typer's, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cli.arguments import (
    LIST_OPTIONS,
    ArgumentError,
    expand_arguments,
    split_values,
)

TASKS = ("nvs", "mono_flame_avatar", "svfr")

words = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="+_:,"))
values = words.filter(lambda word: word not in TASKS and word != "")
scalar_options = st.sampled_from(["--root", "--read-timeout", "--overwrite", "-h"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("fetch --participant 388 422", "fetch --participant=388 --participant=422"),
        (
            "fetch --pointcloud-frames 0 5 nvs",
            "fetch --pointcloud-frames=0 --pointcloud-frames=5 nvs",
        ),
        ("fetch --pointcloud_frames all", "fetch --pointcloud-frames=all"),
        (
            "fetch --pointcloud_frames=0 5 svfr",
            "fetch --pointcloud-frames=0 --pointcloud-frames=5 svfr",
        ),
        ("fetch nvs --n_workers 4 --overwrite", "fetch nvs --connections 4 --overwrite"),
        ("fetch --n-workers=4", "fetch --connections=4"),
        ("fetch --root my_data nvs", "fetch --root my_data nvs"),
        ("fetch --root=my_data_dir", "fetch --root=my_data_dir"),
        (
            "fetch --assets images calibration --root x",
            "fetch --assets=images --assets=calibration --root x",
        ),
        (
            "prepare --serial 222200042 nvs/388/GLASSES",
            "prepare --serial=222200042 nvs/388/GLASSES",
        ),
        ("fetch -- --participant 1 2", "fetch -- --participant 1 2"),
        ("synthesize out --scale tiny", "synthesize out --scale tiny"),
    ],
)
def test_written_and_meant(written: str, meant: str) -> None:
    assert expand_arguments(written.split(), TASKS) == meant.split()


@pytest.mark.parametrize("tail", [[], ["nvs"], ["--root", "x"], ["--"]])
def test_a_list_without_values_is_refused_by_name(tail: list[str]) -> None:
    with pytest.raises(ArgumentError, match="--serial needs at least one value"):
        expand_arguments(["fetch", "--serial", *tail], TASKS)


@given(
    option=st.sampled_from(sorted(LIST_OPTIONS)),
    listed=st.lists(values, min_size=1, max_size=5),
    after=st.one_of(st.just([]), scalar_options.map(lambda o: [o]), st.just(["svfr"])),
    underscores=st.booleans(),
)
def test_every_value_reaches_its_option_in_order(
    option: str, listed: list[str], after: list[str], *, underscores: bool
) -> None:
    written = "--" + option[2:].replace("-", "_") if underscores else option
    expanded = expand_arguments(["fetch", written, *listed, *after], TASKS)
    assert expanded == ["fetch", *(f"{option}={value}" for value in listed), *after]


@given(st.lists(st.one_of(words, scalar_options, st.sampled_from(TASKS))))
def test_command_lines_without_list_options_are_left_alone(arguments: list[str]) -> None:
    assert expand_arguments(arguments, TASKS) == arguments


@given(
    st.lists(
        st.one_of(
            values,
            st.sampled_from([*sorted(LIST_OPTIONS), "--n_workers", "--root=a_b", "--", *TASKS]),
        )
    )
)
def test_expanding_twice_changes_nothing_more(arguments: list[str]) -> None:
    try:
        once = expand_arguments(arguments, TASKS)
    except ArgumentError:
        return
    assert expand_arguments(once, TASKS) == once


@pytest.mark.parametrize(
    ("given_values", "expected"),
    [
        (None, None),
        ([], None),
        (["all"], None),
        (["388,422", "443"], ("388", "422", "443")),
        (["388 422"], ("388", "422")),
        (["388", "388"], ("388",)),
        (["EXP-3-cheeks+nose"], ("EXP-3-cheeks+nose",)),
    ],
)
def test_values_are_split(given_values: list[str] | None, expected: tuple[str, ...] | None) -> None:
    assert split_values(given_values) == expected


@pytest.mark.parametrize("bad", [["all", "388"], [","], [""]])
def test_values_that_mean_nothing_are_refused(bad: list[str]) -> None:
    with pytest.raises(ArgumentError):
        split_values(bad)
