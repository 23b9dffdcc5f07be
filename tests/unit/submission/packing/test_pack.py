"""Sources into a submission: what goes into the zip is what lay in the folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh

from nersemble_async.benchmark.spec import Task
from nersemble_async.errors import DecodeError, InvalidPredictionError
from nersemble_async.formats.mesh.landmarks import landmarks_bytes
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.packing.checks import CheckedSource, PackWay
from nersemble_async.submission.packing.pack import (
    files_below,
    most_at_once,
    open_pack_writer,
    pack_mesh,
    pack_video,
    source_frames,
)
from nersemble_async.submission.packing.sources import PackSource, SourceSort, plan_pack
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.submission.writing.video_writers import MonoFlameAvatarSubmissionDataWriter
from tests.support.pack_folders import (
    MONO,
    MONO_ENTRIES,
    N_FRAMES,
    frames_of,
    write_lossless,
    write_meshes,
    write_pictures,
)
from tests.support.submission_files import good_video, landmarks, npy, small_head
from tests.support.submissions import Lengths, mesh_entries

ENTRY = MONO_ENTRIES[0]
WHERE = (393, "FREE", "222200037")
POSED = mesh_entries("posed")[0]


class StoppedError(Exception):
    """Raised while frames are counted, as a cancellation is."""


def begin(folder: Path, *, resume: bool | None = None) -> MonoFlameAvatarSubmissionDataWriter:
    return MonoFlameAvatarSubmissionDataWriter(
        folder / "a.zip", metadata=Lengths(N_FRAMES), allow_partial=True, resume=resume
    )


def where_of(entry: ExpectedEntry) -> tuple[int, str, str]:
    return entry.participant_id, entry.sequence_name, entry.serial


def source_in(folder: Path) -> PackSource:
    (source,) = plan_pack(MONO, files_below(folder), Lengths(N_FRAMES)).sources.values()
    return source


# ---- what lies in a folder ----------------------------------------------------------------------


def test_files_are_found_through_links_and_never_twice_around(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "source"
    for each in (elsewhere, folder / "a", folder / "a.zip.partial.videos"):
        each.mkdir(parents=True)
        (each / "0.png").touch()
    (folder / "b").symlink_to(elsewhere)
    (folder / "a/round").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    found = list(files_below(folder, frozenset({"a.zip.partial.videos"})))
    assert found == ["a/0.png", "b/0.png", "gone"]


def test_frames_of_pictures_and_of_a_lossless_video_are_what_was_rendered(tmp_path: Path) -> None:
    frames = frames_of(ENTRY)
    write_pictures(tmp_path / "a", ENTRY, frames)
    video = f"{ENTRY.path.removesuffix('.mp4')}.mkv"
    write_lossless(tmp_path / "b" / video, frames)
    for folder in (tmp_path / "a", tmp_path / "b"):
        np.testing.assert_array_equal(list(source_frames(folder, source_in(folder))), frames)


# ---- videos -------------------------------------------------------------------------------------


def test_pictures_and_an_array_of_them_make_the_same_entry(tmp_path: Path) -> None:
    write_pictures(tmp_path / "s", ENTRY, frames_of(ENTRY))
    counted: list[None] = []
    with begin(tmp_path) as writer:
        checked = CheckedSource(source_in(tmp_path / "s"), PackWay.ENCODE, N_FRAMES)
        pack_video(writer, tmp_path / "s", checked, lambda: counted.append(None))
    assert len(counted) == N_FRAMES
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.namelist() == [ENTRY.path]


def test_a_finished_mp4_is_taken_to_the_bit_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    path.write_bytes(good_video(MONO, 0, N_FRAMES))
    counted: list[None] = []
    with begin(tmp_path) as writer:
        taken = writer.add_file(*WHERE, path, deep=True, on_frame=lambda: counted.append(None))
    assert taken
    assert len(counted) == N_FRAMES
    assert path.read_bytes() == good_video(MONO, 0, N_FRAMES)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.read(ENTRY.path) == path.read_bytes()


def test_an_mp4_with_a_flaw_is_not_taken_and_one_of_an_earlier_run_not_twice(
    tmp_path: Path,
) -> None:
    path = tmp_path / "source.mp4"
    path.write_bytes(good_video(MONO, 0, N_FRAMES + 1))
    writer = begin(tmp_path)
    with pytest.raises(InvalidPredictionError, match="wrong-frame-count: found 3 frames"):
        writer.add_file(*WHERE, path)
    path.write_bytes(good_video(MONO, 0, N_FRAMES))
    writer.add_file(*WHERE, path)
    writer.keep()
    with begin(tmp_path, resume=True) as again:
        assert not again.add_file(*WHERE, path)


def test_a_picture_that_does_not_decode_leaves_the_video_out(tmp_path: Path) -> None:
    place = write_pictures(tmp_path / "s", ENTRY, frames_of(ENTRY))
    whole = (place / "1.png").read_bytes()
    (place / "1.png").write_bytes(whole[: len(whole) // 2])
    writer = begin(tmp_path)
    checked = CheckedSource(source_in(tmp_path / "s"), PackWay.ENCODE, N_FRAMES)
    with pytest.raises(DecodeError, match=r"1\.png"):
        pack_video(writer, tmp_path / "s", checked, lambda: None)
    assert ENTRY in writer.missing()
    writer.keep()
    assert not (tmp_path / "a.zip.partial").exists()


def test_what_is_raised_at_a_frame_ends_the_video(tmp_path: Path) -> None:
    write_pictures(tmp_path / "s", ENTRY, frames_of(ENTRY))

    def stop() -> None:
        raise StoppedError

    writer = begin(tmp_path)
    checked = CheckedSource(source_in(tmp_path / "s"), PackWay.ENCODE, N_FRAMES)
    with pytest.raises(StoppedError):
        pack_video(writer, tmp_path / "s", checked, stop)
    assert ENTRY in writer.missing()
    writer.keep()


def test_as_many_videos_at_once_as_memory_allows() -> None:
    assert most_at_once("nvs", 2) == 2
    assert most_at_once("nvs", 64) == 7
    assert most_at_once("svfr", 64) == 1


def test_none_of_the_videos_at_once_is_refused_for_the_memory_of_the_first(tmp_path: Path) -> None:
    threads = 100
    writer = open_pack_writer(
        MONO,
        tmp_path / "a.zip",
        Lengths(N_FRAMES),
        resume=None,
        allow_partial=True,
        compensate_reader_bias=False,
        threads=threads,
    )
    assert isinstance(writer, MonoFlameAvatarSubmissionDataWriter)
    n_at_once = most_at_once(MONO, threads)
    assert 30 < n_at_once < threads
    for index, entry in enumerate(MONO_ENTRIES[:n_at_once]):
        sink = writer.open_video(*where_of(entry))
        if index < 4:  # its encoder is made, and has many threads
            sink.write(frames_of(entry)[0])
    writer.keep()


def test_what_is_raised_while_it_is_validated_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "source.mp4"
    path.write_bytes(good_video(MONO, 0, N_FRAMES))
    writer = begin(tmp_path)
    writer.add_file(*WHERE, path)

    def stop(done: int, total: int) -> None:
        assert 0 <= done <= total
        raise StoppedError

    with pytest.raises(StoppedError):
        writer.close(on_progress=stop)
    assert not (tmp_path / "a.zip").exists()
    with begin(tmp_path, resume=True) as again:
        assert again.resumed == {ENTRY.path}
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.read(ENTRY.path) == path.read_bytes()


# ---- meshes -------------------------------------------------------------------------------------


def pack_meshes(folder: Path, target: Path) -> None:
    with SVFRSubmissionDataWriter(target, allow_partial=True) as writer:
        for source in plan_pack("svfr", files_below(folder), None).sources.values():
            if source.sort is SourceSort.MESH:
                pack_mesh(writer, folder, source, lambda: None)


def test_a_ply_is_written_with_the_same_vertices_in_the_same_precision(tmp_path: Path) -> None:
    write_meshes(tmp_path / "s", 1)
    pack_meshes(tmp_path / "s", tmp_path / "a.zip")
    (path,) = (tmp_path / "s").rglob("mesh_posed.ply")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.namelist() == [POSED.path]
        assert packed.read(POSED.path) == path.read_bytes()


def test_an_obj_with_landmarks_keeps_its_numbers(tmp_path: Path) -> None:
    vertices, faces = small_head()
    place = tmp_path / "s" / POSED.path.rpartition("/")[0]
    place.mkdir(parents=True)
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in vertices + 1e-9]
    lines += [f"f {a} {b} {c}" for a, b, c in faces + 1]
    (place / "mesh_posed.obj").write_text("\n".join(lines), "ascii")
    (place / "landmarks_posed.npy").write_bytes(npy(landmarks()))
    pack_meshes(tmp_path / "s", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        packed.extractall(tmp_path / "out")
        marks = packed.read(POSED.path.replace("mesh_", "landmarks_").replace(".ply", ".npy"))
    mesh = trimesh.load_mesh(tmp_path / "out" / POSED.path, process=False)
    np.testing.assert_array_equal(mesh.vertices, np.round(vertices + 1e-9, 9))
    np.testing.assert_array_equal(mesh.faces, faces)
    assert marks == landmarks_bytes(landmarks())


def test_pickled_landmarks_are_never_loaded(tmp_path: Path) -> None:
    write_meshes(tmp_path / "s", 1)
    (mesh,) = (tmp_path / "s").rglob("mesh_posed.ply")
    mesh.with_name("landmarks_posed.npy").write_bytes(npy(np.array([{}], dtype=object)))
    with pytest.raises(DecodeError, match="pickled"):
        pack_meshes(tmp_path / "s", tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("task", "name"), [("nvs", "NVS"), (MONO, "MonoFlameAvatar"), ("svfr", "SVFR")]
)
def test_the_writer_is_the_task_s(tmp_path: Path, task: Task, name: str) -> None:
    writer = open_pack_writer(
        task,
        tmp_path / "a.zip",
        Lengths(N_FRAMES),
        resume=None,
        allow_partial=False,
        compensate_reader_bias=False,
        threads=1,
    )
    assert type(writer).__name__ == f"{name}SubmissionDataWriter"
    writer.keep()
