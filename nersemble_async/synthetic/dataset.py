"""Writes a stand-in of the benchmark: every file that the server would hold, in its layout."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from types import MappingProxyType

import numpy as np

from nersemble_async.benchmark.keys import ImageKey, SequenceKey
from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_VERSIONS
from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, BenchmarkSpec, Task
from nersemble_async.formats.cameras import save_camera_calibration
from nersemble_async.formats.flame.tracking import save_flame_tracking
from nersemble_async.formats.image.picture import write_png
from nersemble_async.formats.pointcloud.pcd_file import write_pointcloud
from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.synthetic.metadata_files import metadata_content
from nersemble_async.synthetic.people import seeded
from nersemble_async.synthetic.ray_marching import Camera
from nersemble_async.synthetic.rig import VIEW_WIDTH_METRES, calibration_of, rig_cameras
from nersemble_async.synthetic.scale import SyntheticScale
from nersemble_async.synthetic.scene import Scene, image_scene, sequence_scene

_TRACKING_NOISE = {1: 0.01, 2: 0.001}
"""By version of the tracking: radians, one sigma."""


@dataclass(frozen=True, slots=True)
class SynthesisProgress:
    """How far the work is."""

    done: int
    """Pictures, pointclouds and trackings made so far."""
    total: int
    path: str
    """The file that the latest belongs to, relative to the root."""


OnProgress = Callable[[SynthesisProgress], None]


def synthesize(
    root: Path,
    scale: SyntheticScale,
    *,
    tasks: Collection[Task] = TASKS,
    pointcloud_frames: Collection[int] | None = None,
    hold_out_root: Path | None = None,
    on_progress: OnProgress | None = None,
    threads: int | None = None,
) -> None:
    """Write the stand-in to ``{root}/{task}/…``, replacing files that are there.

    Like the server, ``root`` gets the calibration of all cameras but no video of a hold-out
    camera, and of test sequences only what is published of them. The same scale gives the same
    bytes, whatever ``tasks`` and ``threads``.

    Args:
        root: is made where it does not exist.
        scale: lengths, resolutions, point counts, seed.
        tasks: which benchmarks.
        pointcloud_frames: timesteps to make pointclouds of; None is all of them.
        hold_out_root: where to put the hidden ground truth, images and alpha maps of every video
            that is to be submitted, in the same layout; None makes none.
        on_progress: called in the calling thread after every picture; an exception in it ends
            the work, and an unfinished video is deleted.
        threads: None is one for each processor.
    """
    jobs: list[_Job] = []
    for task in tasks:
        spec = BENCHMARKS[task]
        lengths = scale.lengths(task)
        _write_metadata(root, spec, lengths)
        for participant_id in {key.participant_id: None for key in lengths}:
            path = _ready(root, spec.path("calibration", participant_id))
            cameras = participant_cameras(task, participant_id, scale)
            save_camera_calibration(path, calibration_of(cameras))
        jobs += _image_jobs(root, spec, scale)
        for key, n_frames in lengths.items():
            sequence = _Sequence(spec, scale, key, n_frames)
            jobs += sequence.published_jobs(root, pointcloud_frames)
            if hold_out_root is not None:
                jobs += sequence.hold_out_jobs(hold_out_root)
    _run(jobs, on_progress, threads or os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Job:
    """Files that one thread writes."""

    path: str
    """Of the first."""
    n_pictures: int
    work: Callable[[], Generator[None, None, None]]
    """Yields after each picture."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    spec: BenchmarkSpec
    scale: SyntheticScale
    key: SequenceKey
    n_frames: int

    def published_jobs(
        self, root: Path, pointcloud_frames: Collection[int] | None
    ) -> Iterator[_Job]:
        spec, participant_id = self.spec, self.key.participant_id
        is_train = self.key.sequence_name in spec.train_sequences[participant_id]
        cameras = participant_cameras(spec.task, participant_id, self.scale)
        scene = sequence_scene(spec.task, self.key, self.n_frames, self.scale.seed)
        if is_train:
            for serial in spec.train_serials:
                yield self._video_job(root, scene, serial, cameras[serial])
        for asset in spec.assets:
            if asset.key in FLAME_TRACKING_VERSIONS.values() and (
                is_train or asset.in_test_sequences
            ):
                yield self._tracking_job(root, scene, asset.key)
            if asset.key == "pointclouds":
                for timestep in range(self.n_frames):
                    if pointcloud_frames is None or timestep in pointcloud_frames:
                        yield self._pointcloud_job(root, scene, timestep, cameras)

    def hold_out_jobs(self, root: Path) -> Iterator[_Job]:
        spec, key = self.spec, self.key
        if key.sequence_name not in spec.submission_sequences.get(key.participant_id, ()):
            return
        cameras = participant_cameras(spec.task, key.participant_id, self.scale)
        scene = sequence_scene(spec.task, key, self.n_frames, self.scale.seed)
        for serial in spec.submission_serials:
            yield self._video_job(root, scene, serial, cameras[serial])

    def _path(self, asset_key: str, serial: str | None = None, timestep: int | None = None) -> str:
        key = self.key
        return self.spec.path(asset_key, key.participant_id, key.sequence_name, serial, timestep)

    def _video_job(self, root: Path, scene: Scene, serial: str, camera: Camera) -> _Job:
        images, alpha_maps = (self._path(asset, serial) for asset in ("images", "alpha_maps"))

        def work() -> Generator[None, None, None]:
            with ExitStack() as stack:
                image_encoder, alpha_encoder = (
                    stack.enter_context(self._encoder(_ready(root, path), camera.frame_size))
                    for path in (images, alpha_maps)
                )
                for index in range(self.n_frames):
                    rendering = scene.render(index, camera)
                    image_encoder.write(rendering.image)
                    alpha_encoder.write(np.repeat(rendering.alpha_map[:, :, None], 3, axis=2))
                    yield

        return _Job(images, self.n_frames, work)

    def _encoder(self, path: Path, frame_size: tuple[int, int]) -> VideoEncoder:
        rate = self.spec.submission_rate
        if rate is None:
            raise ValueError(f"{self.spec.task} has no videos")
        scale = self.scale
        return VideoEncoder(
            path, frame_size, rate, crf=scale.crf, preset=scale.preset, reproducible=True
        )

    def _pointcloud_job(
        self, root: Path, scene: Scene, timestep: int, cameras: Mapping[str, Camera]
    ) -> _Job:
        path = self._path("pointclouds", timestep=timestep)

        def work() -> Generator[None, None, None]:
            n_points = self.scale.points(self.key.participant_id)
            rng = seeded(self.scale.seed, path)
            cloud = scene.pointcloud(timestep, cameras.values(), n_points, rng)
            write_pointcloud(_ready(root, path), cloud)
            yield

        return _Job(path, 1, work)

    def _tracking_job(self, root: Path, scene: Scene, asset_key: str) -> _Job:
        path = self._path(asset_key)
        version = next(v for v, name in FLAME_TRACKING_VERSIONS.items() if name == asset_key)

        def work() -> Generator[None, None, None]:
            rng = seeded(self.scale.seed, "tracking", version, self.key.participant_id)
            tracking = scene.flame_tracking(self.n_frames, rng, _TRACKING_NOISE[version])
            save_flame_tracking(_ready(root, path), tracking)
            yield

        return _Job(path, 1, work)


