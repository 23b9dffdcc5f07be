"""PyTorch datasets over videos, for DataLoader with any number of workers (extra ``torch``).

Samples are dicts of uint8 (or float32) tensors, numbers and strings, which ``default_collate``
stacks and ``pin_memory`` pins. Nothing is open in the process that makes a dataset: files,
decoders and threads begin where frames are asked for, and cross neither a fork nor a pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import Frame, alpha_format
from nersemble_async.loaders.frame_cache import FrameCache
from nersemble_async.loaders.reader_pool import ReaderPool
from nersemble_async.loaders.shuffle_plan import Shard
from nersemble_async.loaders.shuffle_state import ShuffleState
from nersemble_async.loaders.shuffled_epochs import (
    DEFAULT_MEMORY_BYTES,
    ShuffledEpochs,
    ShuffleRequest,
    Steps,
    steps_by_serial,
)
from nersemble_async.loaders.shuffled_reader import ShuffledReader
from nersemble_async.loaders.torch_samples import (
    Dataset,
    IterableDataset,
    Sample,
    get_worker_info,
    make_sample,
    torch,
)

__all__ = ["FrameDataset", "Sample", "ShuffledFrames", "ShuffledSamples"]

_PLAIN = FrameFormat()
_OPEN_VIDEOS_BYTES = 60_000_000
"""Of each worker: two videos of 1100 x 1604."""


class FrameDataset(Dataset):  # type: ignore[misc, unused-ignore]
    """Map-style: any frame by its number; frames in order of serials, then of their steps.

    Each process keeps a few open videos and goes on where it stopped, so that frames in order
    cost what decoding costs. Frames at random are decoded from their keyframes, unless a
    `FrameCache` keeps them: then they take milliseconds.

    Args:
        videos: by serial.
        steps: ``(timestep, frame_index)`` of the wanted frames, of every camera or by serial.
        alphas: alpha videos of the same serials; None: no alpha maps.
        frame_format: channels, crop, scale, dtype and layout of images and alpha maps.
        frame_cache: keeps decoded frames; shared by all workers.
        root: the folder that keys in the cache are relative to: the benchmark folder, so that
            what was prepared there is found.

    Raises:
        SelectionError: a serial without timesteps or without an alpha video, or no frames.
    """

    def __init__(
        self,
        videos: Mapping[str, VideoSource],
        steps: Steps,
        *,
        alphas: Mapping[str, VideoSource] | None = None,
        frame_format: FrameFormat = _PLAIN,
        frame_cache: FrameCache | None = None,
        root: Path = Path("/"),
    ) -> None:
        request = ShuffleRequest(dict(videos), steps, alphas, frame_format)
        request.sources()
        by_serial = steps_by_serial(request)
        self.serials = tuple(videos)
        self._frames = [
            (serial_index, *step)
            for serial_index, serial in enumerate(videos)
            for step in by_serial[serial]
        ]
        if not self._frames:
            raise SelectionError("no frames are wanted: name at least one serial and one timestep")
        self._request = request
        self._alpha_format = alpha_format(frame_format)
        self._frame_cache, self._root = frame_cache, root
        self._readers = ReaderPool(_OPEN_VIDEOS_BYTES)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """The sample of that number.

        Raises:
            IndexError: there is no such sample.
            SelectionError: the video has no such frame.
            DecodeError, OSError: it cannot be decoded.
        """
        serial_index, timestep, frame_index = self._frames[index]
        serial, request = self.serials[serial_index], self._request
        image = self._decode(request.videos[serial], frame_index)
        alpha_map = None
        if request.alphas is not None:
            alpha_map = self._decode(request.alphas[serial], frame_index)
        frame = Frame(
            serial=serial,
            timestep=timestep,
            frame_index=frame_index,
            image=image.to_array(request.frame_format),
            alpha_map=None if alpha_map is None else alpha_map.to_array(self._alpha_format),
        )
        return make_sample(frame, serial_index)

    def close(self) -> None:
        """Close this process's videos; a later sample opens them anew. The cache is the user's."""
        self._readers.close()

    def _decode(self, source: VideoSource, frame_index: int) -> DecodedFrame:
        if self._frame_cache is None:
            return self._readers.decode(source, frame_index)
        path = source.path.absolute()
        key = path.relative_to(self._root.absolute()).as_posix()
        return self._frame_cache.get(source, key, frame_index)


class ShuffledFrames(IterableDataset):  # type: ignore[misc, unused-ignore]
    """Iterable: every frame once an epoch, mixed, at close to sequential speed.

    Shuffles itself and cuts the epoch among ranks and DataLoader workers; give DataLoader no
    sampler and ``shuffle=False``. Call `set_epoch` before each epoch. Parts differ by one frame
    at most, and ranks too: with DistributedDataParallel end each epoch after as many batches as
    the smallest rank has.

    With torchdata's ``StatefulDataLoader`` its ``state_dict`` holds where each worker stands;
    without workers the dataset's own `state_dict` is enough.

    Args:
        videos: by serial.
        steps: ``(timestep, frame_index)`` of the wanted frames, of every camera or by serial.
        seed: not negative; the same for every rank.
        rank: of ``world_size``.
        world_size: how many ranks there are.
        alphas: alpha videos of the same serials; None: no alpha maps.
        frame_format: channels, crop, scale, dtype and layout of images and alpha maps.
        memory_bytes: for this rank; its workers share it.
        threads: for this rank; its workers share them. None: as many as there are cores.

    Raises:
        SelectionError: there is no such rank, or a serial without timesteps or alpha video.
    """

    def __init__(
        self,
        videos: Mapping[str, VideoSource],
        steps: Steps,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        alphas: Mapping[str, VideoSource] | None = None,
        frame_format: FrameFormat = _PLAIN,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        threads: int | None = None,
    ) -> None:
        self._request = ShuffleRequest(
            dict(videos), steps, alphas, frame_format, memory_bytes, threads
        )
        self._request.sources()
        self._shard = Shard(rank, world_size)
        self._n_frames = sum(map(len, steps_by_serial(self._request).values()))
        self._seed = seed
        # Shared, so that workers that live on into the next epoch see it.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._epochs: ShuffledEpochs | None = None
        self._loaded: Mapping[str, Any] | None = None
        self._latest: _Place | None = None

    def __len__(self) -> int:
        """Frames of this rank's part, over all workers."""
        return self._shard.count(self._n_frames)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch the next iteration is; workers see it, those that live on too."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> ShuffledSamples:
        """This worker's part of the epoch, or what a loaded state left of it.

        Raises:
            SelectionError: frames that do not exist, or a loaded state of another stream.
            ConfigurationError: the budget is too small.
            DecodeError, OSError: a video cannot be read.
        """
        info = get_worker_info()
        worker, n_workers = (0, 1) if info is None else (info.id, info.num_workers)
        shard = Shard(self._shard.rank, self._shard.world_size, worker, n_workers)
        if self._epochs is None:
            self._epochs = ShuffledEpochs.read(self._request.divided(n_workers))
        state = self._epochs.begin(self._seed, int(self._epoch), shard)
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            state = state.restored(loaded, self._epochs.layout)
        # Only its place, not the iterator: that ends with whoever holds it.
        self._latest = _Place(state)
        return ShuffledSamples(self._epochs, self._latest)

    def state_dict(self) -> dict[str, Any]:
        """Where the latest iteration of this process stands."""
        if self._loaded is not None:
            return dict(self._loaded)
        if self._latest is None or self._epochs is None:
            return {}
        return dict(self._latest.state.to_dict(self._epochs.layout))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next iteration go on there; checked when it begins."""
        self._loaded = dict(state_dict) if state_dict else None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_epochs": None, "_latest": None}


@dataclass(slots=True)
class _Place:
    """Where an iterator stands, for it and for the dataset that made it."""

    state: ShuffleState


class ShuffledSamples:
    """An iterator of `ShuffledFrames`; closed at its end, or when nobody holds it any more."""

    def __init__(self, epochs: ShuffledEpochs, place: _Place) -> None:
        self._epochs, self._place = epochs, place
        self._reader: ShuffledReader | None = None
        self._n_frames = place.state.shard.count(len(epochs.layout))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Sample:
        """The next sample.

        Raises:
            DecodeError, OSError: it cannot be decoded.
        """
        position = self._place.state.position
        if position >= self._n_frames:
            self.close()
            raise StopIteration
        if self._reader is None:
            self._reader = self._epochs.open(self._place.state)
        frame = None
        while frame is None:
            frame = self._reader.wait_for(position)
        self._place.state = self._place.state.moved(position + 1)
        return make_sample(frame, self._epochs.layout.serials.index(frame.serial))

    def state_dict(self) -> dict[str, Any]:
        """After the last sample that was given out."""
        return dict(self._place.state.to_dict(self._epochs.layout))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on there instead.

        Raises:
            SelectionError: a state of another stream.
        """
        self.close()
        self._place.state = self._place.state.restored(state_dict, self._epochs.layout)

    def close(self) -> None:
        """End threads, close files; a later sample opens them anew."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def __del__(self) -> None:
        self.close()
