"""What a stream of videos takes in memory, said beforehand, and how far ahead it may go. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nersemble_async.errors import ConfigurationError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.loaders.shuffle_memory import KeptVideo, measure_video

_MOST_CODEC_THREADS = 16
"""FFmpeg's own limit; each one more holds a frame."""
_MOST_CONVERTERS = 4
"""One converts about as many frames as four cores decode."""
_TABLES_FRAMES = 3
"""A decoder's motion vectors, packets and buffers, in frames: 9 to 11 were measured in all, of
which the references and what is in its hands are 7."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """How many work on a stream of videos, and what that takes at worst.

    The packages and their libraries are not counted.
    """

    n_decoders: int
    """Videos, alpha maps counted."""
    codec_threads: int
    """Of each decoder."""
    workers: int
    """Threads that decode or convert at once, beside the codecs' own."""
    decoders_bytes: int
    """All decoders: their references and what is in their hands."""
    working_bytes: int
    """What the workers have in their hands."""
    sample_bytes: int
    """All frames of one timestep, decoded or converted, whichever is more."""
    samples_ahead: int
    """Timesteps that are held ready or are in the making."""
    extra_bytes: int = 0
    """What is held beside the videos: pointclouds."""

    @property
    def converts_apart(self) -> bool:
        """Whether other workers convert than decode: where a decoder uses several cores."""
        return self.codec_threads > 1

    @property
    def memory_needed_bytes(self) -> int:
        """All of it, with one sample in its user's hands."""
        return self.least_bytes + (self.samples_ahead - 1) * self.sample_bytes

    @property
    def least_bytes(self) -> int:
        """The same with only one sample ahead: no budget may be less."""
        fixed_bytes = self.decoders_bytes + self.working_bytes + self.extra_bytes
        return fixed_bytes + 2 * self.sample_bytes

    def going_ahead(self, samples_ahead: int) -> StreamPlan:
        """The same with so many samples ahead."""
        return replace(self, samples_ahead=samples_ahead)


def plan_stream(
    videos: Sequence[tuple[VideoIndex, FrameFormat]],
    *,
    cores: int,
    samples_ahead: int = 1,
    codec_threads: int | None = None,
    extra_bytes: int = 0,
) -> StreamPlan:
    """What it takes to decode these videos in lock-step.

    Args:
        videos: every one, with the form in which its frames are wanted.
        cores: to be kept busy.
        samples_ahead: how many timesteps may be held ready or be in the making.
        codec_threads: of each decoder; None: all cores together.
        extra_bytes: held beside the videos.

    Raises:
        ValueError: a format's crop leaves its frames.
    """
    if codec_threads is None:
        share = (2 * cores + len(videos)) // (2 * max(1, len(videos)))
        codec_threads = min(max(1, share), _MOST_CODEC_THREADS)
    apart = codec_threads > 1
    workers = len(videos) + min(cores, _MOST_CONVERTERS) if apart else min(len(videos), cores)
    kept = [measure_video(index, frame_format) for index, frame_format in videos]
    return StreamPlan(
        n_decoders=len(videos),
        codec_threads=codec_threads,
        workers=workers,
        decoders_bytes=sum(_decoder_bytes(video, codec_threads) for video in kept),
        working_bytes=workers * max((_worker_bytes(*video) for video in videos), default=0),
        sample_bytes=sum(
            max(video.array_bytes, video.thread_bytes) if apart else video.array_bytes
            for video in kept
        ),
        samples_ahead=samples_ahead,
        extra_bytes=extra_bytes,
    )


def plan_within(
    videos: Sequence[tuple[VideoIndex, FrameFormat]],
    *,
    memory_bytes: int,
    most_ahead: int,
    cores: int,
    extra_bytes: int = 0,
) -> StreamPlan:
    """`plan_stream` as far ahead as a budget allows.

    Args:
        videos: as there.
        memory_bytes: for all that `StreamPlan.memory_needed_bytes` counts.
        most_ahead: further ahead is of no use.
        cores: as there.
        extra_bytes: as there.

    Raises:
        ConfigurationError: the budget does not hold the decoders and two samples, one ahead of
            the one in use; says what it would have to be.
        ValueError: a format's crop leaves its frames.
    """
    plan = plan_stream(videos, cores=cores, extra_bytes=extra_bytes)
    spare_bytes = memory_bytes - plan.least_bytes
    if spare_bytes < 0:
        raise ConfigurationError(
            f"{plan.n_decoders} videos in lock-step take {_mb(plan.least_bytes)} at least "
            f"(decoders {_mb(plan.decoders_bytes)}, each sample {_mb(plan.sample_bytes)}, of which "
            f"there are two); memory_bytes is {_mb(memory_bytes)}. Give it more memory, fewer "
            "cameras, no alpha maps, or a smaller scale"
        )
    ahead = 1 + spare_bytes // max(1, plan.sample_bytes)
    return plan.going_ahead(max(1, min(ahead, most_ahead)))


def _decoder_bytes(video: KeptVideo, codec_threads: int) -> int:
    more_frames = _TABLES_FRAMES + 2 * (codec_threads - 1)
    return video.decoder_bytes + more_frames * video.thread_bytes


def _worker_bytes(index: VideoIndex, frame_format: FrameFormat) -> int:
    """A frame as decoded, the whole of it as RGB, a crop of that, and the array."""
    whole = FrameFormat().array_bytes(index.info.width, index.info.height)
    kept = measure_video(index, frame_format)
    return kept.thread_bytes + 2 * whole + kept.array_bytes


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
