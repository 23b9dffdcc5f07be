"""What is in a file of the dataset: facts that a person asks for, by kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nersemble_async.benchmark.layout import FileKind
from nersemble_async.errors import DecodeError
from nersemble_async.formats.cameras import load_camera_calibration
from nersemble_async.formats.flame.tracking import load_flame_tracking
from nersemble_async.formats.image.picture import read_png
from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud
from nersemble_async.formats.pointcloud.pcd_header import read_pcd_header
from nersemble_async.formats.video.index import build_video_index

Facts = dict[str, object]
"""By a name with its unit; values are numbers, texts, and lists of them, as JSON has them."""

_JSON_NAME = "camera_params.json"


def inspect_file(path: Path) -> Facts:
    """Read a file whole and say what is in it; the kind follows from its suffix.

    Raises:
        DecodeError: of no known kind, or broken.
        MetadataError: a broken camera_params.json.
        OSError: it cannot be read.
    """
    inspect = _BY_KIND.get(path.suffix.removeprefix(".").lower())
    if inspect is None or (path.suffix == ".json" and path.name != _JSON_NAME):
        known = ", ".join(f".{kind}" for kind in _BY_KIND if kind != FileKind.JSON)
        raise DecodeError(str(path), f"no kind of file that is known here: {known}, {_JSON_NAME}")
    facts: Facts = {"kind": "", "size_bytes": path.stat().st_size}
    return facts | inspect(path)


def _inspect_video(path: Path) -> Facts:
    index = build_video_index(path)
    info, rate = index.info, index.info.rate
    # Not by the keyframes that are shown: an edit list may hide a group's own.
    _, groups = np.unique(index.start_packets, return_counts=True)
    return {
        "kind": "video",
        "width": info.width,
        "height": info.height,
        "n_frames": info.n_frames,
        "n_frames_source": info.n_frames_source,
        "header_n_frames": info.header_n_frames,
        "frames_per_second": None if rate is None else float(rate),
        "seconds": None if rate is None else float(info.n_frames / rate),
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "n_keyframes": len(index.keyframes),
        "longest_group_frames": int(groups.max()),
        "mean_frame_bytes": int(index.sizes.mean()),
        "disposable_share": round(float(index.is_disposable.mean()), 3),
    }


def _inspect_pointcloud(path: Path) -> Facts:
    with path.open("rb") as file:
        header = read_pcd_header(file, path)
    cloud = read_pointcloud(path)
    finite = np.isfinite(cloud.points).all(axis=1)
    there = cloud.points[finite]
    return {
        "kind": "pointcloud",
        "n_points": header.n_points,
        "encoding": header.encoding,
        "fields": [field.name for field in header.fields],
        "has_colors": len(cloud.colors) > 0,
        "has_normals": len(cloud.normals) > 0,
        "n_not_finite": int((~finite).sum()),
        "lowest_metres": _rounded(there.min(axis=0)) if len(there) else None,
        "highest_metres": _rounded(there.max(axis=0)) if len(there) else None,
    }


def _inspect_tracking(path: Path) -> Facts:
    tracking = load_flame_tracking(path)
    frames, turned = tracking.frames, np.linalg.norm(tracking.jaw, axis=1)
    places = tracking.translation
    return {
        "kind": "FLAME tracking",
        "n_frames": len(frames),
        "first_timestep": int(frames[0]) if len(frames) else None,
        "last_timestep": int(frames[-1]) if len(frames) else None,
        "has_gaps": bool((np.diff(frames) != 1).any()),
        "scale": _rounded(tracking.scale[0], 9)[0],
        "mean_translation_metres": _rounded(places.mean(axis=0)) if len(places) else None,
        "largest_jaw_radians": _rounded(turned.max(keepdims=True))[0] if len(turned) else None,
        "dtype": str(tracking.expression.dtype),
    }


def _inspect_calibration(path: Path) -> Facts:
    calibration = load_camera_calibration(path)
    focal = [float(calibration.intrinsics[s][0, 0]) for s in calibration.intrinsics]
    positions = [calibration.camera_position(serial) for serial in calibration.world_2_cam]
    middle = np.mean(positions, axis=0)
    distances = [float(np.linalg.norm(position - middle)) for position in positions]
    return {
        "kind": "camera calibration",
        "n_cameras": len(calibration.world_2_cam),
        "serials": list(calibration.world_2_cam),
        "focal_length_pixels": [round(min(focal), 1), round(max(focal), 1)],
        "mean_position_metres": _rounded(middle),
        "farthest_from_it_metres": round(max(distances), 4),
    }


def _inspect_image(path: Path) -> Facts:
    image = read_png(path)
    return {
        "kind": "image",
        "width": image.shape[1],
        "height": image.shape[0],
        "mean_rgb": _rounded(image.mean(axis=(0, 1)), 1),
    }


def _rounded(
    values: np.ndarray[tuple[int, ...], np.dtype[np.floating]], digits: int = 4
) -> list[float | None]:
    """None for what is no finite number: JSON has neither nan nor infinity."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


_BY_KIND: Mapping[str, Callable[[Path], Facts]] = MappingProxyType(
    {
        FileKind.MP4: _inspect_video,
        FileKind.PCD: _inspect_pointcloud,
        FileKind.NPZ: _inspect_tracking,
        FileKind.PNG: _inspect_image,
        FileKind.JSON: _inspect_calibration,
    }
)