@cache
def participant_cameras(
    task: Task, participant_id: int, scale: SyntheticScale
) -> Mapping[str, Camera]:
    """The rig as it stood when that participant was recorded."""
    rng = seeded(scale.seed, "rig", participant_id)
    return MappingProxyType(rig_cameras(scale.frame_size(task), VIEW_WIDTH_METRES[task], rng))


def _image_jobs(root: Path, spec: BenchmarkSpec, scale: SyntheticScale) -> Iterator[_Job]:
    for participant_id, keys in spec.image_keys.items():
        for key in keys:
            yield _image_job(root, spec, scale, participant_id, key)


def _image_job(
    root: Path, spec: BenchmarkSpec, scale: SyntheticScale, participant_id: int, key: ImageKey
) -> _Job:
    camera = participant_cameras(spec.task, participant_id, scale)[key.serial]
    path = spec.path("images", participant_id, key.sequence_name, key.serial, key.timestep)

    def work() -> Generator[None, None, None]:
        scene = image_scene(SequenceKey(participant_id, key.sequence_name), scale.seed)
        write_png(_ready(root, path), scene.render(key.timestep, camera).image)
        yield

    return _Job(path, 1, work)


def _write_metadata(root: Path, spec: BenchmarkSpec, lengths: Mapping[SequenceKey, int]) -> None:
    if spec.metadata_path is None:
        return
    path = _ready(root, spec.metadata_path)
    path.write_text(json.dumps(metadata_content(spec.task, lengths), indent=1), "utf-8")


def _ready(root: Path, relative_path: str) -> Path:
    path = root / relative_path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _run(jobs: list[_Job], on_progress: OnProgress | None, threads: int) -> None:
    """Do all jobs; the calling thread only waits and tells."""
    total = sum(job.n_pictures for job in jobs)
    news: SimpleQueue[str | Future[None]] = SimpleQueue()
    stopping = Event()
    with ThreadPoolExecutor(threads, thread_name_prefix="synthesize") as pool:
        try:
            for job in jobs:
                pool.submit(_do, job, news, stopping).add_done_callback(news.put)
            done, unfinished = 0, len(jobs)
            while unfinished:
                latest = news.get()
                if isinstance(latest, Future):
                    latest.result()
                    unfinished -= 1
                    continue
                done += 1
                if on_progress is not None:
                    on_progress(SynthesisProgress(done, total, latest))
        finally:
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _do(job: _Job, news: SimpleQueue[str | Future[None]], stopping: Event) -> None:
    with closing(job.work()) as pictures:
        for _ in pictures:
            if stopping.is_set():
                return
            news.put(job.path)
