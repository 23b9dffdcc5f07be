"""Runs the datasets in DataLoaders and tells what came: JSON in, JSON out; no test of its own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found, unused-ignore]
from torch.utils.data import DataLoader  # type: ignore[import-not-found, unused-ignore]
from torchdata.stateful_dataloader import (  # type: ignore[import-not-found, unused-ignore]
    StatefulDataLoader,
)

from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FrameCache
from nersemble_async.loaders.torch import FrameDataset, ShuffledFrames

Rows = list[list[Any]]
Workers = tuple[int, str | None]

IN_PROCESS: Workers = (0, None)
EVERY_KIND: list[Workers] = [IN_PROCESS, (1, "fork"), (3, "fork"), (2, "spawn")]
MEMORY_BYTES = 2_000_000


def main() -> None:
    """Every case by name."""
    argument = json.load(sys.stdin)
    cameras, alphas = _sources(argument["cameras"]), _sources(argument["alphas"])
    steps = [(timestep, frame_index) for timestep, frame_index in argument["steps"]]
    folder = Path(argument["folder"])
    answer = {
        "shuffled": {
            str(kind): [
                _rows(_loader(_shuffled(cameras, steps, rank=rank, world_size=2), kind))
                for rank in range(2)
            ]
            for kind in EVERY_KIND
        },
        "resumed": [
            _resume(cameras, steps, kind, n_batches)
            for kind, n_batches in [
                (IN_PROCESS, 0),
                (IN_PROCESS, 5),
                (IN_PROCESS, 18),
                ((2, "fork"), 0),
                ((2, "fork"), 7),
                ((2, "fork"), 18),
                ((2, "spawn"), 4),
            ]
        ],
        "resumed_alone": _resume_alone(cameras, steps),
        "epochs": _epochs(cameras, steps),
        "formats": _formats(cameras, alphas, steps),
        "random_access": {
            f"{kind} {has_cache}": _random_access(
                cameras, alphas, steps, kind, folder / f"{kind[0]}" if has_cache else None
            )
            for kind in [(2, "fork"), (2, "spawn"), IN_PROCESS]
            for has_cache in ([True] if "spawn" in kind else [False, True])
        },
        "left_early": _leave_early(cameras, steps),
    }
    print(json.dumps(answer))  # noqa: T201 -- that is the answer


def _sources(paths: dict[str, list[str]]) -> dict[str, VideoSource]:
    return {serial: VideoSource(*map(Path, pair)) for serial, pair in paths.items()}


def _shuffled(
    cameras: dict[str, VideoSource], steps: list[tuple[int, int]], **options: Any
) -> ShuffledFrames:
    options = {"seed": 5, "memory_bytes": MEMORY_BYTES, "threads": 2, **options}
    return ShuffledFrames(cameras, steps, **options)


def _loader(dataset: Any, kind: Workers, make: Any = DataLoader, **options: Any) -> Any:
    n_workers, context = kind
    return make(
        dataset, batch_size=4, num_workers=n_workers, multiprocessing_context=context, **options
    )


def _rows(batches: Iterable[dict[str, Any]]) -> Rows:
    """serial, serial_index, timestep, frame_index, checksum of the image's bytes."""
    rows: Rows = []
    for batch in batches:
        for number, serial in enumerate(batch["serial"]):
            numbers = [int(batch[k][number]) for k in ("serial_index", "timestep", "frame_index")]
            rows.append([serial, *numbers, _checksum(batch["image"][number])])
    return rows


def _checksum(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().tobytes())


def _resume(
    cameras: dict[str, VideoSource], steps: list[tuple[int, int]], kind: Workers, n_batches: int
) -> dict[str, Any]:
    """An unbroken epoch, and one that is stopped after some batches and resumed elsewhere."""
    # Spawned workers are slow to start, and their order is that of forked ones.
    forked = (kind[0], kind[1] and "fork")
    unbroken = _rows(_loader(_shuffled(cameras, steps), forked, StatefulDataLoader))
    loader = _loader(_shuffled(cameras, steps), kind, StatefulDataLoader)
    iterator = iter(loader)
    first = _rows(next(iterator) for _ in range(n_batches))
    state = loader.state_dict()
    del iterator
    # Another seed: the state brings its own along.
    fresh = _loader(_shuffled(cameras, steps, seed=0), kind, StatefulDataLoader)
    fresh.load_state_dict(state)
    return {"unbroken": unbroken, "first": first, "rest": _rows(fresh)}


