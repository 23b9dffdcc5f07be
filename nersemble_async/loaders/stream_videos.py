"""The videos that a stream is made of: indexed, and what is wanted of them looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import anyio

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.stream_memory import StreamPlan
from nersemble_async.loaders.video_lane import VideoLane
from nersemble_async.workers import run_blocking, run_together

Step = tuple[int, int]
"""A timestep, and the frame's position in the mp4."""


@dataclass(frozen=True, slots=True)
class WantedVideo:
    """A video, its index, and the form in which its frames are wanted."""

    source: VideoSource
    index: VideoIndex
    frame_format: FrameFormat

    @property
    def measured(self) -> tuple[VideoIndex, FrameFormat]:
        """What `plan_stream` wants to know."""
        return self.index, self.frame_format


async def read_videos(
    sources: Sequence[tuple[VideoSource, FrameFormat]],
    steps: Sequence[Step],
    limiter: anyio.CapacityLimiter,
) -> list[WantedVideo]:
    """Read the indices of videos, several at once, and see that they have these frames.

    Args:
        sources: each video, and the form in which its frames are wanted.
        steps: with ascending frame indices.
        limiter: for blocking work.

    Raises:
        SelectionError: the frame indices do not ascend, or a video has not all of them.
        DecodeError: not a video.
        OSError: a file cannot be read.
    """
    frames = [frame_index for _, frame_index in steps]
    if any(later <= earlier for earlier, later in pairwise(frames)):
        raise SelectionError("frame indices have to ascend without repetition")
    found: dict[int, VideoIndex] = {}

    async def read(position: int, source: VideoSource) -> None:
        found[position] = await run_blocking(limiter, source.read_index)

    await run_together(
        partial(read, position, source) for position, (source, _) in enumerate(sources)
    )
    for position, (source, _) in enumerate(sources):
        n_frames = found[position].n_frames
        wrong = [frame for frame in frames[:1] + frames[-1:] if not 0 <= frame < n_frames]
        if wrong:
            raise SelectionError(
                f"{source.path}: there is no frame {wrong[0]}; the video has {n_frames} frames, "
                f"0 to {n_frames - 1}"
            )
    return [
        WantedVideo(source, found[position], frame_format)
        for position, (source, frame_format) in enumerate(sources)
    ]


def make_lanes(
    videos: Sequence[WantedVideo], steps: Sequence[Step], plan: StreamPlan
) -> list[VideoLane]:
    """The videos ready to be decoded, none of them opened."""
    frames = [frame_index for _, frame_index in steps]
    return [
        VideoLane(
            video.source,
            video.index,
            frames,
            video.frame_format,
            codec_threads=plan.codec_threads,
        )
        for video in videos
    ]
