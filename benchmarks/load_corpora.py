"""What is loaded: seeded full-size videos, pointclouds and a tracking in the official layout.

Rendering the stand-in at full size takes seconds a frame, so two rendered frames of each camera
are moved about under noise on the head, at a mean size a frame like the dataset's (65 kB with
x264's defaults): that is what the cost of decoding follows from.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.peers import official_python
from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.formats.cameras import save_camera_calibration
from nersemble_async.formats.flame.tracking import save_flame_tracking
from nersemble_async.formats.pointcloud.pcd_file import write_pointcloud
from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.synthetic.metadata_files import metadata_content
from nersemble_async.synthetic.people import seeded
from nersemble_async.synthetic.ray_marching import Camera
from nersemble_async.synthetic.rig import VIEW_WIDTH_METRES, calibration_of, rig_cameras
from nersemble_async.synthetic.scene import Scene, sequence_scene

MANY_CAMERAS = SequenceKey(388, "GLASSES")
"""Several cameras, pointclouds; one camera has alpha maps."""
ONE_CAMERA = SequenceKey(422, "EXP-2-eyes")
"""One camera, as long as what is decoded from start to end."""
TRACKED = SequenceKey(393, "FREE")
"""A FLAME tracking."""

_LAYOUT_VERSION = 1
_CRF = {MANY_CAMERAS: 15, ONE_CAMERA: 16}
"""With the noise below: 55 to 75 kB a frame at 1100 x 1604."""
_NOISE_LEVELS = 4.0
"""Of the sensor, one sigma, on the head only: the dataset is matted on white."""
_MARGIN = 64
_FRAMES_PER_LOOK = 125
_LZF_SCRIPT = """
import sys, open3d
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    cloud = open3d.io.read_point_cloud(source)
    if not open3d.io.write_point_cloud(target, cloud, write_ascii=False, compressed=True):
        sys.exit(f"open3d cannot write {target}")
"""


@dataclass(frozen=True, slots=True)
class LoadCorpusSpec:
    """How large everything is."""

    name: str
    frame_size: tuple[int, int]
    """Width, height in pixels, both even."""
    n_cameras: int
    n_frames: int
    """Of each camera of `MANY_CAMERAS`."""
    n_sequential_frames: int
    """Of the camera of `ONE_CAMERA`."""
    n_points: int
    n_pointclouds: int
    """In each encoding."""
    n_tracked: int
    """Frames of the FLAME tracking."""


FULL = LoadCorpusSpec("full", (1100, 1604), 4, 520, 300, 660_000, 3, 300)
QUICK = LoadCorpusSpec("quick", (110, 160), 2, 12, 8, 2_000, 1, 4)


@dataclass(frozen=True, slots=True)
class LoadCorpus:
    """A corpus on disk, in the official layout below `root`."""

    spec: LoadCorpusSpec
    root: Path

    @property
    def serials(self) -> tuple[str, ...]:
        """The cameras of `MANY_CAMERAS`; the first is `ONE_CAMERA`'s and has the alpha maps."""
        return BENCHMARKS["nvs"].train_serials[: self.spec.n_cameras]

    @property
    def flame_folder(self) -> Path:
        """Of the FLAME model; does not exist where nothing could write one."""
        return self.root / "FLAME"

    def pointcloud_timesteps(self, encoding: str) -> list[int]:
        """The timesteps whose clouds are ``binary`` or ``lzf``; none where there are none."""
        count = self.spec.n_pointclouds
        first = {"binary": 0, "lzf": count}[encoding]
        steps = range(first, first + count)
        return [t for t in steps if self.path("pointclouds", MANY_CAMERAS, timestep=t).exists()]

    def path(
        self, asset: str, key: SequenceKey, serial: str | None = None, timestep: int | None = None
    ) -> Path:
        """Where an asset lies."""
        task: Task = "mono_flame_avatar" if key == TRACKED else "nvs"
        spec = BENCHMARKS[task]
        return self.root / spec.path(asset, key.participant_id, key.sequence_name, serial, timestep)

    def videos(self) -> Iterator[tuple[SequenceKey, str, int]]:
        """Each camera's key, serial and number of frames."""
        for serial in self.serials:
            yield MANY_CAMERAS, serial, self.spec.n_frames
        yield ONE_CAMERA, self.serials[0], self.spec.n_sequential_frames

    @property
    def frame_bytes(self) -> float:
        """Mean size of an encoded frame of images."""
        sizes = [
            self.path("images", key, serial).stat().st_size for key, serial, _ in self.videos()
        ]
        return sum(sizes) / sum(n_frames for *_, n_frames in self.videos())


