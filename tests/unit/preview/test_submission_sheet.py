"""A submission's sheet: each task's, with and without fetched data, whole and broken."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.errors import SelectionError, SubmissionError
from nersemble_async.formats.cameras import load_camera_calibration
from nersemble_async.formats.image.picture import read_png
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.preview.sequence_sheet import Overlay
from nersemble_async.preview.submission_sheet import (
    SubmissionSheetOptions,
    task_of,
    write_submission_sheet,
)
from nersemble_async.submission.entries import expected_entries
from nersemble_async.synthetic.flame_model import write_synthetic_flame
from tests.support.submission_files import good_video, head, landmarks, npy, ply, small_head
from tests.support.submissions import RgbImage, picture, video_entries

NVS, MONO = BENCHMARKS["nvs"], BENCHMARKS["mono_flame_avatar"]
HEIGHT = 64
WIDTH = 44
"""Of an NVS tile."""
RED = (250, 226, 222)
"""Where there is no picture."""

Write = Callable[[Mapping[str, bytes]], Path]
Draw = Callable[..., tuple[RgbImage, list[str]]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_it(files: Mapping[str, bytes]) -> Path:
        path = tmp_path / "submission.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path

    return write_it


@pytest.fixture
def draw(stand_in: Path, tmp_path: Path) -> Draw:
    def draw_it(path: Path, root: Path = stand_in, **chosen: object) -> tuple[RgbImage, list[str]]:
        options = SubmissionSheetOptions(**{"tile_height": HEIGHT, **chosen})  # type: ignore[arg-type]
        out = tmp_path / "new" / "sheet.png"
        notes = write_submission_sheet(path, root, out, options)
        return read_png(out), notes

    return draw_it


@pytest.fixture(scope="module")
def flame_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("FLAME")
    write_synthetic_flame(folder)
    return folder


def nvs_files(participants: tuple[int, ...] = NVS.participants) -> dict[str, bytes]:
    """A disc of another colour for each camera."""
    return {
        entry.path: good_video("nvs", NVS.submission_serials.index(entry.serial))
        for entry in video_entries("nvs")
        if entry.participant_id in participants
    }


def tile(image: RgbImage, row: int, column: int, label_lines: int = 2) -> npt.NDArray[np.int_]:
    """The picture of an NVS tile."""
    top = 6 + 14 + row * (14 + HEIGHT + 14 * label_lines + 6)
    left = 6 + column * (WIDTH + 6)
    return image[top : top + HEIGHT, left : left + WIDTH].astype(int)


def is_empty(part: npt.NDArray[np.int_]) -> bool:
    """Whether it only says why there is no picture."""
    return bool((part == RED).all(axis=2).mean() > 0.5)


def unlike(part: npt.NDArray[np.int_], picture: RgbImage) -> float:
    """Mean difference to a picture of any size."""
    small = Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return float(np.abs(part - np.asarray(small, int)).mean())


# ---- novel views --------------------------------------------------------------------------------


def test_each_camera_beside_the_train_camera_nearest_in_angle(
    write: Write, draw: Draw, stand_in: Path
) -> None:
    image, notes = draw(write(nvs_files()))
    assert notes == []
    assert image.shape == (5 * (14 + HEIGHT + 28 + 6) + 6, image.shape[1], 3)
    calibration = load_camera_calibration(stand_in / NVS.path("calibration", 388))
    for place, serial in enumerate(NVS.submission_serials):
        submitted, beside = tile(image, 0, 2 * place), tile(image, 0, 2 * place + 1)
        assert unlike(submitted, picture(NVS.frame_size, place, 1)) < 3
        looking = {s: np.linalg.inv(m)[:3, 2] for s, m in calibration.world_2_cam.items()}
        angles = {
            other: np.arccos(np.clip(looking[other] @ looking[serial], -1, 1))
            for other in NVS.train_serials
        }
        nearest = min(angles, key=lambda each: angles[each])
        with VideoReader(stand_in / NVS.path("images", 388, "GLASSES", nearest)) as reader:
            assert unlike(beside, reader.decode(1).to_rgb()) < 1


def test_few_sequences_are_shown_at_three_frames_and_others_as_asked_for(
    write: Write, draw: Draw
) -> None:
    path = write(nvs_files((388,)))
    three, notes = draw(path, participants=(388,))
    assert len(notes) == 1
    assert notes[0].startswith("missing from the zip: 422/EXP-2-eyes/cam_222200046.mp4, ")
    assert notes[0].endswith(" and 8 more")
    assert three.shape[0] == 3 * (14 + HEIGHT + 28 + 6) + 6
    for index in range(3):
        assert unlike(tile(three, index, 0), picture(NVS.frame_size, 0, index)) < 3
    asked, _ = draw(path, participants=(388,), timesteps=(2, 7), serials=("222200037",))
    assert unlike(tile(asked, 0, 0), picture(NVS.frame_size, 1, 2)) < 3
    assert is_empty(tile(asked, 1, 0))
    assert is_empty(tile(asked, 1, 1))  # the train camera has no such frame either


def test_missing_and_broken_entries_are_tiles_that_say_so(write: Write, draw: Draw) -> None:
    files = nvs_files()
    missing, cut, empty, damaged, *_ = names = list(files)
    del files[missing]
    files[cut] = files[cut][: len(files[cut]) // 2]
    files[empty] = b""
    files["../outside.mp4"] = b""
    path = write(files)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo(damaged).header_offset + 500
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)
    image, notes = draw(path)
    shown = [is_empty(tile(image, k // 3, 2 * (k % 3))) for k in range(len(names))]
    assert shown == [True] * 4 + [False] * 11
    # What it would be compared with is shown all the same.
    assert not any(is_empty(tile(image, k // 3, 2 * (k % 3) + 1)) for k in range(4))
    assert notes == [
        f"missing from the zip: {missing}",
        "not drawn: 1 entry of a name that nvs does not know",
    ]


def test_without_fetched_data_the_submission_is_shown_alone(
    write: Write, draw: Draw, tmp_path: Path
) -> None:
    image, (note,) = draw(write(nvs_files()), tmp_path / "nothing")
    assert note.startswith("nothing is set beside the videos of 388, 422, 443, 445, 475: ")
    assert "nersemble-async fetch nvs" in note
    assert image.shape[1] < 4 * (WIDTH + 6)
    alone, notes = draw(write(nvs_files()), overlay=Overlay.NONE)
    assert notes == []
    assert np.array_equal(image, alone)


def test_a_root_with_a_broken_calibration_is_no_reason_to_draw_nothing(
    write: Write, draw: Draw, tmp_path: Path
) -> None:
    path = tmp_path / "root" / NVS.path("calibration", 388)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    _, (note,) = draw(write(nvs_files()), tmp_path / "root", participants=(388,))
    assert "camera_params.json" in note


def test_the_pointcloud_is_drawn_where_the_hold_out_camera_sees_it(
    write: Write, draw: Draw
) -> None:
    """Of a head in the middle and shoulders below, over what is faded."""
    path = write(nvs_files((388,)))
    image, _ = draw(path, participants=(388,), timesteps=(1,), overlay=Overlay.POINTCLOUD)
    for place in range(3):
        dark = tile(image, 0, 2 * place + 1).min(axis=2) < 150
        assert dark[:6].mean() < 0.05
        assert dark[24:].mean() > 0.08


# ---- avatars ------------------------------------------------------------------------------------


def mono_files(participant_id: int = 393) -> dict[str, bytes]:
    """All of one participant."""
    return {
        entry.path: good_video("mono_flame_avatar")
        for entry in video_entries("mono_flame_avatar")
        if entry.participant_id == participant_id
    }


def test_avatars_are_shown_with_the_tracked_mesh_over_them(
    write: Write, draw: Draw, flame_folder: Path
) -> None:
    image, notes = draw(write(mono_files()), participants=(393,), flame_folder=flame_folder)
    assert [note.split(":")[0] for note in notes] == ["missing from the zip"]
    assert image.shape == (2 * 14 + 2 * HEIGHT + 3 * 14 + 14 + 3 * 6, 16 * (HEIGHT + 6) + 6, 3)

    def blue(part: RgbImage) -> float:
        return float((part[..., 2].astype(int) > part[..., 0].astype(int) + 30).mean())

    plain, _ = draw(write(mono_files()), participants=(393,), overlay=Overlay.NONE)
    without = plain[: 14 + HEIGHT]
    assert np.array_equal(image[: 14 + HEIGHT], without)
    assert blue(image[len(plain) :]) > 0.05


def test_without_the_flame_model_avatars_are_shown_alone(
    write: Write, draw: Draw, tmp_path: Path
) -> None:
    image, notes = draw(write(mono_files()), participants=(393,), flame_folder=tmp_path)
    assert "flame2023.pkl" in notes[1]
    assert image.shape[0] < 2 * (HEIGHT + 14)


def test_a_sequence_without_tracking_is_a_tile_that_says_so(
    write: Write, draw: Draw, flame_folder: Path, stand_in: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    folder = Path("mono_flame_avatar", "393")
    for part in ("calibration", "sequences/FREE"):
        shutil.copytree(stand_in / folder / part, root / folder / part)
    image, _ = draw(
        write(mono_files()),
        root,
        participants=(393,),
        serials=("222200037",),
        flame_folder=flame_folder,
    )
    lower = image[20:, 6:].astype(int)
    shown = [
        is_not_on_disk(lower[:HEIGHT, (HEIGHT + 6) * k : (HEIGHT + 6) * k + HEIGHT])
        for k in range(8)
    ]
    assert shown == [False, False, False, True, False, True, False, True]


def is_not_on_disk(part: npt.NDArray[np.int_]) -> bool:
    return bool((part == (228, 220, 214)).all(axis=2).mean() > 0.5)


# ---- meshes -------------------------------------------------------------------------------------


def test_meshes_stand_beside_the_images_that_they_were_made_of(
    write: Write, draw: Draw, stand_in: Path
) -> None:
    entries = [e for e in expected_entries("svfr").values() if e.participant_id == 17]
    first, second = [e for e in entries if e.path.endswith("mesh_posed.ply")][:2]
    neutral = first.path.replace("posed", "neutral")
    files = {
        first.path: ply(*small_head()),
        neutral: ply(*head()),
        first.path.replace("mesh_posed.ply", "landmarks_posed.npy"): npy(landmarks()),
        second.path: b"no mesh",
    }
    image, notes = draw(write(files))
    assert len(notes) == 1
    tiles = [
        image[20 : 20 + HEIGHT, 6 + 70 * k : 6 + 70 * k + HEIGHT].astype(int) for k in range(6)
    ]
    assert [is_empty(each) for each in tiles] == [False, False, False, False, True, True]
    key = (17, first.sequence_name, first.serial, first.timestep)
    input_image = read_png(stand_in / BENCHMARKS["svfr"].path("images", *key))
    large = np.asarray(Image.fromarray(input_image).resize((HEIGHT, HEIGHT)), int)
    assert np.abs(tiles[0] - large).mean() < 6
    assert (tiles[1].min(axis=2) < 220).mean() > 0.2
    reds = [((t[..., 0] > 150) & (t[..., 1] < 110)).any() for t in tiles[1:3]]
    assert reds == [True, False]


def test_a_subtask_that_was_not_submitted_has_no_column(
    write: Write, draw: Draw, tmp_path: Path
) -> None:
    paths = [p for p in expected_entries("svfr") if p.endswith("mesh_neutral.ply")]
    path = write({p: ply(*small_head()) for p in paths})
    image, notes = draw(path, tmp_path / "nothing")
    assert notes == []
    assert image.shape[1] == 4 * 2 * (HEIGHT + 6) + 6
    assert image.shape[0] == 6 * (14 + HEIGHT + 28 + 6) + 6
    fewer, _ = draw(path, participants=(17,), serials=("222200036",))
    assert fewer.shape[0] < image.shape[0]


# ---- progress -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "chosen"), [("nvs", {}), ("svfr", {"participants": (17,)})])
def test_progress_is_told_and_can_end_it(
    write: Write, tmp_path: Path, task: Task, chosen: dict[str, tuple[int, ...]]
) -> None:
    path = write(dict.fromkeys(list(expected_entries(task))[:9], b""))
    options = SubmissionSheetOptions(tile_height=HEIGHT, **chosen)  # type: ignore[arg-type]
    told: list[tuple[int, int]] = []
    out = tmp_path / "whole.png"
    write_submission_sheet(path, tmp_path, out, options, lambda *count: told.append(count))
    total = told[0][1]
    assert told == [(done, total) for done in range(1, total + 1)]
    assert out.is_file()

    class EndedError(Exception):
        pass

    def end(done: int, _total: int) -> None:
        if done == 2:
            raise EndedError

    with pytest.raises(EndedError):
        write_submission_sheet(path, tmp_path, tmp_path / "ended.png", options, end)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["submission.zip", "whole.png"]


# ---- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"participants": (1,)}, "has participant 1 here; there are 388, 422, 443, 445, 475"),
        ({"serials": ("222200042",)}, "has serial 222200042 here; there are 222200046, "),
        ({"timesteps": (-1,)}, "there is no -1"),
        ({"overlay": Overlay.FLAME}, "nvs has no flame"),
    ],
)
def test_what_does_not_exist(
    write: Write, draw: Draw, tmp_path: Path, chosen: dict[str, object], told: str
) -> None:
    path = write({next(iter(expected_entries("nvs"))): b""})
    with pytest.raises(SelectionError, match=told):
        draw(path, **chosen)
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_no_submission(write: Write, draw: Draw, tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="is no submission: none of its 1 entries"):
        draw(write({"readme.txt": b"hello"}))
    (tmp_path / "no.zip").write_bytes(b"hello")
    with pytest.raises(SubmissionError, match="is not a readable zip"):
        draw(tmp_path / "no.zip")
    with pytest.raises(FileNotFoundError):
        draw(tmp_path / "nothing.zip")


@pytest.mark.parametrize("task", list(BENCHMARKS))
def test_whose_submission_it_is_shows_in_its_names(task: Task) -> None:
    path = Path("some.zip")
    for name in expected_entries(task):
        assert task_of(path, {name: None, "other.txt": None}) == task
