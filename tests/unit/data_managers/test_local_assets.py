"""What is read from a root: by timestep, whatever is missing or broken, wherever it is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.errors import DecodeError, MetadataError, NotCachedError, SelectionError
from nersemble_async.formats.video.index import VideoIndex, build_video_index
from nersemble_async.loaders.frame_cache import FrameCache
from nersemble_async.settings import Settings
from nersemble_async.sync import MonoFlameAvatarDataManager, NVSDataManager, SVFRDataManager
from tests.support.gapped_root import SERIALS, TIMESTEPS, make_gapped_root
from tests.support.stand_in import tiny_stand_in
from tests.support.videos import decode_frame

SERIAL = SERIALS[0]
WHOLE = NVSDataManager(tiny_stand_in(), 443)
"""The same frames, numbered from 0."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_gapped_root(tmp_path)


# ---- timesteps ------------------------------------------------------------------------------


def test_timesteps_with_gaps_find_their_frames(root: Path) -> None:
    manager = NVSDataManager(root, 443)
    assert manager.list_timesteps("FREE") == list(TIMESTEPS)
    assert manager.get_n_timesteps("FREE") == 3
    for frame_index, timestep in enumerate(TIMESTEPS):
        for load in ("load_image", "load_alpha_map"):
            ours = getattr(manager, load)("FREE", SERIAL, timestep)
            assert np.array_equal(ours, getattr(WHOLE, load)("FREE", SERIAL, frame_index))
        cloud = manager.load_pointcloud("FREE", timestep)
        same = WHOLE.load_pointcloud("FREE", frame_index)
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(cloud, same, strict=True))
    told = "FREE has no timestep 1; it has 0, 3, 7"
    with pytest.raises(SelectionError, match=told):
        manager.load_image("FREE", SERIAL, 1)
    with pytest.raises(SelectionError, match=told):
        manager.load_pointcloud("FREE", 1)
    assert manager.steps("FREE", [7, 3]) == [(7, 2), (3, 1)]
    assert list(manager.video_sources("FREE")) == list(SERIALS)


def test_without_metadata_frames_count_from_0(root: Path) -> None:
    (root / "nvs" / "metadata.json").unlink()
    manager = NVSDataManager(root, 443)
    assert manager.list_timesteps("FREE") == [0, 1, 2]
    expected = WHOLE.load_image("FREE", SERIAL, 2)
    assert np.array_equal(manager.load_image("FREE", SERIAL, 2), expected)
    with pytest.raises(SelectionError, match="it has 0, 1, 2"):
        manager.load_image("FREE", SERIAL, 3)


def test_metadata_of_another_sequence_does_not_matter(root: Path) -> None:
    text = (root / "nvs" / "metadata.json").read_text()
    (root / "nvs" / "metadata.json").write_text(text.replace("443", "388"))
    assert NVSDataManager(root, 443).list_timesteps("FREE") == [0, 1, 2]


def test_changed_metadata_is_read_again_and_broken_one_named(root: Path) -> None:
    manager, path = NVSDataManager(root, 443), root / "nvs" / "metadata.json"
    assert manager.list_timesteps("FREE") == [0, 3, 7]
    path.write_text(path.read_text().replace("7", "99"))
    assert manager.list_timesteps("FREE") == [0, 3, 99]
    path.write_text("{")
    with pytest.raises(MetadataError, match=r"nvs/metadata\.json"):
        manager.list_timesteps("FREE")


def test_more_timesteps_than_frames_is_a_broken_video(root: Path) -> None:
    path = root / "nvs" / "metadata.json"
    path.write_text(path.read_text().replace("7", "7, 8"))
    with pytest.raises(DecodeError, match=r"cam_222200042\.mp4, frame 3: the video has 3 frames"):
        NVSDataManager(root, 443).load_image("FREE", SERIAL, 8)


# ---- missing and broken files ---------------------------------------------------------------


def test_what_is_not_on_disk_is_told_with_its_command(tmp_path: Path) -> None:
    nvs = NVSDataManager(tmp_path, 388)
    mono = MonoFlameAvatarDataManager(tmp_path, 393)
    svfr = SVFRDataManager(tmp_path, 17)
    key = svfr._files.list_image_keys()[0]
    for load, command in (
        (nvs.list_sequences, "nvs --participant 388 --assets calibration"),
        (lambda: nvs.list_serials("GLASSES"), "nvs --participant 388 --sequence GLASSES --serial"),
        (lambda: nvs.list_timesteps("GLASSES"), "nvs --participant 388 --sequence GLASSES"),
        (lambda: nvs.load_image("GLASSES", SERIAL, 0), f"--serial {SERIAL} --assets images"),
        (lambda: nvs.load_alpha_map("GLASSES", SERIAL, 0), "--assets alpha_maps"),
        (lambda: nvs.load_all_images("GLASSES", SERIAL), "--assets images"),
        (nvs.load_camera_calibration, "--assets calibration"),
        (lambda: nvs.load_pointcloud("GLASSES", 7), "--assets pointclouds --pointcloud-frames 7"),
        (lambda: nvs.video_sources("GLASSES", [SERIAL]), "--assets images"),
        (lambda: mono.load_flame_tracking("FREE"), "--assets flame2023_tracking_v2"),
        (svfr.list_image_keys, "svfr --participant 17"),
        (lambda: svfr.load_image(key), f"--sequence {key.sequence_name} --serial {key.serial}"),
    ):
        with pytest.raises(NotCachedError, match="nersemble-async fetch") as told:
            load()
        assert command in str(told.value)
        assert isinstance(told.value, FileNotFoundError)  # what the official toolkit raises
    assert not nvs.has_sequence("GLASSES")
    assert not nvs.has_video("GLASSES", SERIAL)
    assert not nvs.has_sequence("nothing like it")
    assert list(tmp_path.iterdir()) == []


