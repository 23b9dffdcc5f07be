"""Small pictures of a video's frames: enough to judge what is in them, at a few kilobytes each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av.error
import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.probe import what_av_says
from nersemble_async.formats.video.reader import VideoReader


def decode_small(
    reader: VideoReader, frame_indices: Iterable[int], size: tuple[int, int]
) -> Iterator[tuple[DecodedFrame, npt.NDArray[np.uint8]]]:
    """Frames in order, each with an RGB picture (h, w, 3) uint8 of ``size``, width and height.

    Shrunk with an average over the pixels, whatever the frame's shape.

    Raises:
        DecodeError: while iterating, with the frame that does not decode; nothing else for what
            a video holds.
    """
    for frame in reader.decode_frames(frame_indices):
        try:
            picture = frame.to_array(
                FrameFormat(scale=(size[0] / frame.width, size[1] / frame.height))
            )
        except (av.error.FFmpegError, ValueError, MemoryError) as error:
            raise DecodeError(
                str(reader.path),
                f"the frame cannot be converted: {what_av_says(error)}",
                frame=frame.frame_index,
            ) from None
        yield frame, picture.astype(np.uint8, copy=False)