def _resume_alone(cameras: dict[str, VideoSource], steps: list[tuple[int, int]]) -> dict[str, Rows]:
    """With the dataset's own state in torch's DataLoader without workers."""
    unbroken = _rows(_loader(_shuffled(cameras, steps), IN_PROCESS))
    dataset = _shuffled(cameras, steps)
    iterator = iter(_loader(dataset, IN_PROCESS))
    first = _rows(next(iterator) for _ in range(6))
    fresh = _shuffled(cameras, steps, seed=0)
    fresh.load_state_dict(json.loads(json.dumps(dataset.state_dict())))
    return {"unbroken": unbroken, "first": first, "rest": _rows(_loader(fresh, IN_PROCESS))}


def _epochs(cameras: dict[str, VideoSource], steps: list[tuple[int, int]]) -> list[Rows]:
    """Epochs 0, 1, 0 of workers that live on."""
    dataset = _shuffled(cameras, steps)
    loader = _loader(dataset, (2, "fork"), persistent_workers=True)
    epochs = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        epochs.append(_rows(loader))
    return epochs


def _formats(
    cameras: dict[str, VideoSource], alphas: dict[str, VideoSource], steps: list[tuple[int, int]]
) -> dict[str, Any]:
    """Shapes, dtypes, contiguity of what comes, pinned where torch can."""
    answer = {}
    for name, form in [
        ("plain", FrameFormat()),
        ("chw", FrameFormat(layout="CHW", dtype="float32")),
    ]:
        dataset = _shuffled(cameras, steps, alphas=alphas, frame_format=form)
        batch = next(iter(_loader(dataset, IN_PROCESS, pin_memory=True)))
        answer[name] = {
            key: [list(value.shape), str(value.dtype), value.is_contiguous()]
            for key, value in batch.items()
            if isinstance(value, torch.Tensor)
        }
    return answer


def _random_access(
    cameras: dict[str, VideoSource],
    alphas: dict[str, VideoSource],
    steps: list[tuple[int, int]],
    kind: Workers,
    cache_folder: Path | None,
) -> dict[str, Any]:
    cache = None if cache_folder is None else FrameCache(cache_folder)
    with cache or contextlib.nullcontext():
        return _read_at_random(FrameDataset(cameras, steps, alphas=alphas, frame_cache=cache), kind)


def _read_at_random(dataset: FrameDataset, kind: Workers) -> dict[str, Any]:
    last = dataset[len(dataset) - 1]  # first in the parent: its forks have to do without its parts
    generator = torch.Generator().manual_seed(1)
    rows = _rows(_loader(dataset, kind, shuffle=True, generator=generator))
    in_order = [dataset[index] for index in range(5)] if kind == IN_PROCESS else []
    return {
        "n": len(dataset),
        "last": _checksum(last["image"]),
        "rows": rows,
        "in_order": [_checksum(sample["image"]) for sample in in_order],
        "alpha_maps": [_checksum(sample["alpha_map"]) for sample in in_order],
    }


def _leave_early(cameras: dict[str, VideoSource], steps: list[tuple[int, int]]) -> dict[str, Any]:
    """Threads and videos while an iterator is in use, and after nobody holds it any more."""
    dataset = _shuffled(cameras, steps)
    iterator = iter(dataset)
    next(iterator)
    during = list(_open_things())
    del iterator
    after = list(_open_things())
    state = dataset.state_dict()
    return {"during": during, "after": after, "position": state["position"]}


def _open_things() -> Iterator[str]:
    for thread in threading.enumerate():
        if "shuffled" in thread.name:
            yield thread.name
    for descriptor in Path("/proc/self/fd").iterdir():
        target = os.path.realpath(descriptor)
        if target.endswith(".mp4") and "cam_" in target:
            yield Path(target).name


if __name__ == "__main__":
    main()
