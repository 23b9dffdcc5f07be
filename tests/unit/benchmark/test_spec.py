"""The three benchmarks: facts, and paths for dataset and submission."""

from __future__ import annotations

import ast
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

import nersemble_async
from nersemble_async.benchmark.spec import (
    BENCHMARKS,
    SERIALS,
    TASKS,
    BenchmarkSpec,
    FileKind,
    Scope,
)
from nersemble_async.errors import SelectionError

NVS, MONO, SVFR = (BENCHMARKS[task] for task in TASKS)
SPECS = pytest.mark.parametrize("spec", BENCHMARKS.values(), ids=lambda spec: spec.task)


def test_there_are_three_in_order() -> None:
    assert TASKS == ("nvs", "mono_flame_avatar", "svfr")
    assert tuple(BENCHMARKS) == TASKS
    assert [spec.task for spec in BENCHMARKS.values()] == list(TASKS)


def test_sizes_rates_and_metadata() -> None:
    assert [spec.frame_size for spec in BENCHMARKS.values()] == [
        (1100, 1604),
        (512, 512),
        (512, 512),
    ]
    rates = [spec.submission_rate for spec in BENCHMARKS.values()]
    assert rates == [Fraction(73), Fraction(243, 10), None]
    assert [spec.metadata_path for spec in BENCHMARKS.values()] == [
        "nvs/metadata.json",
        "mono_flame_avatar/metadata.json",
        None,
    ]


def test_nvs_counts() -> None:
    assert sum(NVS.n_frames.values()) == 3516
    assert dict(NVS.n_train_frames) == {388: 1118, 422: 517, 443: 1108, 445: 514, 475: 259}
    assert len(NVS.train_serials) == 13
    assert NVS.submission_serials == NVS.hold_out_serials == ("222200046", "222200037", "222200039")
    assert not set(NVS.train_serials) & set(NVS.hold_out_serials)


def test_mono_counts() -> None:
    for participant_id in MONO.participants:
        assert len(MONO.train_sequences[participant_id]) == 18
        assert len(MONO.test_sequences[participant_id]) == 4
        assert MONO.submission_sequences[participant_id] == MONO.test_sequences[participant_id]
        assert len(MONO.sequences(participant_id)) == 22
    assert sum(MONO.n_train_frames.values()) == 12013
    assert sum(MONO.n_test_frames.values()) == 3105
    assert MONO.submission_serials == ("222200037", "222200046", "220700191", "222200039")


def test_svfr_counts() -> None:
    assert len(SVFR.participants) == 20
    assert tuple(SVFR.image_keys) == SVFR.participants
    assert sum(len(keys) for keys in SVFR.image_keys.values()) == 391
    for keys in SVFR.image_keys.values():
        assert len(set(keys)) == len(keys)
    assert SVFR.serials == SERIALS
    assert SVFR.sequences(123) == (
        "EMO-3-angry+sad",
        "EXP-1-head",
        "SEN-04-two_plus_seven",
        "SEN-05-glow_eyes_sweet_girl",
    )


def test_image_keys_are_read_once() -> None:
    assert SVFR.image_keys is SVFR.image_keys
    assert dict(NVS.image_keys) == {}


@pytest.mark.parametrize(
    ("spec", "key", "where", "path"),
    [
        (NVS, "calibration", (388,), "nvs/388/calibration/camera_params.json"),
        (
            NVS,
            "images",
            (388, "GLASSES", "222200042"),
            "nvs/388/sequences/GLASSES/images/cam_222200042.mp4",
        ),
        (
            NVS,
            "pointclouds",
            (422, "EXP-2-eyes", None, 7),
            "nvs/422/sequences/EXP-2-eyes/pointclouds/frame_00007.pcd",
        ),
        (
            MONO,
            "alpha_maps",
            (393, "EMO-2-surprise+fear", "222200037"),
            "mono_flame_avatar/393/sequences/EMO-2-surprise+fear/alpha_maps/cam_222200037.mp4",
        ),
        (
            MONO,
            "flame2023_tracking_v2",
            (393, "FREE"),
            "mono_flame_avatar/393/sequences/FREE/tracking/flame2023_tracking_v2.npz",
        ),
        (
            SVFR,
            "images",
            (17, "EXP-3-cheeks+nose", "222200045", 78),
            "svfr/017/EXP-3-cheeks+nose_78_222200045/rgb.png",
        ),
    ],
)
def test_dataset_paths(
    spec: BenchmarkSpec,
    key: str,
    where: tuple[int, str | None, str | None, int | None],
    path: str,
) -> None:
    assert spec.path(key, *where) == path
    assert f"{spec.task}/{spec.asset(key).path(*where)}" == path
    assert path.endswith(f".{spec.asset(key).kind}")


