"""PyTorch's DataLoader and torchdata's StatefulDataLoader over the datasets, with real workers."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nersemble_async.formats.video.source import VideoSource
from tests.support.shuffling import ALL_STEPS, N_FRAMES, SERIALS, SIZE, write_cameras
from tests.support.torch_python import run_with_torch
from tests.support.videos import RgbImage, decode_all

SCRIPT = Path(__file__).parents[1] / "support" / "torch_scripts" / "datasets.py"
N_ALL = 3 * N_FRAMES
WIDTH, HEIGHT = SIZE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("torch")


@pytest.fixture(scope="module")
def cameras(folder: Path) -> dict[str, VideoSource]:
    return write_cameras(folder)


@pytest.fixture(scope="module")
def alphas(folder: Path) -> dict[str, VideoSource]:
    return write_cameras(folder, "_alpha")


@pytest.fixture(scope="module")
def answer(
    cameras: dict[str, VideoSource], alphas: dict[str, VideoSource], folder: Path
) -> dict[str, Any]:
    """Everything at once: what takes time is to start torch in each process."""

    def paths(sources: dict[str, VideoSource]) -> dict[str, list[str]]:
        return {serial: [str(s.path), str(s.index_path)] for serial, s in sources.items()}

    argument = {
        "cameras": paths(cameras),
        "alphas": paths(alphas),
        "steps": ALL_STEPS,
        "folder": str(folder / "frame_cache"),
    }
    found: dict[str, Any] = run_with_torch(SCRIPT, argument)
    return found


@pytest.fixture(scope="module")
def every_row(cameras: dict[str, VideoSource]) -> list[list[Any]]:
    """Each frame with its checksum, in the order of cameras."""
    images = {serial: decode_all(source.path) for serial, source in cameras.items()}
    return [
        [serial, number, timestep, index, checksum(images[serial][index])]
        for number, serial in enumerate(SERIALS)
        for timestep, index in ALL_STEPS
    ]


def checksum(image: RgbImage) -> int:
    return zlib.crc32(image.tobytes())


@pytest.mark.parametrize("kind", ["(0, None)", "(1, 'fork')", "(3, 'fork')", "(2, 'spawn')"])
def test_each_frame_once_over_all_ranks_and_workers(
    answer: dict[str, Any], every_row: list[list[Any]], kind: str
) -> None:
    ranks = answer["shuffled"][kind]
    assert sorted(ranks[0] + ranks[1]) == sorted(every_row)
    assert abs(len(ranks[0]) - len(ranks[1])) <= 1
    assert ranks[0] != sorted(ranks[0])


def test_stopped_and_resumed_by_a_stateful_loader_it_is_one_epoch(answer: dict[str, Any]) -> None:
    assert len(answer["resumed"]) == 7
    for resumed in answer["resumed"]:
        assert len(resumed["unbroken"]) == N_ALL
        assert resumed["first"] + resumed["rest"] == resumed["unbroken"]


def test_without_workers_the_datasets_own_state_is_enough(answer: dict[str, Any]) -> None:
    resumed = answer["resumed_alone"]
    assert len(resumed["rest"]) == N_ALL - 24
    assert resumed["first"] + resumed["rest"] == resumed["unbroken"]


def test_workers_that_live_on_see_the_next_epoch(
    answer: dict[str, Any], every_row: list[list[Any]]
) -> None:
    first, second, again = answer["epochs"]
    assert first == again != second
    assert sorted(first) == sorted(second) == sorted(every_row)


def test_tensors_are_contiguous_and_in_the_wanted_format(answer: dict[str, Any]) -> None:
    numbers = [[4], "torch.int64", True]
    rest = dict.fromkeys(("timestep", "frame_index", "serial_index"), numbers)
    assert answer["formats"]["plain"] == {
        "image": [[4, HEIGHT, WIDTH, 3], "torch.uint8", True],
        "alpha_map": [[4, HEIGHT, WIDTH, 1], "torch.uint8", True],
        **rest,
    }
    assert answer["formats"]["chw"] == {
        "image": [[4, 3, HEIGHT, WIDTH], "torch.float32", True],
        "alpha_map": [[4, 1, HEIGHT, WIDTH], "torch.float32", True],
        **rest,
    }


@pytest.mark.parametrize(
    ("kind", "has_cache"),
    [
        ("(0, None)", False),
        ("(0, None)", True),
        ("(2, 'fork')", False),
        ("(2, 'fork')", True),
        ("(2, 'spawn')", True),
    ],
)
def test_any_frame_by_its_number(
    answer: dict[str, Any], every_row: list[list[Any]], kind: str, has_cache: bool
) -> None:
    found = answer["random_access"][f"{kind} {has_cache}"]
    assert found["n"] == N_ALL
    assert found["last"] == every_row[-1][-1]
    assert sorted(found["rows"]) == sorted(every_row)
    assert found["rows"] != every_row


@pytest.mark.parametrize("has_cache", [False, True])
def test_frames_in_order_have_their_numbers_and_alpha_maps(
    answer: dict[str, Any],
    every_row: list[list[Any]],
    alphas: dict[str, VideoSource],
    has_cache: bool,
) -> None:
    found = answer["random_access"][f"(0, None) {has_cache}"]
    assert found["in_order"] == [row[-1] for row in every_row[:5]]
    alpha_maps = decode_all(alphas[SERIALS[0]].path)[:5]
    assert found["alpha_maps"] == [
        checksum(np.ascontiguousarray(image[:, :, :1])) for image in alpha_maps
    ]


def test_an_iterator_that_nobody_holds_leaves_nothing(answer: dict[str, Any]) -> None:
    left = answer["left_early"]
    assert "shuffled-0" in left["during"]
    assert left["after"] == []
    assert left["position"] == 1
