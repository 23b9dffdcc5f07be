"""The demo's steps that load: streams, random frames, a shuffle, pointclouds, FLAME, pictures.

The stand-in's frames are tiny, and so every figure says of what size they were.
"""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from nersemble_async.cli.demo_stage import DemoError
from nersemble_async.cli.wording import bytes_in_words
from nersemble_async.data_managers import MonoFlameAvatarDataManager, NVSDataManager
from nersemble_async.data_managers.prepared_frames import make_frame_cache
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.preview.root_sheet import write_root_sheet
from nersemble_async.settings import Settings
from nersemble_async.sync import NVSDataManager as BlockingNVSDataManager
from nersemble_async.synthetic.flame_model import write_synthetic_flame
from nersemble_async.workers import make_limiter, run_blocking

if TYPE_CHECKING:
    from pathlib import Path

    from nersemble_async.cli.demo_stage import Demo
    from nersemble_async.formats.flame.tracking import FlameTracking
    from nersemble_async.formats.video.decoded_frame import FrameArray

NVS_PARTICIPANT, NVS_SEQUENCE = 388, "GLASSES"
MONO_PARTICIPANT, MONO_SEQUENCE = 393, "EXP-5-mouth"

_RANDOM_FRAMES = 40

Place = tuple[str, int]
"""Serial and timestep."""


async def stream_cameras(demo: Demo) -> None:
    """Every timestep as one sample: images, alpha maps and calibration of all cameras."""
    images = n_cameras = arrays_bytes = 0
    size = ""
    manager = NVSDataManager(demo.root, NVS_PARTICIPANT)
    async with manager, manager.open_multi_view(NVS_SEQUENCE, with_pointcloud=True) as samples:
        needed = bytes_in_words(samples.memory_needed_bytes)
        started = time.perf_counter()
        async for sample in samples:
            images += len(sample.images)
            maps = sample.alpha_maps or {}
            arrays = [*sample.images.values(), *maps.values()]
            arrays_bytes += sum(array.nbytes for array in arrays)
            size = _size_of(arrays[0])
            n_cameras = len(sample.images)
        seconds = time.perf_counter() - started
    rate = f"{images / seconds:,.0f} images/s, {bytes_in_words(arrays_bytes / seconds)}/s"
    demo.say(
        f"{images // n_cameras} samples: {n_cameras} images, alpha maps, calibration, pointcloud",
        f"{needed} of memory at most, which is said beforehand",
        f"{images} images (and alpha maps) of {size} in {1000 * seconds:.0f} ms: {rate}",
    )
    demo.summary.append((f"{n_cameras} cameras in lock-step", f"{rate} (of {size})"))


async def load_random_frames(demo: Demo) -> None:
    """The same frames decoded and from the frame cache, which `prepare` fills."""
    code = await demo.run("prepare", f"nvs/{NVS_PARTICIPANT}/{NVS_SEQUENCE}")
    if code != ExitCode.OK:
        raise DemoError(f"prepare ended with exit code {code}")
    limiter = make_limiter()
    decoded, decoding_ms = await run_blocking(limiter, partial(_load_randomly, demo.root))
    cached, reading_ms = await run_blocking(
        limiter, partial(_load_randomly, demo.root, with_frame_cache=True)
    )
    same = [np.array_equal(*pair) for pair in zip(decoded, cached, strict=True)]
    if not all(same):
        raise DemoError(f"{same.count(False)} frames differ between video and frame cache")
    size = _size_of(decoded[0])
    demo.say(
        f"{len(decoded)} random images of {size}, each from a video opened for it: "
        f"{decoding_ms:.1f} ms (median)",
        f"from the frame cache: {reading_ms:.1f} ms; all of them are the same to the bit",
    )
    demo.summary.append(
        ("a random image", f"{decoding_ms:.1f} ms, cached {reading_ms:.1f} ms (of {size})")
    )


def _load_randomly(root: Path, *, with_frame_cache: bool = False) -> tuple[list[FrameArray], float]:
    """The images, and the median of what each took in milliseconds; blocking."""
    # Not where the user's own settings say.
    settings = Settings(benchmark_folder=root, frame_cache_folder=None, frame_cache_limit=None)
    with make_frame_cache(settings) as cache:
        given = cache if with_frame_cache else None
        manager = BlockingNVSDataManager(root, NVS_PARTICIPANT, frame_cache=given)
        serials = manager.list_serials(NVS_SEQUENCE)
        timesteps = manager.list_timesteps(NVS_SEQUENCE)
        draw = np.random.default_rng(0)
        places: list[Place] = [
            (serials[draw.integers(len(serials))], timesteps[draw.integers(len(timesteps))])
            for _ in range(_RANDOM_FRAMES)
        ]
        images: list[FrameArray] = []
        seconds: list[float] = []
        for serial, timestep in places:
            started = time.perf_counter()
            images.append(manager.load_image(NVS_SEQUENCE, serial, timestep, as_uint8=True))
            seconds.append(time.perf_counter() - started)
            manager.close()  # the next one opens its video anew
    return images, 1000 * median(seconds)