def ready_load_corpus(
    spec: LoadCorpusSpec, folder: Path, say: Callable[[str], None] = print
) -> LoadCorpus:
    """The corpus in ``folder``: what an earlier run made, else made now (minutes at full size).

    The frames follow from the spec; x264's bytes may differ a little from run to run.
    """
    root = folder / f"load_corpus_{spec.name}"
    corpus = LoadCorpus(spec, root)
    note = root / "corpus.json"
    wanted = {"layout": _LAYOUT_VERSION, **asdict(spec)}
    if not note.exists() or json.loads(note.read_text("utf-8")) != json.loads(json.dumps(wanted)):
        shutil.rmtree(root, ignore_errors=True)
        say(f"making the corpus {spec.name} in {root}")
        _write_metadata(corpus)
        _write_videos(corpus, say)
        _write_pointclouds(corpus)
        _write_tracking(corpus)
        note.write_text(json.dumps(wanted), "utf-8")
    # What needs more than this package is tried again in every run.
    if not corpus.pointcloud_timesteps("lzf"):
        _write_lzf_pointclouds(corpus, say)
    if not corpus.flame_folder.exists():
        _write_flame_model(corpus, say)
    return corpus


def _write_metadata(corpus: LoadCorpus) -> None:
    spec = corpus.spec
    lengths = {MANY_CAMERAS: spec.n_frames, ONE_CAMERA: spec.n_sequential_frames}
    nvs = corpus.root / "nvs" / "metadata.json"
    nvs.parent.mkdir(parents=True)
    nvs.write_text(json.dumps(metadata_content("nvs", lengths)), "utf-8")
    mono = corpus.root / "mono_flame_avatar" / "metadata.json"
    mono.parent.mkdir(parents=True)
    content = metadata_content("mono_flame_avatar", {TRACKED: spec.n_tracked})
    mono.write_text(json.dumps(content), "utf-8")
    for key in lengths:
        relative = BENCHMARKS["nvs"].path("calibration", key.participant_id)
        path = corpus.root / relative
        path.parent.mkdir(parents=True)
        save_camera_calibration(path, calibration_of(_cameras(corpus, key)))


def _cameras(corpus: LoadCorpus, key: SequenceKey) -> dict[str, Camera]:
    rng = seeded(0, "rig", key.participant_id)
    return rig_cameras(corpus.spec.frame_size, VIEW_WIDTH_METRES["nvs"], rng)


def _scene(key: SequenceKey) -> Scene:
    return sequence_scene("nvs", key, BENCHMARKS["nvs"].n_frames[key], 0)


def _write_videos(corpus: LoadCorpus, say: Callable[[str], None]) -> None:
    for key, serial, n_frames in corpus.videos():
        camera = _cameras(corpus, key)[serial]
        images = corpus.path("images", key, serial)
        images.parent.mkdir(parents=True, exist_ok=True)
        with_alpha = key == MANY_CAMERAS and serial == corpus.serials[0]
        alpha_maps = corpus.path("alpha_maps", key, serial) if with_alpha else None
        with ExitStack() as stack:
            image_encoder = stack.enter_context(_encoder(images, camera.frame_size, _CRF[key]))
            alpha_encoder = None
            if alpha_maps is not None:
                alpha_maps.parent.mkdir(parents=True, exist_ok=True)
                alpha_encoder = stack.enter_context(
                    _encoder(alpha_maps, camera.frame_size, _CRF[key])
                )
            for image, alpha_map in _moving_frames(_scene(key), camera, serial, n_frames):
                image_encoder.write(image)
                if alpha_encoder is not None:
                    alpha_encoder.write(np.repeat(alpha_map[:, :, None], 3, axis=2))
        size_bytes = images.stat().st_size
        say(f"{key.sequence_name} {serial}: {n_frames} frames, {size_bytes / n_frames:.0f} B each")


