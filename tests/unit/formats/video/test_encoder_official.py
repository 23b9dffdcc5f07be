"""The official writer (mediapy, ffmpeg) beside ours: through the official reader ours is nearer.

Small pictures will not do: by chance x264 spends a few percent more or less on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.formats.video.encoder import RgbImage, VideoEncoder
from nersemble_async.synthetic.rig import VIEW_WIDTH_METRES, rig_cameras
from nersemble_async.synthetic.scene import sequence_scene
from tests.support.official import run_official

SIZE = (512, 512)
RATE = Fraction(243, 10)
N_FRAMES = 24
RNG = np.random.default_rng(0)

WRITE = """
import mediapy, numpy as np
mediapy.write_video(argument["path"], list(np.load(argument["frames"])), crf=14, fps=24.3)
result = None
"""

READ = """
import imageio.v3 as iio, numpy as np
for path in argument:
    np.save(path + ".npy", iio.imread(path, plugin="pyav"))
result = None
"""


class Written(NamedTuple):
    """A video, by what it is worth."""

    path: Path
    psnr: float
    ssim: float
    bias: float


def heads() -> Iterator[RgbImage]:
    """A rendered head that sways under a sensor's noise, on white, as the dataset is matted."""
    key = SequenceKey(393, "FREE")
    camera = next(iter(rig_cameras(SIZE, VIEW_WIDTH_METRES["mono_flame_avatar"], RNG).values()))
    look = sequence_scene("mono_flame_avatar", key, N_FRAMES, 0).render(0, camera)
    on_head = look.alpha_map[:, :, None] > 127
    for index in range(N_FRAMES):
        noisy = np.where(on_head, look.image + RNG.normal(0, 4, (*SIZE[::-1], 1)), 255)
        shift = (round(6 * np.cos(index / 7)), round(9 * np.sin(index / 5)))
        image: RgbImage = np.clip(np.roll(noisy, shift, (0, 1)), 0, 255).astype(np.uint8)
        yield image


def mean_ssim(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Structural similarity in windows of 8 x 8, one each 4 pixels, as x264 measures it."""

    def windows(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        height, width, n_channels = image.shape
        sums = image.reshape(height // 4, 4, width // 4, 4, n_channels).sum((1, 3))
        four = sums[1:, 1:] + sums[:-1, 1:] + sums[1:, :-1] + sums[:-1, :-1]
        means: npt.NDArray[np.float64] = four / 64
        return means

    mean_a, mean_b = windows(a), windows(b)
    variances = windows(a * a) - mean_a**2 + windows(b * b) - mean_b**2
    covariance = windows(a * b) - mean_a * mean_b
    flat, still = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + flat) * (2 * covariance + still)
    return float((similarity / ((mean_a**2 + mean_b**2 + flat) * (variances + still))).mean())


def measured(path: Path, frames: npt.NDArray[np.uint8]) -> Written:
    decoded = np.load(f"{path}.npy").astype(np.float64)
    off = decoded - frames
    errors = (off**2).mean((1, 2, 3))
    similar = [mean_ssim(a, b.astype(np.float64)) for a, b in zip(decoded, frames, strict=True)]
    psnr = float(np.mean(10 * np.log10(255**2 / errors)))
    return Written(path, psnr, float(np.mean(similar)), float(off.mean()))


def settings(path: Path) -> dict[str, str]:
    """What x264 notes in its first packet, less what hangs on the number of threads."""
    text = path.read_bytes().partition(b" - options: ")[2].partition(b"\0")[0].decode()
    noted = dict(item.partition("=")[::2] for item in text.split())
    return {name: value for name, value in noted.items() if "threads" not in name}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """The official writer's video, ours, and ours with compensation."""
    folder = tmp_path_factory.mktemp("official")
    frames = np.stack(list(heads()))
    np.save(folder / "frames.npy", frames)
    paths = {name: folder / f"{name}.mp4" for name in ("official", "ours", "compensated")}
    run_official(WRITE, {"path": str(paths["official"]), "frames": str(folder / "frames.npy")})
    for name in ("ours", "compensated"):
        compensate = name == "compensated"
        with VideoEncoder(paths[name], SIZE, RATE, compensate_reader_bias=compensate) as encoder:
            for frame in frames:
                encoder.write(frame)
    run_official(READ, [str(path) for path in paths.values()])
    return {name: measured(path, frames) for name, path in paths.items()}


def test_at_least_as_near_at_the_same_size(written: dict[str, Written]) -> None:
    ours, official = written["ours"], written["official"]
    assert ours.psnr >= official.psnr
    assert ours.ssim >= official.ssim
    sizes = [video.path.stat().st_size for video in (ours, official)]
    assert 0.95 < sizes[0] / sizes[1] < 1.05


def test_compensation_gains_more_and_takes_the_bias_away(written: dict[str, Written]) -> None:
    ours, compensated = written["ours"], written["compensated"]
    assert compensated.psnr > ours.psnr + 0.1
    assert abs(compensated.bias) < abs(ours.bias) / 2
    assert compensated.path.stat().st_size < 1.05 * ours.path.stat().st_size


def test_the_same_settings_of_x264(written: dict[str, Written]) -> None:
    assert settings(written["ours"].path) == settings(written["official"].path)
    assert settings(written["ours"].path)["crf"] == "14.0"


def test_the_same_stream_as_far_as_its_header_says(written: dict[str, Written]) -> None:
    streams: list[dict[str, Any]] = []
    for name in ("ours", "official"):
        with av.open(str(written[name].path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context
            streams.append(
                {
                    "time": (stream.average_rate, stream.base_rate, stream.time_base),
                    "frames": (stream.frames, stream.start_time, stream.duration),
                    "codec": (codec.name, codec.profile, codec.codec_tag, codec.max_b_frames),
                    "picture": (codec.pix_fmt, codec.width, codec.height),
                    "range": codec.color_range,
                    "colours": (codec.colorspace, codec.color_primaries, codec.color_trc),
                }
            )
    assert streams[0] == streams[1]
