"""Black, plain, frozen pictures and backgrounds are told apart, and in words that help."""

from __future__ import annotations

import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.submission.validation.video_content import (
    FrameLook,
    RgbPicture,
    color_name,
    content_issues,
    look_at,
    looks_frozen,
    small_size,
)
from tests.support.head_videos import head

SIZE = (67, 100)


def looks_of(*pictures: RgbPicture) -> list[FrameLook]:
    return [look_at(index, picture, pictures[0]) for index, picture in enumerate(pictures)]


def found_in(*pictures: RgbPicture, n_frames: int | None = None) -> list[tuple[str, str]]:
    issues = content_issues("a.mp4", looks_of(*pictures), n_frames or len(pictures))
    return [(issue.rule, issue.found) for issue in issues]


def plain(level: int) -> RgbPicture:
    return np.full((100, 67, 3), level, np.uint8)


@pytest.mark.parametrize(("task", "size"), [("nvs", (69, 100)), ("mono_flame_avatar", (100, 100))])
def test_small_pictures_keep_the_shape_of_the_benchmarks_frames(
    task: str, size: tuple[int, int]
) -> None:
    spec = next(spec for spec in BENCHMARKS.values() if spec.task == task)
    assert small_size(spec.frame_size) == size


def test_a_head_that_moves_before_white_raises_nothing() -> None:
    assert found_in(*(head(index, SIZE) for index in range(5))) == []


def test_a_single_black_frame_is_told_with_its_place() -> None:
    pictures = [head(0, SIZE), head(3, SIZE), plain(4), head(4, SIZE)]
    assert found_in(*pictures) == [
        ("black-video", "1 of the 4 frames, the first of them frame 2, is black")
    ]


def test_frames_of_one_color_are_told_with_the_color() -> None:
    ((rule, found),) = found_in(head(0, SIZE), plain(128), plain(128), n_frames=300)
    assert rule == "constant-video"
    assert found.startswith("2 of the 3 frames looked at (of 300), the first of them frame 1, are")
    assert found.endswith("nothing but grey (128, 128, 128)")


def test_a_black_video_is_called_neither_frozen_nor_off_in_background() -> None:
    assert found_in(plain(0), plain(0), plain(0)) == [("black-video", "all 3 frames are black")]


def test_a_frozen_video_is_told_unless_it_has_two_frames() -> None:
    picture = head(0, SIZE)
    assert found_in(picture, picture, picture) == [
        ("frozen-video", "all 3 frames are the same picture")
    ]
    assert found_in(picture, picture) == []
    assert not looks_frozen(looks_of(picture), 300)


def test_noise_of_the_encoder_is_no_motion_and_a_lip_is() -> None:
    picture = head(0, SIZE)
    noisy = np.clip(
        picture.astype(int) + np.random.default_rng(0).integers(-5, 6, picture.shape), 0, 255
    )
    assert looks_frozen(looks_of(picture, noisy.astype(np.uint8)), 300)
    assert not looks_frozen(looks_of(picture, head(2, SIZE)), 300)


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 0, 0), (240, 240, 240), (0, 255, 0)])
def test_a_background_that_is_not_white_is_told(background: tuple[int, int, int]) -> None:
    pictures = (head(index, SIZE, background) for index in range(4))
    assert found_in(*pictures) == [
        ("wrong-background", f"a background of {color_name(background)}")
    ]


@pytest.mark.parametrize("level", [248, 253])
def test_white_that_the_encoder_darkened_is_white(level: int) -> None:
    assert found_in(*(head(index, SIZE, (level,) * 3) for index in range(4))) == []


def test_hair_at_the_upper_border_is_no_background() -> None:
    pictures = [head(index, SIZE) for index in range(4)]
    for picture in pictures:
        picture[:50, 8:-8] = (40, 30, 20)
    assert found_in(*pictures) == []


def test_colors_have_names() -> None:
    assert color_name((3, 2, 9)) == "black (3, 2, 9)"
    assert color_name((255, 250, 251)) == "white (255, 250, 251)"
    assert color_name((128, 130, 127)) == "grey (128, 130, 127)"
    assert color_name((10, 200, 10)) == "RGB (10, 200, 10)"
