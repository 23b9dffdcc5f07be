"""``pack`` as a process of its own: what is told, what is written, and on again after an end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nersemble_async.submission.validation.validate import validate_zip
from tests.integration.test_cli_terminal import on_terminal
from tests.support.fetching import (
    Finished,
    command,
    command_environment,
    kill,
    run_command,
    started,
)
from tests.support.pack_folders import (
    MONO,
    MONO_ENTRIES,
    N_FRAMES,
    frames_of,
    place_of,
    write_lossless,
    write_meshes,
    write_pictures,
    write_source,
)
from tests.support.submission_files import good_video
from tests.support.submissions import (
    Lengths,
    picture,
    video_entries,
    write_metadata,
)
from tests.support.videos import decode_plainly

URL = "https://example.org/a-secret-1234567890abcdef"
FIRST = MONO_ENTRIES[:3]
LONG = 40
"""Frames of videos that take seconds."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing is fetched, and an URL that must not be told."""
    return command_environment(URL, tmp_path / "root")


@pytest.fixture
def metadata(tmp_path: Path) -> str:
    return str(write_metadata(tmp_path / "metadata.json", MONO, N_FRAMES))


def pack(
    environment: dict[str, str], source: Path, *more: str, task: str = MONO, target: str = "a.zip"
) -> Finished:
    path = source.parent / target
    done = run_command(("pack", task, str(source), str(path), *more), environment)
    assert "a-secret" not in done.out + done.err
    return done


def packed_by(environment: dict[str, str], source: Path, *more: str) -> Finished:
    return pack(environment, source, *more, "--allow-partial", "--format", "json")


# ---- what is written ----------------------------------------------------------------------------


def test_a_whole_nvs_submission_of_every_sort_of_source(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = tmp_path / "renders"
    lengths = write_metadata(tmp_path / "nvs.json", "nvs", 1)
    entries = video_entries("nvs")
    for entry in entries[3:]:
        write_pictures(source, entry, frames_of(entry, "nvs", 1))
    copied = place_of(source, entries[0]).with_suffix(".mp4")
    copied.with_suffix("").rmdir()
    copied.write_bytes(good_video("nvs", 1, 1))
    for entry, suffix in ((entries[1], ".mkv"), (entries[2], ".avi")):
        path = place_of(source, entry).with_suffix(suffix)
        path.with_suffix("").rmdir()
        codec = ("ffv1", "bgr0") if suffix == ".mkv" else ("huffyuv", "rgb24")
        write_lossless(path, frames_of(entry, "nvs", 1), *codec)
    (source / ".DS_Store").touch()
    done = pack(environment, source, "--metadata", str(lengths), task="nvs")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == (
        f"15 videos, 15 frames in {source}, 1 taken as it is, 2 from videos, 12 from pictures"
    )
    assert lines[1] == "  ignored: 1 file, .DS_Store"
    assert "Written in " in done.out
    assert "https://kaldir.vc.in.tum.de/nersemble_benchmark/" in done.out
    assert "\x1b" not in done.out
    report = validate_zip(tmp_path / "a.zip", "nvs", Lengths(1))
    assert report.errors == ()
    with zipfile.ZipFile(tmp_path / "a.zip") as written:
        assert written.read(entries[0].path) == copied.read_bytes()
        written.extractall(tmp_path / "out")
    for entry in (entries[1], entries[2], entries[3]):
        decoded = list(decode_plainly(tmp_path / "out" / entry.path))
        for frame, rendered in zip(decoded, frames_of(entry, "nvs", 1), strict=True):
            assert np.abs(frame.astype(int) - rendered).mean() < 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.zip", "nvs.json", "out", "renders"
    ]  # fmt: skip