def test_submission_paths() -> None:
    (video,) = NVS.submission_files
    assert video.path(388, "GLASSES", "222200046") == "388/GLASSES/cam_222200046.mp4"
    (video,) = MONO.submission_files
    assert video.path(393, "FREE", "222200037") == "393/FREE/cam_222200037.mp4"
    paths = {f.key: f.path(17, "EXP-4-lips", "221501007", 6) for f in SVFR.submission_files}
    assert paths == {
        "mesh_posed": "017/EXP-4-lips_006_221501007/mesh_posed.ply",
        "mesh_neutral": "017/EXP-4-lips_006_221501007/mesh_neutral.ply",
        "landmarks_posed": "017/EXP-4-lips_006_221501007/landmarks_posed.npy",
        "landmarks_neutral": "017/EXP-4-lips_006_221501007/landmarks_neutral.npy",
    }


@SPECS
def test_a_submission_image_folder_is_the_image_key(spec: BenchmarkSpec) -> None:
    for file in spec.submission_files:
        if file.scope is Scope.PER_IMAGE:
            for participant_id, keys in spec.image_keys.items():
                for key in keys:
                    path = file.path(participant_id, key.sequence_name, key.serial, key.timestep)
                    assert path.split("/")[:2] == [f"{participant_id:03d}", key.to_key()]


@pytest.mark.parametrize("name", ["..", "../../x", "a/b", "", "a\0", "a b", "a\n", "C:", "ö"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a path"):
        NVS.path("images", 388, name, "222200042")
    with pytest.raises(ValueError, match="cannot be part of a path"):
        NVS.path("images", 388, "GLASSES", name)
    with pytest.raises(ValueError, match="cannot be part of a path"):
        SVFR.submission_files[0].path(17, name, "222200042", 3)


@SPECS
def test_a_missing_part_is_named(spec: BenchmarkSpec) -> None:
    for asset in spec.assets:
        if asset.scope is not Scope.PER_PERSON:
            with pytest.raises(ValueError, match="needs seq_name"):
                asset.path(17)


def test_unknown_asset_lists_what_exists() -> None:
    with pytest.raises(SelectionError, match=r"nvs has no asset 'rgb'.*images, alpha_maps"):
        NVS.asset("rgb")


@SPECS
def test_data_is_read_only(spec: BenchmarkSpec) -> None:
    with pytest.raises(AttributeError):
        spec.task = "nvs"  # type: ignore[misc]
    for mapping in (spec.train_sequences, spec.n_frames, spec.image_keys, BENCHMARKS):
        assert not hasattr(mapping, "__setitem__")


@SPECS
def test_every_kind_is_the_suffix_of_its_template(spec: BenchmarkSpec) -> None:
    for asset in spec.assets:
        assert asset.template.endswith(f".{asset.kind}")
    for file in spec.submission_files:
        assert file.template.endswith(f".{file.kind}")
    assert {kind.value for kind in FileKind} == {"json", "mp4", "pcd", "npz", "png", "ply", "npy"}


def test_no_code_outside_the_three_files_asks_which_benchmark_it_is() -> None:
    package = Path(nersemble_async.__file__).parent
    own = {package / "benchmark" / f"{task}.py" for task in TASKS}
    found = []
    for path in set(package.rglob("*.py")) - own:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare):
                operands = (node.left, *node.comparators)
                if any(isinstance(o, ast.Constant) and o.value in TASKS for o in operands):
                    found.append(f"{path.relative_to(package)}:{node.lineno}")
    assert found == []


def test_constants_come_without_pydantic_numpy_and_av() -> None:
    code = (
        "import sys, nersemble_async.constants\n"
        "print(sorted({'pydantic', 'numpy', 'av', 'aiohttp', 'anyio'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert output.strip() == "[]"
