"""Whether a source can be packed, told before anything is encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.submission.packing.checks import CheckedSource, PackWay, check_source
from nersemble_async.submission.packing.pack import files_below
from nersemble_async.submission.packing.sources import plan_pack
from tests.support.pack_folders import (
    MONO,
    MONO_ENTRIES,
    N_FRAMES,
    frames_of,
    write_lossless,
    write_pictures,
)
from tests.support.submission_files import good_video, with_zeroed_frames
from tests.support.submissions import Lengths, RgbImage

ENTRY = MONO_ENTRIES[0]
VIDEO = ENTRY.path.removesuffix(".mp4")
LENGTHS: TaskMetadata = Lengths(N_FRAMES)


def check(folder: Path, *, compensate_reader_bias: bool = False) -> CheckedSource | dict[str, str]:
    """The one source in the folder, or problems by path."""
    (source,) = plan_pack(MONO, files_below(folder), LENGTHS).sources.values()
    found = check_source(
        folder, source, MONO, LENGTHS, compensate_reader_bias=compensate_reader_bias
    )
    if isinstance(found, CheckedSource):
        return found
    return {problem.path: problem.reason for problem in found}


def checked(folder: Path, *, compensate_reader_bias: bool = False) -> CheckedSource:
    found = check(folder, compensate_reader_bias=compensate_reader_bias)
    assert isinstance(found, CheckedSource)
    return found


def test_pictures_are_encoded(tmp_path: Path) -> None:
    write_pictures(tmp_path, ENTRY, frames_of(ENTRY))
    found = checked(tmp_path)
    assert (found.way, found.n_frames, found.warning) == (PackWay.ENCODE, N_FRAMES, None)


def test_jpegs_are_encoded_with_a_warning(tmp_path: Path) -> None:
    place = write_pictures(tmp_path, ENTRY, [])
    for index, image in enumerate(frames_of(ENTRY)):
        Image.fromarray(image).save(place / f"frame_{index:05d}.JPG", format="JPEG")
    found = checked(tmp_path)
    assert (found.way, found.n_frames) == (PackWay.ENCODE, N_FRAMES)
    assert found.warning == "JPEG is lossy: render to PNG to lose nothing"


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (Image.new("RGB", (510, 512)), "510 x 512 pixels, not 512 x 512"),
        (
            Image.new("RGBA", (512, 512)),
            "it has an alpha channel (RGBA): composite them on white and write 8-bit RGB",
        ),
        (Image.new("L", (512, 512)), "it is grey, not RGB of 8 bits a channel"),
        (
            Image.new("P", (512, 512)),
            "it is a palette picture, not RGB of 8 bits a channel",
        ),
        (
            Image.fromarray(np.zeros((512, 512), np.uint16)),
            "it is I;16 of 16 bits, not RGB of 8 bits a channel",
        ),
    ],
)
def test_a_picture_that_cannot_be_a_frame_is_named(
    tmp_path: Path, picture: Image.Image, told: str
) -> None:
    place = write_pictures(tmp_path, ENTRY, frames_of(ENTRY))
    picture.save(place / "1.png")
    assert check(tmp_path) == {f"{VIDEO}/1.png": told}


def test_a_picture_that_viewers_are_to_turn_is_named(tmp_path: Path) -> None:
    """Its pixels would be packed as they are stored, upside down."""
    place = write_pictures(tmp_path, ENTRY, frames_of(ENTRY))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    Image.new("RGB", (512, 512)).save(place / "1.png", exif=exif)
    told = "its EXIF orientation asks viewers to turn it: write it as it is to be seen"
    assert check(tmp_path) == {f"{VIDEO}/1.png": told}


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    place = write_pictures(tmp_path, ENTRY, frames_of(ENTRY))
    (place / "0.png").write_bytes(b"")
    assert check(tmp_path) == {f"{VIDEO}/0.png": "not a PNG or JPEG"}


def test_one_fault_of_many_pictures_is_told_with_the_first_three(tmp_path: Path) -> None:
    lengths = Lengths(7)
    write_pictures(tmp_path, ENTRY, [frames_of(ENTRY)[0][:500]] * 7)
    (source,) = plan_pack(MONO, files_below(tmp_path), lengths).sources.values()
    problems = check_source(tmp_path, source, MONO, lengths)
    assert isinstance(problems, list)
    assert [problem.path for problem in problems] == [f"{VIDEO}/{i}.png" for i in range(3)] + [
        VIDEO
    ]
    assert problems[-1].reason == "4 more pictures: 512 x 500 pixels, not 512 x 512"


def write_mp4(folder: Path, data: bytes) -> None:
    path = folder / ENTRY.path
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def test_an_mp4_that_is_right_is_copied_unless_levels_are_raised(tmp_path: Path) -> None:
    write_mp4(tmp_path, good_video(MONO, 0, N_FRAMES))
    found = checked(tmp_path)
    assert (found.way, found.n_frames, found.warning) == (PackWay.COPY, N_FRAMES, None)
    anew = checked(tmp_path, compensate_reader_bias=True)
    assert anew.way is PackWay.ENCODE
    assert anew.warning is not None
    assert "since its levels are to be raised" in anew.warning


def test_another_rate_is_mended_with_a_warning(tmp_path: Path) -> None:
    write_lossless(tmp_path / ENTRY.path, frames_of(ENTRY), "libx264", "yuv420p")
    found = checked(tmp_path)
    assert found.way is PackWay.ENCODE
    assert found.warning is not None
    assert found.warning.startswith("h264 is lossy, and it is encoded a second time, since wrong-f")


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format", "options"),
    [
        (".mkv", "ffv1", "bgr0", {}),
        (".mp4", "libx264", "yuv420p", {"qp": "0"}),
        (".mp4", "libx264rgb", "rgb24", {"crf": "0"}),
        (".mov", "png", "rgb24", {}),
    ],
)
def test_a_lossless_video_is_encoded_without_a_warning(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    path = tmp_path / f"{VIDEO}{suffix}"
    write_lossless(path, frames_of(ENTRY), codec, pixel_format, options)
    found = checked(tmp_path)
    assert (found.way, found.n_frames, found.warning) == (PackWay.ENCODE, N_FRAMES, None)


def test_a_lossy_video_that_is_no_mp4_is_warned_of(tmp_path: Path) -> None:
    write_lossless(tmp_path / f"{VIDEO}.webm", frames_of(ENTRY), "libvpx-vp9", "yuv420p")
    warning = checked(tmp_path).warning
    assert warning is not None
    assert warning.startswith("vp9 is lossy")


def small(images: list[RgbImage]) -> list[RgbImage]:
    return [image[:400, :300] for image in images]


def test_size_and_number_of_frames_of_a_video_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / f"{VIDEO}.mkv"
    write_lossless(path, small(frames_of(ENTRY, n_frames=3)))
    (source,) = plan_pack(MONO, files_below(tmp_path), LENGTHS).sources.values()
    problems = check_source(tmp_path, source, MONO, LENGTHS)
    assert isinstance(problems, list)
    assert [problem.reason for problem in problems] == [
        "its frames are 300 x 400 pixels, not 512 x 512",
        "it has 3 frames, the sequence has 2 timesteps",
    ]


def test_alpha_and_grey_in_a_video_are_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{VIDEO}.mov"
    write_lossless(path, frames_of(ENTRY), "png", "rgba")
    assert "composite them on white" in str(check(tmp_path))
    write_lossless(path, frames_of(ENTRY), "png", "gray")
    assert "its frames are grey (gray), not RGB" in str(check(tmp_path))


@pytest.mark.parametrize(
    "data", [b"", b"not a video", with_zeroed_frames(good_video(MONO, 0, N_FRAMES))]
)
def test_a_broken_video_is_a_problem(tmp_path: Path, data: bytes) -> None:
    write_mp4(tmp_path, data)
    found = check(tmp_path)
    assert isinstance(found, dict)
    assert list(found) == [ENTRY.path]
