"""The official readers without an event loop: what they give, and what of broken content comes."""

from __future__ import annotations

import gc
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.benchmark.metadata import DocumentedMetadata, metadata_from_spec
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import (
    ConfigurationError,
    DecodeError,
    NersembleError,
    SelectionError,
    SubmissionError,
)
from nersemble_async.formats.image.official_image import official_image
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.reading import entry_video, video_readers
from nersemble_async.submission.reading.blocking_readers import (
    MonoFlameAvatarSubmissionDataReader,
    NVSSubmissionDataReader,
    SVFRSubmissionDataReader,
)
from nersemble_async.submission.zips.zip_entries import EntryError
from tests.support.streams import _break_frame
from tests.support.submissions import (
    FACES,
    IMAGE,
    LANDMARKS,
    N_FRAMES,
    VERTICES,
    VIDEO,
    VIDEO_PATH,
    mesh_bytes,
    npy_bytes,
    video_bytes,
    write_submission,
)
from tests.support.videos import RgbImage, decode_all
from tests.support.zips import make_zip, stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submissions")
    video = video_bytes(folder)  # once: under load x264 may encode it otherwise the next time
    write_submission(folder / "nvs.zip", "nvs", ".mp4", video)
    write_submission(folder / "few.zip", "nvs", ".mp4", video, 4)
    names = [f"017/{IMAGE[1]}_078_{IMAGE[3]}/{kind}" for kind in ("mesh_posed", "landmarks_posed")]
    mesh, landmarks = mesh_bytes(folder), npy_bytes(LANDMARKS)
    files = [(f"{names[0]}.ply", mesh), (f"{names[1]}.npy", landmarks)]
    stored(folder / "svfr.zip", make_zip(files))
    return folder


@pytest.fixture(scope="module")
def frames(folder: Path) -> list[RgbImage]:
    return decode_all(folder / f"{N_FRAMES}.mp4")


def same(frames: list[RgbImage], expected: list[RgbImage]) -> bool:
    return len(frames) == len(expected) and all(map(np.array_equal, frames, expected))


# ---- videos -------------------------------------------------------------------------------------


def test_a_video_is_loaded_whole_or_in_parts(folder: Path, frames: list[RgbImage]) -> None:
    with NVSSubmissionDataReader(folder / "nvs.zip") as reader:
        loaded = reader.load_video(*VIDEO)
        assert same(loaded, frames)
        assert loaded[0].dtype == np.uint8
        assert same(reader.load_video(*VIDEO, every_nth_frame=3), frames[::3])
        assert same(reader.load_video(*VIDEO, timestep=5), frames[5:6])
        scaled = [official_image(f, as_uint8=True, scale=0.5) for f in frames[::4]]
        assert scaled[0].shape == (24, 32, 3)
        assert same(reader.load_video(*VIDEO, every_nth_frame=4, scale=0.5), scaled)  # type: ignore[arg-type]


