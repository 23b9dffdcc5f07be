"""A root whose metadata.json lists timesteps with gaps: 0, 3, 7 for the three frames of 443."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support.stand_in import tiny_stand_in

TIMESTEPS = (0, 3, 7)
"""Where frames 0, 1, 2 of the tiny stand-in's sequence are moved to."""
SERIALS = ("222200042", "222200044")
"""The cameras that are there."""


def make_gapped_root(root: Path) -> Path:
    """Participant 443 of NVS with two cameras, its pointclouds named by their new timesteps."""
    source, folder = tiny_stand_in() / "nvs" / "443", root / "nvs" / "443"
    shutil.copytree(source / "calibration", folder / "calibration")
    for asset in ("images", "alpha_maps"):
        (folder / "sequences" / "FREE" / asset).mkdir(parents=True)
        for serial in SERIALS:
            name = f"sequences/FREE/{asset}/cam_{serial}.mp4"
            shutil.copy(source / name, folder / name)
    pointclouds = folder / "sequences" / "FREE" / "pointclouds"
    pointclouds.mkdir()
    for frame_index, timestep in enumerate(TIMESTEPS):
        name = f"sequences/FREE/pointclouds/frame_{frame_index:05d}.pcd"
        shutil.copy(source / name, pointclouds / f"frame_{timestep:05d}.pcd")
    metadata = {"sequences": {"443": {"sequence_name": "FREE", "timesteps": TIMESTEPS}}}
    (root / "nvs" / "metadata.json").write_text(json.dumps(metadata))
    return root
