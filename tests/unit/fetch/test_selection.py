"""Selections: what is unknown is refused with what exists."""

from __future__ import annotations

from typing import Any

import pytest

from nersemble_async.errors import SelectionError
from nersemble_async.fetch.selection import Selection


def refusal(**filters: Any) -> str:
    with pytest.raises(SelectionError) as caught:
        Selection(**filters)
    return str(caught.value)


def test_everything_is_the_default() -> None:
    selection = Selection()
    assert selection.tasks == ("nvs", "mono_flame_avatar", "svfr")
    assert selection.assets is None
    assert selection.participants is None
    assert selection.sequences is None
    assert selection.serials is None
    assert str(selection.pointcloud_frames) == "0"


def test_values_are_kept_once_and_tasks_in_order() -> None:
    selection = Selection(
        tasks=("svfr", "nvs", "svfr"),
        participants=[388, 17, 388],  # type: ignore[arg-type]
    )
    assert selection.tasks == ("nvs", "svfr")
    assert selection.participants == (388, 17)
    assert hash(selection) == hash(Selection(("nvs", "svfr"), participants=(388, 17)))


def test_an_unknown_task() -> None:
    assert refusal(tasks=("nvz",)) == (
        "unknown task 'nvz', did you mean nvs? there are nvs, mono_flame_avatar, svfr"
    )


@pytest.mark.parametrize(
    ("filters", "starts", "lists"),
    [
        (
            {"assets": ("pointcloud",)},
            "unknown asset 'pointcloud', did you mean pointclouds? ",
            "nvs has calibration, images, alpha_maps, pointclouds; mono_flame_avatar has ",
        ),
        (
            {"assets": ("flame2023_tracking_v3",)},
            "unknown asset 'flame2023_tracking_v3', did you mean flame2023_tracking_v2? ",
            "svfr has images",
        ),
        (
            {"tasks": ("svfr",), "assets": ("pointclouds",)},
            "unknown asset 'pointclouds'; ",
            "svfr has images",
        ),
        ({"assets": ("metadata",)}, "unknown asset 'metadata'", "nvs has calibration, "),
        (
            {"tasks": ("nvs",), "participants": (388, 17, 393)},
            "unknown participant 17, 393; ",
            "nvs has 388, 422, 443, 445, 475",
        ),
        ({"participants": ("388",)}, "unknown participant '388', did you mean 388? ", "nvs has "),
        (
            {"sequences": ("exp-2-EYES",)},
            "unknown sequence 'exp-2-EYES', did you mean EXP-2-eyes? ",
            "nvs has GLASSES, EXP-2-eyes, FREE, EXP-6-tongue-1, HAIR; ",
        ),
        (
            {"serials": ("222200099",)},
            "unknown serial '222200099', did you mean ",
            "mono_flame_avatar has 222200037; ",
        ),
        (
            {"tasks": ("mono_flame_avatar",), "serials": ("222200042",)},
            "unknown serial '222200042', did you mean 222200037? ",
            "mono_flame_avatar has 222200037",
        ),
        ({"participants": ()}, "no participant is selected; ", "nvs has 388"),
        ({"tasks": ()}, "no task is selected; ", "there are nvs, mono_flame_avatar, svfr"),
    ],
)
def test_what_is_unknown(filters: dict[str, Any], starts: str, lists: str) -> None:
    message = refusal(**filters)
    assert message.startswith(starts)
    assert lists in message


@pytest.mark.parametrize("name", ["tasks", "assets", "sequences", "serials"])
def test_one_text_instead_of_several(name: str) -> None:
    assert refusal(**{name: "nvs"}) == f"{name} takes several values, not the text 'nvs'"


@pytest.mark.parametrize("serials", [("222200046",), ("222200042", "222200046")])
def test_hold_out_cameras_have_no_data(serials: tuple[str, ...]) -> None:
    message = refusal(tasks=("nvs",), serials=serials)
    assert message.startswith("serial 222200046 is a hold-out camera of nvs: ")
    assert "nvs has 222200042, 222200044, " in message


def test_hold_out_camera_of_two_tasks() -> None:
    message = refusal(tasks=("nvs", "mono_flame_avatar"), serials=("222200039",))
    assert "hold-out camera of nvs and mono_flame_avatar" in message


def test_what_exists_in_one_task_is_enough() -> None:
    Selection(serials=("222200046",))
    Selection(participants=(388, 393, 17))
    Selection(assets=("pointclouds", "flame2023_tracking"))
    Selection(sequences=("HAIR", "EMO-1-shout+laugh"))
    # A hold-out camera of one benchmark may be a train camera of another.
    Selection(tasks=("nvs", "mono_flame_avatar"), serials=("220700191", "222200037"))
