"""One frame of one camera, as streams give it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """An image, where and when it was taken, and its alpha map where that was asked for."""

    serial: str
    """The camera."""
    timestep: int
    """The dataset's time, as in metadata.json."""
    frame_index: int
    """Position in the mp4."""
    image: FrameArray
    """As its `FrameFormat` says; by default (H, W, 3) uint8 RGB."""
    alpha_map: FrameArray | None
    """With one channel, else in the image's format; None where it was not asked for."""

    def __repr__(self) -> str:
        alpha = "" if self.alpha_map is None else f", alpha_map={_shape(self.alpha_map)}"
        return (
            f"Frame(serial={self.serial!r}, timestep={self.timestep}, "
            f"frame_index={self.frame_index}, image={_shape(self.image)}{alpha})"
        )


def alpha_format(frame_format: FrameFormat) -> FrameFormat:
    """The format of the alpha maps that go with images of a format."""
    return replace(frame_format, channels="alpha")


def _shape(array: FrameArray) -> str:
    return f"{array.dtype} {array.shape}"