def test_a_test_sequence_has_timesteps_but_no_cameras() -> None:
    mono = MonoFlameAvatarDataManager(tiny_stand_in(), 393)
    assert mono.list_timesteps("FREE") == list(range(mono.get_n_timesteps("FREE")))
    assert not mono.has_sequence("FREE")
    with pytest.raises(SelectionError, match="test sequence"):
        mono.list_serials("FREE")


def test_broken_files_are_named(root: Path) -> None:
    folder = root / "nvs" / "443" / "sequences" / "FREE"
    manager = NVSDataManager(root, 443)
    video = folder / "images" / f"cam_{SERIAL}.mp4"
    intact = video.read_bytes()
    with_hole = bytearray(intact)
    start = intact.index(b"mdat") + 4
    middle = start + (len(intact) - start) // 2
    with_hole[middle - 300 : middle + 300] = bytes(600)
    for body in (bytes(with_hole), intact[:middle], b"no video at all"):
        video.write_bytes(body)
        with pytest.raises(DecodeError, match=rf"cam_{SERIAL}\.mp4"):
            manager.load_all_images("FREE", SERIAL)
        with pytest.raises(DecodeError, match=rf"cam_{SERIAL}\.mp4"):
            [manager.load_image("FREE", SERIAL, timestep) for timestep in TIMESTEPS]
    video.write_bytes(intact)  # and all is well again
    assert np.array_equal(
        manager.load_image("FREE", SERIAL, 3), WHOLE.load_image("FREE", SERIAL, 1)
    )
    cloud = folder / "pointclouds" / "frame_00003.pcd"
    cloud.write_bytes(cloud.read_bytes()[:-1])
    with pytest.raises(DecodeError, match=r"frame_00003\.pcd"):
        manager.load_pointcloud("FREE", 3)
    calibration = root / "nvs" / "443" / "calibration" / "camera_params.json"
    calibration.write_text("{}")
    with pytest.raises(MetadataError, match=r"camera_params\.json"):
        manager.load_camera_calibration()


# ---- where and how --------------------------------------------------------------------------


def test_indexes_lie_beside_the_data_in_one_flat_folder(root: Path) -> None:
    NVSDataManager(root, 443).load_image("FREE", SERIAL, 0)
    (index,) = (root / ".nersemble_async" / "video_index").iterdir()
    assert index.name == f"nvs%2F443%2Fsequences%2FFREE%2Fimages%2Fcam_{SERIAL}.mp4.npz"


def test_a_root_that_cannot_be_written_to_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Permissions do not stop root, who runs tests in containers.
    (root / ".nersemble_async").write_text("no folder can be made here")
    builds: list[Path] = []

    def build(path: Path) -> VideoIndex:
        builds.append(path)
        return build_video_index(path)

    monkeypatch.setattr("nersemble_async.formats.video.index.build_video_index", build)
    manager = NVSDataManager(root, 443)
    for timestep in (3, 0, 7, 0):
        assert manager.load_image("FREE", SERIAL, timestep).shape[2] == 3
    assert len(builds) == 1  # it is kept in memory, at least


def test_the_root_comes_from_the_settings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", str(root))
    manager = NVSDataManager(None, 443)
    assert Settings.load().root == root
    assert manager.get_images_path("FREE", "1").startswith(f"{root}/nvs/443/")
    assert repr(manager) == f"NVSDataManager({str(root)!r}, 443)"


def test_a_frame_cache_is_filled_and_asked_first(root: Path, tmp_path: Path) -> None:
    with FrameCache(tmp_path / "frames") as cache:
        manager = NVSDataManager(root, 443, frame_cache=cache)
        first = manager.load_image("FREE", SERIAL, 7, as_uint8=True)
        video = root / manager._files.video("images", "FREE", SERIAL).path
        key = video.relative_to(root).as_posix()
        stored = cache.read(manager.video_sources("FREE")[SERIAL], key, 2)
        assert stored is not None
        assert np.array_equal(stored.to_rgb(), first)
        assert np.array_equal(manager.load_image("FREE", SERIAL, 7, as_uint8=True), first)
        assert np.array_equal(decode_frame(video, 2), first)


def test_svfr_images_are_found_by_keys_of_any_make(tmp_path: Path) -> None:
    manager = SVFRDataManager(tiny_stand_in(), 194)
    key = manager.list_image_keys()[0]
    again = ImageKey(sequence_name=key.sequence_name, timestep=key.timestep, serial=key.serial)
    assert manager.load_image(again).dtype == np.uint8
    assert os.path.isdir(manager.get_asset_folder(again))  # noqa: PTH112 -- it is a text
    with pytest.raises(SelectionError, match="unknown image"):
        manager.load_image(ImageKey("FREE", 1, "1"))


def test_images_one_after_another_are_what_a_list_of_them_holds() -> None:
    listed = WHOLE.load_all_images("FREE", SERIAL, every_nth_frame=2)
    one_by_one = WHOLE.iterate_images("FREE", SERIAL, every_nth_frame=2)
    assert len(listed) == 2
    assert all(np.array_equal(a, b) for a, b in zip(listed, one_by_one, strict=True))
    with pytest.raises(SelectionError, match="step is 0"):
        WHOLE.load_all_images("FREE", SERIAL, every_nth_frame=0)