def _encoder(path: Path, frame_size: tuple[int, int], crf: int) -> VideoEncoder:
    rate = BENCHMARKS["nvs"].submission_rate
    if rate is None:
        raise ValueError("nvs has videos, so it has a rate")
    return VideoEncoder(path, frame_size, rate, crf=crf, threads=os.cpu_count() or 1)


def moving_frames(
    spec: LoadCorpusSpec, key: SequenceKey, camera_index: int, n_frames: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """RGB frames of one camera, as `ready_load_corpus` encodes them."""
    corpus = LoadCorpus(spec, Path())
    serial = corpus.serials[camera_index]
    camera = _cameras(corpus, key)[serial]
    return (image for image, _ in _moving_frames(_scene(key), camera, serial, n_frames))


def _moving_frames(
    scene: Scene, camera: Camera, serial: str, n_frames: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """RGB frames and (H, W) uint8 alpha maps of a head that sways under a sensor's noise."""
    width, height = camera.frame_size
    rng = seeded(0, "sway", serial)
    shape = (height + _MARGIN, width + _MARGIN, 1)
    noises = [rng.normal(0, _NOISE_LEVELS, shape).astype(np.float32) for _ in range(3)]
    looks = [scene.render(index * 40, camera) for index in range(2)]
    for index in range(n_frames):
        look = looks[index // _FRAMES_PER_LOOK % 2]
        shift = (round(height / 115 * np.cos(index / 31)), round(width / 55 * np.sin(index / 23)))
        image = np.roll(look.image, shift, (0, 1)).astype(np.float32)
        alpha_map = np.roll(look.alpha_map, shift, (0, 1))
        top, left = rng.integers(0, _MARGIN, 2)
        noise = noises[index % 3][top : top + height, left : left + width]
        noisy = np.where(alpha_map[:, :, None] > 127, image + noise, np.float32(255))
        yield np.clip(noisy, 0, 255).astype(np.uint8), alpha_map


def _write_pointclouds(corpus: LoadCorpus) -> None:
    scene, cameras = _scene(MANY_CAMERAS), _cameras(corpus, MANY_CAMERAS)
    for timestep in range(corpus.spec.n_pointclouds):
        path = corpus.path("pointclouds", MANY_CAMERAS, timestep=timestep)
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = seeded(0, "pointcloud", timestep)
        cloud = scene.pointcloud(timestep, cameras.values(), corpus.spec.n_points, rng)
        write_pointcloud(path, cloud)


def _write_lzf_pointclouds(corpus: LoadCorpus, say: Callable[[str], None]) -> None:
    """The same clouds at the timesteps that follow."""
    count = corpus.spec.n_pointclouds
    steps = [step for timestep in range(count) for step in (timestep, timestep + count)]
    paths = [str(corpus.path("pointclouds", MANY_CAMERAS, timestep=step)) for step in steps]
    try:
        subprocess.run([official_python(), "-c", _LZF_SCRIPT, *paths], check=True)
    except (OSError, subprocess.CalledProcessError):
        say("no LZF pointclouds: only open3d, in the official toolkit's interpreter, writes them")


def _write_tracking(corpus: LoadCorpus) -> None:
    path = corpus.path("flame2023_tracking_v2", TRACKED)
    path.parent.mkdir(parents=True, exist_ok=True)
    n_tracked = corpus.spec.n_tracked
    scene = sequence_scene("mono_flame_avatar", TRACKED, n_tracked, 0)
    save_flame_tracking(path, scene.flame_tracking(n_tracked, seeded(0, "flame"), 0.01))


def _write_flame_model(corpus: LoadCorpus, say: Callable[[str], None]) -> None:
    try:
        flame_model = importlib.import_module("nersemble_async.synthetic.flame_model")
    except ImportError:
        say("no FLAME model: nersemble_async.synthetic.flame_model is not there")
        return
    corpus.flame_folder.mkdir()
    flame_model.write_synthetic_flame(corpus.flame_folder)
