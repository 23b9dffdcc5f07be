"""The content check of a fetched file: valid ones pass, hostile bytes end in one DecodeError."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nersemble_async.benchmark.spec import BENCHMARKS, FileKind
from nersemble_async.errors import DecodeError
from nersemble_async.formats.content import check_content
from nersemble_async.formats.image.picture import write_png
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, write_pointcloud
from nersemble_async.formats.video.encoder import VideoEncoder

NVS_METADATA = {"sequences": {"388": {"sequence_name": "GLASSES", "timesteps": [0, 1]}}}
MONO_METADATA = {
    "participants_metadata": {"393": {"sequences_metadata": {"FREE": {"n_frames": 2}}}}
}
CAMERAS = {"world_2_cam": {"1": np.eye(4).tolist()}, "intrinsics": {"1": np.eye(3).tolist()}}


def _write_video(path: Path) -> None:
    with VideoEncoder(path, (16, 16), Fraction(73)) as encoder:
        for index in range(5):
            encoder.write(np.full((16, 16, 3), 40 * index, np.uint8))


def _write_cloud(path: Path) -> None:
    ones = np.ones((6, 3), np.float32)
    write_pointcloud(path, Pointcloud(ones, ones, ones))


WRITERS: dict[FileKind, Callable[[Path], object]] = {
    FileKind.JSON: lambda path: path.write_text(json.dumps(NVS_METADATA)),
    FileKind.MP4: _write_video,
    FileKind.PCD: _write_cloud,
    FileKind.NPZ: lambda path: np.savez(path, shape=np.zeros((1, 300)), frames=np.arange(3)),
    FileKind.PNG: lambda path: write_png(path, np.full((8, 8, 3), 77, np.uint8)),
}


@pytest.fixture(scope="module", params=WRITERS, ids=str)
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FileKind, bytes, Path]:
    kind: FileKind = request.param
    folder = tmp_path_factory.mktemp(kind)
    path = folder / f"metadata.{kind}"
    WRITERS[kind](path)
    return kind, path.read_bytes(), folder / f"damaged.{kind}"


def test_valid_files_pass_under_any_name(sample: tuple[FileKind, bytes, Path]) -> None:
    kind, data, path = sample
    part_file = path.with_name("0123456789abcdef.part")
    part_file.write_bytes(data)
    check_content(part_file, kind, 5)
    check_content(part_file, kind, None)


def test_other_kinds_are_refused(sample: tuple[FileKind, bytes, Path]) -> None:
    kind, data, path = sample
    for other in set(WRITERS) - {kind}:
        path.write_bytes(data)
        with pytest.raises(DecodeError):
            check_content(path, other, None)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_hostile_bytes_end_in_a_decode_error_or_pass(
    sample: tuple[FileKind, bytes, Path], data: st.DataObject
) -> None:
    kind, valid, path = sample
    damaged = bytearray(valid)
    position = data.draw(st.integers(0, len(valid) - 1), label="position")
    replacement = data.draw(st.binary(max_size=16), label="replacement")
    removed = data.draw(st.integers(0, 16), label="removed")
    damaged[position : position + removed] = replacement
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)), label="kept")])
    # Anything but a DecodeError, a crash of the interpreter included, fails the test.
    with suppress(DecodeError):
        check_content(path, kind, 5)


def test_only_kinds_of_the_dataset_are_known(tmp_path: Path) -> None:
    dataset = {asset.kind for spec in BENCHMARKS.values() for asset in spec.assets}
    assert {*dataset, FileKind.JSON} == set(WRITERS)
    for kind in set(FileKind) - set(WRITERS):
        with pytest.raises(ValueError, match=f"is a {kind}"):
            check_content(tmp_path / "a", kind, None)


@pytest.mark.parametrize("kind", WRITERS, ids=str)
def test_an_error_page_is_not_content(tmp_path: Path, kind: FileKind) -> None:
    path = tmp_path / f"camera_params.{kind}"
    for page in (b"", b"<!DOCTYPE html><html><title>404</title></html>", bytes(5000)):
        path.write_bytes(page)
        with pytest.raises(DecodeError):
            check_content(path, kind, None)


def test_wrong_frame_count(tmp_path: Path) -> None:
    path = tmp_path / "cam_1.mp4"
    _write_video(path)
    with pytest.raises(DecodeError, match=r"has 5 frames, metadata\.json says 6"):
        check_content(path, FileKind.MP4, 6)


@pytest.mark.parametrize(
    ("relative_path", "content"),
    [
        ("nvs/metadata.json", NVS_METADATA),
        ("mono_flame_avatar/metadata.json", MONO_METADATA),
        ("nvs/388/calibration/camera_params.json", CAMERAS),
    ],
)
def test_json_is_held_against_the_schema_of_its_place(
    tmp_path: Path, relative_path: str, content: object
) -> None:
    path = tmp_path / "x.part"
    path.write_text(json.dumps(content))
    check_content(path, FileKind.JSON, None, relative_path)
    for other in (NVS_METADATA, MONO_METADATA, CAMERAS):
        if other != content:
            path.write_text(json.dumps(other))
            with pytest.raises(DecodeError):
                check_content(path, FileKind.JSON, None, relative_path)


def test_deep_and_endless_json(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    path.write_bytes(b"[" * 200_000)
    with pytest.raises(DecodeError):
        check_content(path, FileKind.JSON, None)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(DecodeError, match="more bytes than any"):
        check_content(path, FileKind.JSON, None)


def test_the_check_loads_no_codec(tmp_path: Path) -> None:
    path = tmp_path / "cam_1.mp4"
    _write_video(path)
    program = (
        "import sys; from pathlib import Path; "
        "from nersemble_async.benchmark.spec import FileKind; "
        "from nersemble_async.formats.content import check_content; "
        "check_content(Path(sys.argv[1]), FileKind.MP4, 5); "
        "print([m for m in ('numpy', 'av', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_frames_of_a_fragmented_video_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "cam_1.mp4"
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(73))
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for index in range(5):
            image = np.full((16, 16, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    check_content(path, FileKind.MP4, 5)
    with pytest.raises(DecodeError, match="has 5 frames"):
        check_content(path, FileKind.MP4, 6)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DecodeError, match="truncated"):
        check_content(path, FileKind.MP4, 5)