def test_a_video_is_iterated_without_a_file_on_disk(
    folder: Path, frames: list[RgbImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with NVSSubmissionDataReader(folder / "nvs.zip") as reader:
        assert same(list(reader.iterate_video(*VIDEO, every_nth_frame=2)), frames[::2])
        opened = reader.iterate_video(*VIDEO)
        assert list(tmp_path.iterdir()) == []
        assert np.array_equal(next(opened), frames[0])
    # The zip is closed, the video is not.
    assert same(list(opened), frames[1:])


def test_an_iterator_that_is_forgotten_closes_its_video(folder: Path) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with NVSSubmissionDataReader(folder / "nvs.zip") as reader:
        for _ in itertools.islice(reader.iterate_video(*VIDEO), 2):
            pass
        with pytest.raises(SelectionError, match="every_nth_frame is 0"):
            reader.iterate_video(*VIDEO, every_nth_frame=0)
        unused = reader.iterate_video(*VIDEO)
        del unused
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_what_a_complete_zip_holds(folder: Path) -> None:
    spec = BENCHMARKS["nvs"]
    serials = list(spec.submission_serials)
    with NVSSubmissionDataReader(str(folder / "nvs.zip")) as reader:
        overview = reader.get_file_overview()
        names = spec.submission_sequences
        assert overview == {p: dict.fromkeys(names[p], serials) for p in names}
        assert all(reader.is_complete(p, name) for p in names for name in names[p])
        assert not reader.is_complete(388, "FREE")
        assert not reader.is_complete(17, "GLASSES")
        assert reader.list_expected_files() == list(expected_entries("nvs"))
        assert reader.get_video_path(*VIDEO) == VIDEO_PATH
        assert reader.get_expected_resolution() == (1100, 1604)


def test_what_an_incomplete_zip_holds(folder: Path) -> None:
    with NVSSubmissionDataReader(folder / "few.zip") as reader:
        (first, second) = reader.get_file_overview()
        (name,) = BENCHMARKS["nvs"].submission_sequences[first]
        assert reader.is_complete(first, name)
        (name,) = BENCHMARKS["nvs"].submission_sequences[second]
        assert not reader.is_complete(second, name)


def test_a_mono_submission_is_complete_by_participant(tmp_path: Path) -> None:
    of_all = write_submission(tmp_path / "all.zip", "mono_flame_avatar", ".mp4", b"")
    of_one = write_submission(tmp_path / "one.zip", "mono_flame_avatar", ".mp4", b"", 16)
    first, second, *_ = BENCHMARKS["mono_flame_avatar"].participants
    with MonoFlameAvatarSubmissionDataReader(of_all) as reader:
        assert reader.is_complete()
        assert reader.is_complete(second)
        assert not reader.is_complete(388)
    with MonoFlameAvatarSubmissionDataReader(of_one) as reader:
        assert not reader.is_complete()
        assert reader.is_complete(first)
        assert not reader.is_complete(participant_id=second)
        assert reader.get_expected_resolution() == (512, 512)


def test_names_that_only_resemble_a_video_are_not_listed(tmp_path: Path) -> None:
    others = [
        "0388/A/cam_1.mp4",
        "17/A/cam_1.mp4",
        f"x/{VIDEO_PATH}",
        f"{VIDEO_PATH}.bak",
        "388/A/1.mp4",
    ]
    path = stored(
        tmp_path / "a.zip", make_zip((name, b"") for name in [*others, VIDEO_PATH, VIDEO_PATH])
    )
    with NVSSubmissionDataReader(path) as reader:
        assert reader.get_file_overview() == {388: {"GLASSES": ["222200037"]}}


def test_lengths_come_from_the_metadata(folder: Path, tmp_path: Path) -> None:
    path = folder / "nvs.zip"
    with NVSSubmissionDataReader(path, benchmark_folder=tmp_path) as reader:
        lengths = reader.list_expected_video_lengths()
        assert list(lengths) == reader.list_expected_files()
        documented = metadata_from_spec("nvs").n_frames(388, "GLASSES")
        assert lengths[VIDEO_PATH] == documented
    with (
        NVSSubmissionDataReader(path, metadata=DocumentedMetadata({})) as reader,
        pytest.raises(ConfigurationError, match="the metadata given does not say how long"),
    ):
        reader.list_expected_video_lengths()
    with (
        MonoFlameAvatarSubmissionDataReader(path, benchmark_folder=tmp_path) as mono,
        pytest.raises(ConfigurationError, match="metadata="),
    ):
        mono.list_expected_video_lengths()


def test_what_is_not_there_is_told(folder: Path) -> None:
    with NVSSubmissionDataReader(folder / "few.zip") as reader:
        with pytest.raises(SelectionError, match=r"has no entry '999/X/cam_1\.mp4'; it has 4 entr"):
            reader.load_video(999, "X", "1")
        with pytest.raises(SelectionError, match=r"a participant is a number \(int\), not '999'"):
            reader.load_video("999", "X", "1")  # type: ignore[arg-type]
        with pytest.raises(SelectionError, match="cannot be part of a path"):
            reader.load_video(388, "../X", "1")
        with pytest.raises(SelectionError, match=r"mp4 has no frame 7; it has 7, 0 to"):
            reader.load_video(*VIDEO, timestep=7)
        with pytest.raises(SelectionError, match="has no frame -1"):
            reader.load_video(*VIDEO, timestep=-1)
        with pytest.raises(SelectionError, match="not both"):
            reader.load_video(*VIDEO, timestep=1, every_nth_frame=1)
        with pytest.raises(SelectionError, match="every_nth_frame is 0"):
            reader.load_video(*VIDEO, every_nth_frame=0)
        with pytest.raises(ValueError, match="scale"):
            reader.load_video(*VIDEO, scale=-1)


def test_a_video_that_does_not_fit_into_memory_is_refused_before_it_is_decoded(
    folder: Path, frames: list[RgbImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_readers, "_memory_bytes", lambda: 4 * 48 * 64 * 3)
    with NVSSubmissionDataReader(folder / "few.zip") as reader:
        with pytest.raises(
            SubmissionError, match=r"7 frames .* more than there is memory; iterate"
        ):
            reader.load_video(*VIDEO)
        assert same(reader.load_video(*VIDEO, every_nth_frame=2), frames[::2])
        assert same(list(reader.iterate_video(*VIDEO)), frames)


@pytest.mark.parametrize("data", [b"", b"abc", bytes(5000), b"\0\0\0\x20ftypisom" + bytes(5000)])
def test_what_is_no_video_names_the_entry(tmp_path: Path, data: bytes) -> None:
    path = write_submission(tmp_path / "a.zip", "nvs", ".mp4", data)
    with NVSSubmissionDataReader(path) as reader, pytest.raises(DecodeError) as caught:
        reader.load_video(*VIDEO)
    assert caught.value.path == f"{path}/{VIDEO_PATH}"


def test_frames_of_unreasonable_size_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_video, "MOST_PIXELS", 64 * 48 - 1)
    with (
        NVSSubmissionDataReader(folder / "nvs.zip") as reader,
        pytest.raises(DecodeError, match="its frames have 64 x 48 pixels"),
    ):
        reader.load_video(*VIDEO)


def test_a_damaged_frame_is_told_after_those_before(
    folder: Path, frames: list[RgbImage], tmp_path: Path
) -> None:
    _break_frame(folder / f"{N_FRAMES}.mp4", tmp_path / "broken.mp4", 4)
    data = (tmp_path / "broken.mp4").read_bytes()
    path = write_submission(tmp_path / "a.zip", "nvs", ".mp4", data)
    seen: list[RgbImage] = []
    with NVSSubmissionDataReader(path) as reader:
        with pytest.raises(DecodeError) as caught:
            seen.extend(reader.iterate_video(*VIDEO))
        assert caught.value.frame is not None
        assert caught.value.path == f"{path}/{VIDEO_PATH}"
        assert same(seen, frames[: caught.value.frame])
        assert 0 < len(seen) <= 4
        with pytest.raises(DecodeError):
            reader.load_video(*VIDEO)


def test_a_damaged_zip_is_told(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "few.zip").read_bytes())
    data[500] ^= 1
    with NVSSubmissionDataReader(stored(tmp_path / "a.zip", data)) as reader:
        (first, *_) = reader.get_file_overview()
        (name,) = BENCHMARKS["nvs"].submission_sequences[first]
        with pytest.raises(EntryError) as caught:
            reader.load_video(first, name, BENCHMARKS["nvs"].submission_serials[0])
    assert caught.value.rule == "crc-error"
    with pytest.raises(SubmissionError):
        NVSSubmissionDataReader(stored(tmp_path / "b.zip", b"PK"))


# ---- meshes -------------------------------------------------------------------------------------


def test_a_mesh_keeps_every_vertex(folder: Path) -> None:
    with SVFRSubmissionDataReader(folder / "svfr.zip") as reader:
        assert reader.has_posed_reconstructions()
        assert not reader.has_neutral_reconstructions()
        mesh = reader.load_posed_mesh(*IMAGE)
        assert np.array_equal(mesh.vertices, VERTICES)
        assert np.array_equal(mesh.faces, FACES)
        landmarks = reader.load_posed_landmarks(*IMAGE)
        assert landmarks.dtype == np.float64
        assert np.array_equal(landmarks, LANDMARKS)
        for load in (reader.load_neutral_mesh, reader.load_neutral_landmarks):
            with pytest.raises(SelectionError, match=r"has no entry '017/EXP.*_neutral"):
                load(*IMAGE)
        with pytest.raises(SelectionError, match="cannot be part of a path"):
            reader.load_posed_mesh(17, "..", 78, "222200045")


@pytest.mark.parametrize(
    "data",
    [
        npy_bytes(np.array([{"a": 1}], object)),
        b"cos\nsystem\n(S'false'\ntR.",
        b"",
        b"\x93NUMPY\x01\0\xff\xff",
        npy_bytes(LANDMARKS)[:-1],
        npy_bytes(LANDMARKS).replace(b"(7, 3)", b"(9**9999,3)"[:6]),
        npy_bytes(LANDMARKS).replace(b"(7, 3)", b"(-7,3)"),
    ],
)
def test_landmarks_are_never_unpickled(tmp_path: Path, data: bytes) -> None:
    path = write_submission(tmp_path / "a.zip", "svfr", "landmarks_posed.npy", data)
    with SVFRSubmissionDataReader(path) as reader:
        assert not reader.has_posed_reconstructions()
        with pytest.raises(DecodeError, match=r"a\.zip/017/.*npy: the landmarks do not parse: ."):
            reader.load_posed_landmarks(*IMAGE)


@given(
    st.integers(0, 400),
    st.binary(min_size=1, max_size=9),
    st.sampled_from(["mesh_posed.ply", "landmarks_posed.npy"]),
)
def test_of_changed_content_nothing_but_our_errors_comes(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, place: int, new: bytes, suffix: str
) -> None:
    data = mesh_bytes(folder) if suffix.endswith("ply") else npy_bytes(LANDMARKS)
    place %= len(data)
    data = data[:place] + new + data[place + len(new) :]
    target = tmp_path_factory.getbasetemp() / "changed.zip"
    path = write_submission(target, "svfr", suffix, data, 1)
    with SVFRSubmissionDataReader(path) as reader:
        key = next(iter(BENCHMARKS["svfr"].image_keys[17]))
        load = reader.load_posed_mesh if suffix.endswith("ply") else reader.load_posed_landmarks
        try:
            loaded = load(17, key.sequence_name, key.timestep, key.serial)
        except NersembleError:
            return
        assert loaded is not None
