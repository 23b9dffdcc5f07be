"""The official toolkit and this package on one folder, in both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, SERIALS
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import FetchPlan, Selection, parse_pointcloud_frames
from nersemble_async.fetch.progress import EvidenceGrade, FetchReport, Outcome
from nersemble_async.settings import Settings
from nersemble_async.synthetic.scale import SCALES
from tests.support.corpora import visible_files
from tests.support.fetching import settings_for
from tests.support.nginx import Nginx, run_nginx
from tests.support.official import official_python, run_official

SCALE = SCALES["tiny"]
NVS, MONO, SVFR = BENCHMARKS["nvs"], BENCHMARKS["mono_flame_avatar"], BENCHMARKS["svfr"]
SVFR_ID = next(iter(SVFR.image_keys))
SELECTION = Selection(
    participants=(388, 393, SVFR_ID),
    pointcloud_frames=parse_pointcloud_frames("0 2"),
)


@pytest.fixture(scope="module")
def server(stand_in: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A small stand-in of everything, where the official toolkit is installed."""
    official_python()
    with run_nginx(stand_in, tmp_path_factory.mktemp("official") / "nginx") as running:
        yield running


async def fetch_selection(settings: Settings) -> tuple[FetchPlan, FetchReport]:
    async with Fetcher(settings) as fetcher:
        plan = await fetcher.plan(SELECTION)
        return plan, await fetcher.fetch(plan)


OFFICIAL_READS = """
from nersemble_benchmark.data.benchmark_data import (
    MonoFlameAvatarDataManager, NVSDataManager, SVFRDataManager
)
root, serial = argument["root"], argument["serial"]
nvs = NVSDataManager(root, 388)
calibration = nvs.load_camera_calibration()
mono = MonoFlameAvatarDataManager(root, 393)
sequence = argument["mono_sequence"]
svfr = SVFRDataManager(root, argument["svfr_id"])
keys = svfr.list_image_keys()
result = {
    "nvs_sequences": nvs.list_sequences(),
    "nvs_serials": sorted(nvs.list_serials("GLASSES")),
    "nvs_timesteps": nvs.get_n_timesteps("GLASSES"),
    "nvs_cameras": sorted(calibration.world_2_cam),
    "nvs_intrinsics": sorted(calibration.intrinsics),
    "nvs_image": nvs.load_image("GLASSES", serial, 2).shape,
    "nvs_alpha": nvs.load_alpha_map("GLASSES", serial, 2).shape,
    "nvs_points": [array.shape for array in nvs.load_pointcloud("GLASSES", 2)],
    "mono_sequences": sorted(mono.list_sequences()),
    "mono_serials": mono.list_serials(sequence),
    "mono_timesteps": mono.get_n_timesteps(sequence),
    "mono_tracking": mono.load_flame_tracking(sequence).expression.shape,
    "mono_test_tracking": mono.load_flame_tracking("FREE").jaw.shape,
    "svfr_keys": sorted([key.sequence_name, key.timestep, key.serial] for key in keys),
    "svfr_image": svfr.load_image(keys[0]).shape,
}
"""


@pytest.mark.asyncio
async def test_its_data_managers_read_what_was_fetched(server: Nginx, tmp_path: Path) -> None:
    root = tmp_path / "root"
    plan, report = await fetch_selection(settings_for(server.url, root))
    assert report.exit_code == 0
    assert report.grades == {EvidenceGrade.CONTENT: len(plan)}
    mono_sequence = MONO.train_sequences[393][0]
    argument = {
        "root": str(root),
        "serial": NVS.train_serials[0],
        "mono_sequence": mono_sequence,
        "svfr_id": SVFR_ID,
    }
    told = run_official(OFFICIAL_READS, argument)
    mono_frames = {
        key.sequence_name: n
        for key, n in SCALE.lengths(MONO.task).items()
        if key.participant_id == 393
    }
    width, height = SCALE.frame_size(NVS.task)
    n_points = SCALE.points(388)
    assert told == {
        "nvs_sequences": ["GLASSES"],
        "nvs_serials": sorted(NVS.train_serials),
        "nvs_timesteps": 3,
        "nvs_cameras": sorted(SERIALS),
        "nvs_intrinsics": sorted(SERIALS),
        "nvs_image": [height, width, 3],
        "nvs_alpha": [height, width, 1],
        "nvs_points": [[n_points, 3]] * 3,
        "mono_sequences": sorted(MONO.sequences(393)),
        "mono_serials": list(MONO.train_serials),
        "mono_timesteps": mono_frames[mono_sequence],
        "mono_tracking": [mono_frames[mono_sequence], 100],
        "mono_test_tracking": [mono_frames["FREE"], 3],
        "svfr_keys": sorted(
            [key.sequence_name, key.timestep, key.serial] for key in SVFR.image_keys[SVFR_ID]
        ),
        "svfr_image": [SCALE.svfr_width, SCALE.svfr_width, 3],
    }


OFFICIAL_DOWNLOADS = """
import os
os.environ["NERSEMBLE_BENCHMARK_URL"] = argument["url"]
from pathlib import Path
from nersemble_benchmark.scripts.download_data import download_urls
for task, urls in argument["urls"].items():
    download_urls(Path(argument["root"]), task, urls, n_workers=8)
result = True
"""


def official_download(server: Nginx, root: Path, plan: FetchPlan) -> None:
    """The official toolkit's own downloader, for the files of a plan."""
    urls: dict[str, list[str]] = {}
    for file in plan:
        # It encodes nothing; what it downloads with takes a plus as it is.
        urls.setdefault(file.task, []).append(file.path.removeprefix(f"{file.task}/"))
    run_official(OFFICIAL_DOWNLOADS, {"url": server.url, "root": str(root), "urls": urls})


@pytest.mark.asyncio
async def test_what_it_downloaded_is_adopted(server: Nginx, tmp_path: Path) -> None:
    root = tmp_path / "root"
    plan, _ = await fetch_selection(settings_for(server.url, tmp_path / "ours"))
    official_download(server, root, plan)
    before = len(server.requests())
    again, report = await fetch_selection(settings_for(server.url, root))
    assert report.exit_code == 0
    requests = server.requests()[before:]
    assert [r.path for r in requests if r.method == "GET" and not r.path.endswith("SUMS")] == []
    assert report.outcomes[Outcome.FETCHED] == 0
    # metadata.json is adopted when the plan is made, and is present from then on.
    n_metadata = sum(file.asset == "metadata" for file in again)
    assert report.outcomes == {Outcome.ADOPTED: len(plan) - n_metadata, Outcome.PRESENT: n_metadata}
    assert visible_files(root) == visible_files(tmp_path / "ours")


@pytest.mark.asyncio
async def test_what_was_fetched_it_does_not_download_again(server: Nginx, tmp_path: Path) -> None:
    root = tmp_path / "root"
    plan, _ = await fetch_selection(settings_for(server.url, root))
    before = len(server.requests())
    official_download(server, root, plan)
    asked = Counter((r.method, r.path) for r in server.requests()[before:])
    assert asked == Counter(("HEAD", file.path) for file in plan)