def test_all_meshes_in_folders_of_the_dataset_s_names(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write_meshes(tmp_path / "meshes")
    done = pack(environment, source, "--format", "json", task="svfr")
    assert (done.code, done.err) == (0, "")
    document = done.json
    assert document["written"] is True
    assert {one["way"] for one in document["predictions"]} == {"mesh"}
    assert len(document["predictions"]) == 391
    assert document["size_bytes"] == (tmp_path / "a.zip").stat().st_size
    assert validate_zip(tmp_path / "a.zip", "svfr", None).valid


# ---- what is wrong ------------------------------------------------------------------------------


def test_everything_wrong_is_told_at_once_before_anything_is_written(
    tmp_path: Path, environment: dict[str, str], metadata: str
) -> None:
    source = write_source(tmp_path / "renders", FIRST)
    first, second, third = (place_of(source, entry) for entry in FIRST)
    Image.new("RGB", (300, 200)).save(first / "1.png")
    (second / "1.png").rename(second / "2.png")
    third.rename(third.with_name("cam_222200042"))
    path = write_lossless(source / "393/FREE/cam_222200046.mkv", frames_of(FIRST[0], n_frames=3))
    path.rename(source / MONO_ENTRIES[3].path.replace(".mp4", ".mkv"))
    done = pack(environment, source, "--metadata", metadata)
    assert (done.code, done.err) == (1, "")
    told = [line.strip() for line in done.out.splitlines()]
    relative = [place.relative_to(source).as_posix() for place in (first, second)]
    assert f"{relative[0]}/1.png: 300 x 200 pixels, not 512 x 512" in told
    assert any(
        line.startswith(f"{relative[1]}: 1 number is missing between 0.png and 2.png")
        for line in told
    )
    assert any("found camera 222200042; expected one of" in line for line in told)
    assert any("it has 3 frames, the sequence has 2 timesteps" in line for line in told)
    assert any(line.startswith("77 predictions missing: ") for line in told)
    assert told[-1].startswith(f"Not written: {tmp_path / 'a.zip'}; mend what is named above")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metadata.json", "renders"]


def test_missing_predictions_are_told_and_may_be_allowed(
    tmp_path: Path, environment: dict[str, str], metadata: str
) -> None:
    source = write_source(tmp_path / "renders", FIRST)
    done = pack(environment, source, "--metadata", metadata)
    assert (done.code, done.err) == (1, "")
    assert "77 predictions missing: " in done.out
    assert not (tmp_path / "a.zip.partial").exists()
    allowed = pack(environment, source, "--metadata", metadata, "--allow-partial")
    assert (allowed.code, allowed.err) == (0, "")
    assert "but not to be submitted" in allowed.out
    again = pack(environment, source, "--metadata", metadata, "--allow-partial", "--resume")
    assert "nothing to go on with" in again.out
    assert "hand it in" not in allowed.out
    with zipfile.ZipFile(tmp_path / "a.zip") as written:
        assert set(written.namelist()) == {entry.path for entry in FIRST}


def test_a_folder_without_predictions_is_no_submission(
    tmp_path: Path, environment: dict[str, str], metadata: str
) -> None:
    source = tmp_path / "renders"
    source.mkdir()
    done = packed_by(environment, source, "--metadata", metadata)
    assert done.code == 1
    assert done.json["written"] is False
    assert len(done.json["missing"]) == 80
    told = pack(environment, source, "--metadata", metadata).out
    assert "SOURCE holds the participants' folders, such as 393/FREE/cam_" in told


def test_a_damaged_picture_costs_its_video_and_no_other(
    tmp_path: Path, environment: dict[str, str], metadata: str
) -> None:
    source = write_source(tmp_path / "renders", FIRST)
    broken = place_of(source, FIRST[1]) / "1.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    done = packed_by(environment, source, "--metadata", metadata)
    assert done.code == 1
    document = done.json
    assert [failure["path"] for failure in document["failures"]] == [str(broken)]
    assert [one["packed"] for one in document["predictions"]] == [True, False, True]
    assert document["kept"] == str(tmp_path / "a.zip.partial")
    refused = pack(environment, source, "--metadata", metadata, "--allow-partial")
    assert refused.code == 1
    broken.write_bytes(whole)
    again = packed_by(environment, source, "--metadata", metadata, "--resume")
    assert again.code == 0
    assert [one["resumed"] for one in again.json["predictions"]] == [True, False, True]


def test_what_an_earlier_run_wrote_needs_no_source_any_more(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write_meshes(tmp_path / "meshes", 2)
    first, second = sorted(source.rglob("mesh_posed.ply"))
    whole = second.read_bytes()
    second.write_bytes(b"ply")
    how = ("--allow-partial", "--format", "json")
    assert pack(environment, source, *how, task="svfr").code == 1
    first.unlink()
    second.write_bytes(whole)
    done = pack(environment, source, *how, "--resume", task="svfr")
    assert done.code == 0
    assert len(done.json["predictions"]) == 1
    with zipfile.ZipFile(tmp_path / "a.zip") as written:
        assert len(written.namelist()) == 2


def test_restart_throws_away_what_an_earlier_run_left(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write_meshes(tmp_path / "meshes", 2)
    first, second = sorted(source.rglob("mesh_posed.ply"))
    whole = first.read_bytes()
    first.write_bytes(b"ply")
    how = ("--allow-partial", "--format", "json")
    assert pack(environment, source, *how, task="svfr").code == 1
    first.write_bytes(whole)
    done = pack(environment, source, *how, "--restart", task="svfr")
    assert done.code == 0
    assert [one["resumed"] for one in done.json["predictions"]] == [False, False]
    assert second.read_bytes() == whole


def test_wrong_meshes_are_told_all_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    source = write_meshes(tmp_path / "meshes", 3)
    first, second, _ = sorted(source.rglob("mesh_posed.ply"))
    first.write_bytes(b"ply")
    lines = ["v 0 0 0", "v 0 1 0", "v 1 0 0", "f 1 2 3"]
    second.with_suffix(".obj").write_text("\n".join(lines), "ascii")
    second.unlink()
    done = pack(environment, source, "--allow-partial", "--format", "json", task="svfr")
    assert done.code == 1
    reasons = [failure["reason"] for failure in done.json["failures"]]
    assert len(reasons) == 2
    assert "the mesh does not parse" in " ".join(reasons)
    assert "give now_landmarks (to `pack`: landmarks_posed.npy" in " ".join(reasons)


def test_what_is_wrong_with_many_alike_is_told_once(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write_meshes(tmp_path / "meshes", 3)
    for mesh in source.rglob("mesh_posed.ply"):
        mesh.write_bytes(b"ply")
    done = pack(environment, source, "--allow-partial", task="svfr")
    assert done.code == 1
    assert "3 predictions could not be packed:" in done.out
    assert done.out.count("the mesh does not parse") == 1
    assert "(2 more alike)" in done.out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--resume", "--restart"], "give one of them"),
        (["--threads", "0"], "--threads"),
        (["--metadata", "nowhere.json"], "nowhere.json"),
    ],
)
def test_a_command_that_cannot_be_meant_is_a_usage_error(
    tmp_path: Path, environment: dict[str, str], more: list[str], told: str
) -> None:
    done = pack(environment, write_source(tmp_path / "renders", []), *more)
    assert done.code == 2
    assert told in done.err


def test_a_target_that_is_no_zip_and_an_unknown_task_are_usage_errors(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write_source(tmp_path / "renders", [])
    assert pack(environment, source, target="a.tar").code == 2
    assert pack(environment, source, task="avatar").code == 2


def test_without_lengths_it_says_where_they_come_from(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    source = write_source(tmp_path / "renders", FIRST[:1])
    offline = {name: value for name, value in environment.items() if name[-4:] != "_URL"}
    done = pack({**offline, "HOME": str(tmp_path / "home")}, source)
    assert done.code == 2
    assert "--metadata" in done.err


# ---- on again -----------------------------------------------------------------------------------


@pytest.fixture
def long_source(tmp_path: Path) -> Path:
    """Three videos that take a second each."""
    write_metadata(tmp_path / "metadata.json", MONO, LONG)
    source = tmp_path / "renders"
    for number, entry in enumerate(FIRST):
        images = [picture((512, 512), number, index) for index in range(2)]
        place = write_pictures(source, entry, images)
        for index in range(2, LONG):
            os.link(place / f"{index % 2}.png", place / f"{index}.png")
    return source


def long_arguments(source: Path, *more: str) -> tuple[str, ...]:
    """One video at a time, so that there is a second one to be interrupted in."""
    where = ("pack", MONO, str(source), str(source.parent / "a.zip"), "--threads", "1")
    return (*where, "--metadata", str(source.parent / "metadata.json"), "--allow-partial", *more)


def wait_for_an_entry(process: subprocess.Popen[str], folder: Path) -> None:
    """Until the journal tells of one; of what is in the zip at that instant it knows."""
    journal = folder / "a.zip.partial.journal"
    while not journal.exists() or FIRST[0].path not in journal.read_text("utf-8"):
        assert process.poll() is None
        time.sleep(0.005)  # leaves the processor to the process that is watched


def assert_goes_on(environment: dict[str, str], source: Path, before: bytes) -> None:
    """The first video is not encoded again, the others are."""
    refused = run_command(long_arguments(source), environment)
    assert refused.code == 1
    assert "--resume" in refused.err
    done = run_command(long_arguments(source, "--resume", "--format", "json"), environment)
    assert done.code == 0
    resumed = [one["resumed"] for one in done.json["predictions"]]
    assert resumed[0] is True
    assert resumed[2] is False
    assert (source.parent / "a.zip").read_bytes().startswith(before)
    assert sorted(path.name for path in source.parent.glob("a.zip*")) == ["a.zip"]


def test_ctrl_c_keeps_what_is_done(environment: dict[str, str], long_source: Path) -> None:
    folder = long_source.parent
    with started(long_arguments(long_source, "--format", "json"), environment) as process:
        wait_for_an_entry(process, folder)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines() == [
        "stopping; what is here is kept (once more: at once)",
        "interrupted; run the same command again with --resume to go on",
    ]
    document = Finished(130, out, err).json
    assert document["exit_code"] == 130
    assert document["kept"] == str(folder / "a.zip.partial")
    assert document["predictions"][0]["packed"] is True
    assert document["predictions"][2]["packed"] is False
    assert not (folder / "a.zip.partial.videos").exists()
    assert_goes_on(environment, long_source, (folder / "a.zip.partial").read_bytes())


def test_kill_9_keeps_what_is_done(environment: dict[str, str], long_source: Path) -> None:
    with started(long_arguments(long_source), environment) as process:
        wait_for_an_entry(process, long_source.parent)
        kill(process)
    partial = (long_source.parent / "a.zip.partial").read_bytes()
    assert FIRST[0].path.encode() in partial[:200]
    assert_goes_on(environment, long_source, partial[: partial.index(b"moov")])


def test_frames_are_counted_on_a_terminal(environment: dict[str, str], long_source: Path) -> None:
    arguments = command(*long_arguments(long_source))
    with on_terminal(arguments, environment) as terminal:
        terminal.read_until("/120 frames")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == 130
    assert "again with --resume to go on" in terminal.shown
    assert "\x1b[?25h" in terminal.shown  # the cursor is back