async def shuffle(demo: Demo) -> None:
    """Every frame of all cameras once, in mixed order, decoded nearly as in sequence."""
    manager = NVSDataManager(demo.root, NVS_PARTICIPANT)
    places: list[Place] = []
    size = ""
    async with manager, manager.open_shuffled(NVS_SEQUENCE, seed=0) as frames:
        started = time.perf_counter()
        async for frame in frames:
            places.append((frame.serial, frame.timestep))
            size = _size_of(frame.image)
        seconds = time.perf_counter() - started
    if len(set(places)) != len(frames) or len(places) != len(frames):
        raise DemoError("a shuffled epoch did not give each frame once")
    jump, expected = mean_jump(places)
    demo.say(
        f"{len(places)} images of {size}, each once, in {1000 * seconds:.0f} ms: "
        f"{len(places) / seconds:,.0f} images/s",
        f"from one to the next {jump:.1f} places, counted by camera and timestep, in the mean "
        f"(a true shuffle: {expected:.1f})",
    )
    demo.summary.append(
        ("shuffled", f"each image once, mixed {jump / expected:.0%} as far as a true shuffle")
    )


def mean_jump(places: list[Place]) -> tuple[float, float]:
    """How far from one to the next in sorted order, in the mean; and in a true shuffle's mean."""
    rank = {place: position for position, place in enumerate(sorted(places))}
    order = np.array([rank[place] for place in places])
    n = len(order)
    return float(np.abs(np.diff(order)).mean()), (n + 1) / 3


async def load_geometry(demo: Demo) -> None:
    """Pointclouds as a stream; heads of FLAME trackings, with a made-up FLAME model."""
    manager = NVSDataManager(demo.root, NVS_PARTICIPANT)
    n_clouds = n_points = 0
    async with manager, manager.open_pointclouds(NVS_SEQUENCE) as clouds:
        started = time.perf_counter()
        async for each in clouds:
            n_clouds, n_points = n_clouds + 1, n_points + len(each.pointcloud.points)
        seconds = time.perf_counter() - started
    rate = f"{n_points / seconds / 1e6:.1f} million points/s"
    demo.say(f"{n_clouds} pointclouds, {n_points:,} points with colours and normals: {rate}")
    demo.summary.append(("pointclouds", rate))

    limiter = make_limiter()
    await run_blocking(limiter, write_synthetic_flame, demo.flame)
    mono = MonoFlameAvatarDataManager(demo.root, MONO_PARTICIPANT)
    async with mono:
        trackings = [await mono.load_flame_tracking(name) for name in await mono.list_sequences()]
    heads, milliseconds = await run_blocking(limiter, _evaluate, demo.flame, trackings)
    demo.say(
        f"{heads} FLAME heads of {len(trackings)} sequences, 5,023 vertices each: "
        f"{milliseconds:.1f} ms a head (a made-up model of FLAME's shape)"
    )
    demo.summary.append(("FLAME", f"{milliseconds:.1f} ms a head"))


def _evaluate(folder: Path, trackings: list[FlameTracking]) -> tuple[int, float]:
    """Heads, and milliseconds each; blocking."""
    providers = [FlameProvider(tracking, folder) for tracking in trackings]
    providers[0].get_vertices(0)  # what is prepared once
    started = time.perf_counter()
    heads = sum(len(provider.get_all_vertices()) for provider in providers)
    return heads, 1000 * (time.perf_counter() - started) / heads


async def draw_sheets(demo: Demo) -> None:
    """What was fetched; the pointcloud and the FLAME mesh as cameras see them."""
    sheet = demo.out / "contact_sheet.png"
    await run_blocking(make_limiter(), write_root_sheet, demo.root, sheet)
    demo.say(f"of everything: {sheet}")
    demo.summary.append(("contact sheet", str(sheet)))
    overlays = {
        f"nvs/{NVS_PARTICIPANT}/{NVS_SEQUENCE}": ("--overlay", "pointcloud"),
        f"mono_flame_avatar/{MONO_PARTICIPANT}/{MONO_SEQUENCE}": (
            *("--overlay", "flame"),
            *("--flame-folder", str(demo.flame)),
        ),
    }
    for target, overlay in overlays.items():
        picture = demo.out / f"{target.replace('/', '_')}.png"
        code = await demo.run("preview", target, str(picture), *overlay)
        if code != ExitCode.OK:
            raise DemoError(f"preview ended with exit code {code}")
        demo.summary.append((f"{overlay[1]} projected", str(picture)))
    demo.summary.append(("data folder", str(demo.root)))


def _size_of(image: FrameArray) -> str:
    height, width = image.shape[:2]
    return f"{width} × {height}"
