"""What is in a video's pictures: black, of one colour, frozen, on another background. Pure.

All of it is judged on small pictures (about 100 pixels high), in which each pixel is the average
of some hundred: noise and compression are gone, what a person would call a mistake is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach

RgbPicture = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 RGB."""

SMALL_HEIGHT = 100
"""Pixels of a small picture."""

_BLACK_LEVEL = 24
"""A frame without a level above it is black: rooms that dark show no face. Video noise and the
rounding of limited range stay below 6."""
_ONE_COLOR_SPREAD = 6
"""Levels from the darkest to the brightest value of a frame of one colour; a head makes 100."""
_STILL_LEVELS = 8
"""Two small pictures whose every pixel differs by no more are the same. A new keyframe of a still,
noisy picture moves the worst pixel by 2 levels at 1100 x 1604 and by 5 at 512 x 512 (crf 14,
measured); a blink, a lip or an outline that moves by a pixel, by tens."""
_MOTION_NEEDS_FRAMES = 3
"""Shorter videos may well stand still."""
_WHITE_LEVEL = 245
"""Background that is as bright in every channel is white: the benchmark's own writer and reader
darken white by less than 3 levels, and the soft edge of a head covers little of the border."""
_GREY_SPREAD = 10
_CORNER = 0.15
"""Of width and height: the two upper corners, where no head of the dataset reaches."""
_STRIP = 0.04
"""Of the width: both sides of the upper half. Shoulders touch the lower one."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoSample:
    """A small picture of one frame."""

    frame_index: int
    picture: RgbPicture


@dataclass(frozen=True, slots=True)
class FrameLook:
    """What one frame looks like, in a few numbers."""

    frame_index: int
    color: tuple[int, int, int]
    """Mean RGB."""
    brightest: int
    """Level."""
    spread: int
    """Levels from the darkest to the brightest pixel, in the channel where that is most."""
    background: tuple[int, int, int]
    """Median RGB of the border above the shoulders."""
    motion: int
    """Largest difference of levels to the first frame that was looked at."""

    @property
    def is_black(self) -> bool:
        """Whether nothing is to be seen."""
        return self.brightest < _BLACK_LEVEL

    @property
    def is_of_one_color(self) -> bool:
        """Whether there is nothing but one colour that is not black."""
        return not self.is_black and self.spread <= _ONE_COLOR_SPREAD

    @property
    def moves(self) -> bool:
        """Whether it differs from the first frame."""
        return self.motion > _STILL_LEVELS


def small_size(frame_size: tuple[int, int]) -> tuple[int, int]:
    """Width, height of the small pictures of a benchmark's videos."""
    width, height = frame_size
    return max(2, round(SMALL_HEIGHT * width / height)), SMALL_HEIGHT


def look_at(frame_index: int, picture: RgbPicture, first: RgbPicture) -> FrameLook:
    """Sum up a small picture; ``first`` is that of the first frame, of the same size."""
    lowest, highest = picture.min(axis=(0, 1)), picture.max(axis=(0, 1))
    border = picture[_border(picture.shape[0], picture.shape[1])]
    return FrameLook(
        frame_index=frame_index,
        color=_levels(picture.mean(axis=(0, 1))),
        brightest=int(highest.max()),
        spread=int((highest - lowest).max()),
        background=_levels(np.median(border, axis=0)),
        motion=int(np.abs(picture.astype(np.int16) - first).max()),
    )


def content_issues(entry: str, looks: Sequence[FrameLook], n_frames: int) -> list[SubmissionIssue]:
    """What seems wrong with the frames that were looked at; warnings all.

    Args:
        entry: path in the zip.
        looks: of at least one frame, in order.
        n_frames: of the whole video.
    """
    issues = []
    black = [look for look in looks if look.is_black]
    plain = [look for look in looks if look.is_of_one_color]
    if black:
        found = f"{_some_of(black, looks, n_frames)} black"
        issues.append(breach("black-video", entry, found, "a head in every frame"))
    if plain:
        found = f"{_some_of(plain, looks, n_frames)} nothing but {color_name(plain[0].color)}"
        issues.append(breach("constant-video", entry, found, "a head in every frame"))
    seen = [look for look in looks if not (look.is_black or look.is_of_one_color)]
    if seen and not black and not plain and looks_frozen(looks, n_frames):
        found = f"{_some_of(looks, looks, n_frames)} the same picture"
        issues.append(breach("frozen-video", entry, found, "a head that moves"))
    off = [look for look in seen if min(look.background) < _WHITE_LEVEL]
    if 2 * len(off) > len(seen):
        background = _levels(np.median([look.background for look in off], axis=0))
        issues.append(
            breach(
                "wrong-background",
                entry,
                f"a background of {color_name(background)}",
                "white (255, 255, 255), as in the dataset's images",
            )
        )
    return issues


def looks_frozen(looks: Sequence[FrameLook], n_frames: int) -> bool:
    """Whether all frames that were looked at are the same, in a video that should move."""
    enough = n_frames >= _MOTION_NEEDS_FRAMES and len(looks) > 1
    return enough and not any(look.moves for look in looks)


def color_name(color: tuple[int, int, int]) -> str:
    """A colour in words and numbers, such as ``black (0, 0, 0)``."""
    if max(color) < _BLACK_LEVEL:
        name = "black "
    elif min(color) >= _WHITE_LEVEL:
        name = "white "
    elif max(color) - min(color) <= _GREY_SPREAD:
        name = "grey "
    else:
        name = "RGB "
    return f"{name}{color}"


def _border(height: int, width: int) -> npt.NDArray[np.bool_]:
    """(h, w) where background is to be seen: the upper corners and the sides of the upper half."""
    border = np.zeros((height, width), np.bool_)
    down, across = max(1, round(_CORNER * height)), max(1, round(_CORNER * width))
    strip = max(1, round(_STRIP * width))
    border[:down, :across] = border[:down, -across:] = True
    border[: height // 2, :strip] = border[: height // 2, -strip:] = True
    return border


def _levels(color: npt.NDArray[np.floating]) -> tuple[int, int, int]:
    red, green, blue = (round(float(level)) for level in color)
    return red, green, blue


def _some_of(of: Sequence[FrameLook], looks: Sequence[FrameLook], n_frames: int) -> str:
    """Such as ``2 of 300 frames, the first at 17, are`` or ``all 300 frames are``."""
    looked = (
        f"{n_frames} frames"
        if len(looks) == n_frames
        else f"{len(looks)} frames looked at (of {n_frames})"
    )
    if len(of) == len(looks):
        return f"all {looked} are" if len(looks) > 1 else f"the only one of {looked} is"
    verb = "are" if len(of) > 1 else "is"
    return f"{len(of)} of the {looked}, the first of them frame {of[0].frame_index}, {verb}"
