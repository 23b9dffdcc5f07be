"""Cameras' frames, ready to be shuffled for any epoch, rank and worker. Blocking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import alpha_format
from nersemble_async.loaders.shuffle_layout import ShuffleLayout, Step, make_layout
from nersemble_async.loaders.shuffle_memory import (
    KeptVideo,
    ShuffleMemory,
    measure_video,
    plan_memory,
)
from nersemble_async.loaders.shuffle_plan import Shard, most_lanes
from nersemble_async.loaders.shuffle_state import ShuffleState
from nersemble_async.loaders.shuffled_lane import IndexedVideo
from nersemble_async.loaders.shuffled_reader import ShuffledReader

DEFAULT_MEMORY_BYTES = 1 << 30
_PLAIN = FrameFormat()

Steps = Sequence[Step] | Mapping[str, Sequence[Step]]
"""The wanted frames: the same of every camera, or those of each serial."""


@dataclass(frozen=True, slots=True)
class ShuffleRequest:
    """What is to be shuffled. Pickles, crosses forks; nothing is open."""

    videos: Mapping[str, VideoSource]
    """By serial; their order matters to the order of the frames."""
    steps: Steps
    alphas: Mapping[str, VideoSource] | None = None
    """Alpha videos of the same serials; None: no alpha maps."""
    frame_format: FrameFormat = _PLAIN
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    """For all buffers and decoders of one reader."""
    threads: int | None = None
    """That decode and convert; None: as many as there are cores."""

    def sources(self) -> list[VideoSource]:
        """Every video, in the order in which `ShuffledEpochs` wants their indexes.

        Raises:
            SelectionError: a serial without an alpha video.
        """
        missing = [serial for serial in self.videos if serial not in (self.alphas or self.videos)]
        if missing:
            raise SelectionError(
                f"no alpha video of {', '.join(missing)}; there are {', '.join(self.alphas or ())}"
            )
        return [
            *self.videos.values(),
            *(self.alphas[serial] for serial in self.videos if self.alphas is not None),
        ]

    def divided(self, n_readers: int) -> ShuffleRequest:
        """The same for one of several that read at once and share memory and threads."""
        return replace(
            self,
            memory_bytes=self.memory_bytes // n_readers,
            threads=-(-self.n_threads // n_readers),
        )

    @property
    def n_threads(self) -> int:
        """Threads in numbers."""
        return max(1, self.threads or os.cpu_count() or 1)


class ShuffledEpochs:
    """The frames of a request as epochs; holds no file open.

    Args:
        request: what is wanted.
        indexes: of `ShuffleRequest.sources`, in that order.

    Raises:
        SelectionError: no frames, a frame that does not exist, or one twice; an alpha video of
            another size or number of frames.
        ValueError: the format's crop leaves a frame.
    """

    def __init__(self, request: ShuffleRequest, indexes: Iterable[VideoIndex]) -> None:
        self.request = request
        given = list(indexes)
        images = dict(zip(request.videos, given, strict=False))
        self.layout: ShuffleLayout = make_layout(images, steps_by_serial(request))
        self._videos: list[tuple[IndexedVideo, ...]] = []
        self._largest = KeptVideo(0, 0, 0, 0)
        for number, (serial, image) in enumerate(images.items()):
            parts = [_indexed(request.videos[serial], image, request.frame_format)]
            if request.alphas is not None:
                alpha = given[len(images) + number]
                _check_alpha(serial, image, alpha)
                form = alpha_format(request.frame_format)
                parts.append(_indexed(request.alphas[serial], alpha, form))
            self._videos.append(tuple(parts))
            taken = KeptVideo(0, 0, 0, 0)
            for part in parts:
                taken += measure_video(part.index, part.frame_format)
            self._largest = max(self._largest, taken, key=lambda kept: kept.decoder_bytes)

    @classmethod
    def read(cls, request: ShuffleRequest) -> ShuffledEpochs:
        """With the indexes read, or built where they are missing.

        Raises:
            DecodeError, OSError: a video cannot be read.
            SelectionError, ValueError: as on construction.
        """
        return cls(request, [source.read_index() for source in request.sources()])

    def memory(self, shard: Shard) -> ShuffleMemory:
        """What a reader of that part takes, and how well it mixes.

        Raises:
            ConfigurationError: the budget is too small; says what is needed.
        """
        return plan_memory(
            self._largest,
            memory_bytes=self.request.memory_bytes,
            most_lanes=most_lanes(self.layout, shard),
            threads=self.request.n_threads,
        )

    def begin(self, seed: int, epoch: int, shard: Shard) -> ShuffleState:
        """The beginning of that part of that epoch; errors as in `memory`."""
        return ShuffleState(seed, epoch, shard, self.memory(shard).mixing)

    def open(self, state: ShuffleState) -> ShuffledReader:
        """A reader that goes on from there, to be closed; errors as in `memory`."""
        return ShuffledReader(
            self.layout,
            state.plan(self.layout),
            self._videos,
            self.memory(state.shard),
            threads=self.request.n_threads,
            start=state.position,
        )


def steps_by_serial(request: ShuffleRequest) -> Mapping[str, Sequence[Step]]:
    """The wanted frames of each serial of a request.

    Raises:
        SelectionError: a serial without any.
    """
    steps = request.steps
    if not isinstance(steps, Mapping):
        return dict.fromkeys(request.videos, steps)
    missing = [serial for serial in request.videos if serial not in steps]
    if missing:
        raise SelectionError(
            f"no timesteps of {', '.join(missing)}; there are those of {', '.join(steps)}"
        )
    return {serial: steps[serial] for serial in request.videos}


def _indexed(source: VideoSource, index: VideoIndex, frame_format: FrameFormat) -> IndexedVideo:
    kept = measure_video(index, frame_format)
    return IndexedVideo(source, index, frame_format, keeps_array=kept.keeps_array)


def _check_alpha(serial: str, image: VideoIndex, alpha: VideoIndex) -> None:
    of_image = (image.info.width, image.info.height, image.n_frames)
    of_alpha = (alpha.info.width, alpha.info.height, alpha.n_frames)
    if of_image != of_alpha:
        raise SelectionError(
            f"{serial}: the alpha video has width, height and number of frames {of_alpha}, "
            f"the images' {of_image}"
        )
