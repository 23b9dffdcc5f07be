"""What is on disk of one sequence, file by file: a look at headers and indexes, no decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_VERSIONS
from nersemble_async.benchmark.spec import FileKind, Scope
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.errors import NersembleError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.formats.flame.tracking import load_flame_tracking


@dataclass(frozen=True, slots=True)
class AssetOverview:
    """One file, or all of a per-timestep asset."""

    asset: str
    what: str
    """The serial, or ``all`` where the files of all timesteps are meant."""
    files: int
    """On disk."""
    of_files: int
    """Of the benchmark."""
    local_bytes: int
    content: str
    """What is in it, in words; the problem where it is broken."""


def overview_of_sequence(assets: LocalAssets, sequence_name: str) -> list[AssetOverview]:
    """Every asset of a sequence that is published. Blocking; indexes of videos are built.

    Raises:
        SelectionError: there is no such sequence.
    """
    assets.files.check_any_sequence(sequence_name)
    rows: list[AssetOverview] = []
    for asset in assets.files.spec.assets:
        if asset.scope is Scope.PER_IMAGE:
            rows.append(_of_images(assets, asset.key, sequence_name))
        if sequence_name not in assets.files.sequences_of(asset.key):
            continue
        if asset.scope is Scope.PER_CAM:
            videos = assets.files.videos(asset.key, sequence_name)
            rows += [_of_file(assets, video, video.serial or "") for video in videos]
        elif asset.scope is Scope.PER_TIMESTEP:
            rows.append(_of_timesteps(assets, asset.key, sequence_name))
        elif asset.kind is FileKind.NPZ:
            version = next(v for v, key in FLAME_TRACKING_VERSIONS.items() if key == asset.key)
            file = assets.files.flame_tracking(sequence_name, version)
            rows.append(_of_file(assets, file, "all"))
    return rows


def _of_file(assets: LocalAssets, file: PlannedFile, what: str) -> AssetOverview:
    path = assets.files.local_path(file)
    if not path.is_file():
        return AssetOverview(file.asset, what, 0, 1, 0, "")
    try:
        content = _content(assets, file)
    except NersembleError as error:
        content = f"BROKEN: {getattr(error, 'reason', error)}"
    return AssetOverview(file.asset, what, 1, 1, path.stat().st_size, content)


def _content(assets: LocalAssets, file: PlannedFile) -> str:
    if file.kind is FileKind.NPZ:
        tracking = load_flame_tracking(assets.files.local_path(file))
        return f"{len(tracking.frames)} frames"
    index = assets.read_index(file)
    info = index.info
    rate = "" if info.rate is None else f", {float(info.rate):g} fps"
    return (
        f"{info.n_frames} frames, {info.width} x {info.height}{rate}, {info.codec}, "
        f"keyframes: {len(index.keyframes)}"
    )


def _of_timesteps(assets: LocalAssets, asset_key: str, sequence_name: str) -> AssetOverview:
    try:
        timesteps = assets.read_timeline(sequence_name).timesteps
    except NersembleError:  # neither metadata.json nor a video is there
        timesteps = ()
    files = [assets.files.pointcloud(sequence_name, timestep) for timestep in timesteps]
    return _of_several(assets, asset_key, files)


def _of_images(assets: LocalAssets, asset_key: str, sequence_name: str) -> AssetOverview:
    keys = assets.files.spec.image_keys[assets.files.participant_id]
    files = [assets.files.image(key) for key in keys if key.sequence_name == sequence_name]
    return _of_several(assets, asset_key, files)


def _of_several(assets: LocalAssets, asset_key: str, files: Sequence[PlannedFile]) -> AssetOverview:
    paths = [assets.files.local_path(file) for file in files]
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    return AssetOverview(asset_key, "all", len(sizes), len(files), sum(sizes), "")
