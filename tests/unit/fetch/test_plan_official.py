"""The planner against the official toolkit's own collection of URLs."""

from __future__ import annotations

import json
from typing import Any

from tests.support.official import run_official
from tests.support.planning import nvs_json, plan

_ORACLE = """
from nersemble_benchmark.scripts import download_data as official
from nersemble_benchmark.util.metadata import NVSMetadata

nvs_metadata = NVSMetadata.from_json(argument["nvs_metadata"])
official.NVSMetadata.load = staticmethod(lambda: nvs_metadata)
official.validate_nersemble_benchmark_url = lambda: None
result = []
for config in argument["configs"]:
    urls = []
    official.download_urls = lambda folder, task, relative_urls, **_: urls.extend(
        f"{task}/{relative_url}" for relative_url in relative_urls
    )
    official.main("folder", config.pop("task"), **config)
    result.append(urls)
"""

_OFFICIAL_CONFIGS: list[dict[str, Any]] = [
    {"task": "nvs"},
    {"task": "nvs", "pointcloud_frames": "all"},
    {"task": "nvs", "pointcloud_frames": [0, 5, 200], "participant": [388]},
    {"task": "nvs", "participant": [422, 475]},
    {"task": "nvs", "assets": ["calibration"]},
    {"task": "nvs", "assets": ["images", "pointclouds"], "pointcloud_frames": "all"},
    {"task": "mono_flame_avatar"},
    {"task": "mono_flame_avatar", "participant": [461]},
    {"task": "mono_flame_avatar", "participant": [393, 486], "assets": ["alpha_maps"]},
    {
        "task": "mono_flame_avatar",
        "assets": ["calibration", "flame2023_tracking", "flame2023_tracking_v2"],
    },
    {"task": "svfr"},
    {"task": "svfr", "participant": [17, 175]},
    {"task": "svfr", "assets": ["images"]},
]


def test_the_same_set_as_the_official_toolkit() -> None:
    urls_by_config = run_official(
        _ORACLE, {"nvs_metadata": json.loads(nvs_json()), "configs": _OFFICIAL_CONFIGS}
    )
    for config, urls in zip(_OFFICIAL_CONFIGS, urls_by_config, strict=True):
        frames = config.get("pointcloud_frames", [0])
        ours = plan(
            config["task"],
            frames=frames if isinstance(frames, str) else " ".join(map(str, frames)),
            assets=config.get("assets"),
            participants=config.get("participant"),
        )
        assert {file.path for file in ours if file.asset != "metadata"} == set(urls), config
    whole = urls_by_config[6]
    assert len(whole) - len(set(whole)) == 85  # what a plan has to deduplicate
