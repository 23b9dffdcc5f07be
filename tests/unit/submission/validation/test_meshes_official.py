"""The official reader loads our meshes to the bit; its validator lists what ours says it does."""

from __future__ import annotations

import hashlib
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import trimesh

from nersemble_async.formats.mesh.landmarks import landmarks_bytes
from nersemble_async.formats.mesh.ply import ply_bytes
from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from nersemble_async.submission.validation.mesh_checks import check_mesh_entry
from nersemble_async.submission.writing.mesh_predictions import mesh_files
from tests.support.official import run_official
from tests.support.ply_files import Column, Table, add_texture, encoded, exported_ply, sphere_mesh

LOAD = """
import hashlib
from nersemble_benchmark.data.submission_data import SVFRSubmissionDataReader
path, entries = argument
reader = SVFRSubmissionDataReader(path)
issues = reader.validate_submission()
issues.pop("missing_posed_meshes")
result = [issues]
sha = lambda array: hashlib.sha256(array.tobytes()).hexdigest()
for participant_id, sequence_name, timestep, serial, has_landmarks in entries:
    mesh = reader.load_posed_mesh(participant_id, sequence_name, timestep, serial)
    digests = [sha(mesh.vertices), sha(mesh.faces)]
    if has_landmarks:
        digests.append(sha(reader.load_posed_landmarks(
            participant_id, sequence_name, timestep, serial)))
    result.append(digests)
"""
VALIDATE = """
import warnings
warnings.simplefilter("ignore")
from nersemble_benchmark.data.submission_data import SVFRSubmissionDataReader
result = []
for path in argument:
    try:
        issues = SVFRSubmissionDataReader(path).validate_submission()
    except Exception:
        result.append(None)
    else:
        issues.pop("missing_posed_meshes", None)
        result.append(issues)
"""
POSED = [entry for path, entry in expected_entries("svfr").items() if path.endswith("posed.ply")]
VERTICES, FACES = sphere_mesh()
SMALL, SMALL_FACES = sphere_mesh(400)


def sha(array: npt.NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def write_zip(path: Path, contents: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return str(path)


def test_the_official_reader_loads_what_the_writer_writes_to_the_bit(tmp_path: Path) -> None:
    contents: dict[str, bytes] = {}
    entries: list[tuple[object, ...]] = []
    expected: list[list[str]] = []
    dtypes = [np.float16, np.float32, np.float64]
    for entry, seed in zip(POSED, range(24), strict=False):
        is_flame = seed % 2 == 0
        # Half precision has too few numbers for 5,023 distinct points of a head, but not for 100.
        dtype = dtypes[seed % 3] if not is_flame else dtypes[1 + seed % 4 // 2]
        vertices, faces = sphere_mesh(5023 if is_flame else 100 + seed, seed)
        given: npt.NDArray[np.floating] = (vertices * [1, 1000][seed % 5 == 0]).astype(dtype)
        landmarks = None if is_flame else given[:7]
        files = mesh_files((given, faces), landmarks)
        contents[entry.path] = files.ply
        digests = [sha(given.astype(np.float64)), sha(faces)]
        if landmarks is not None and files.landmarks is not None:
            contents[entry.landmarks] = files.landmarks
            digests.append(sha(landmarks))
        place = (entry.participant_id, entry.sequence_name, entry.timestep, entry.serial)
        entries.append((*place, landmarks is not None))
        expected.append(digests)
    path = write_zip(tmp_path / "meshes.zip", contents)
    assert run_official(LOAD, [path, entries]) == [{}, *expected]


def changed(at: Any, value: Any) -> npt.NDArray[np.float64]:
    vertices = VERTICES.copy()
    vertices[at] = value
    return vertices


def with_face(index: int) -> npt.NDArray[np.int64]:
    faces = FACES.copy()
    faces[3, 1] = index
    return faces


def exported(vertices: npt.NDArray[np.float64], **options: Any) -> bytes:
    mesh = trimesh.Trimesh(vertices, FACES, process=False)
    return exported_ply(mesh, **options)


def with_texture(n_values: int) -> bytes:
    mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
    uv = np.random.default_rng(0).integers(0, n_values, (5023, 2)) / n_values
    add_texture(mesh, uv)
    return exported_ply(mesh)


def damaged(seed: int) -> bytes:
    """A few bytes changed, mostly in the header."""
    rng = np.random.default_rng(seed)
    data = bytearray(ply_bytes(*(sphere_mesh(40) if seed % 2 else (VERTICES, FACES))))
    for _ in range(1 + seed % 3):
        data[rng.integers(0, 190 if seed % 4 else len(data))] = rng.choice(list(b"0123 \nxefi-"))
    return bytes(data)


SMALL_PLY = ply_bytes(SMALL, SMALL_FACES)
NO_FACES = FACES[:0]
MESHES = {
    "whole": ply_bytes(VERTICES, FACES),
    "small": SMALL_PLY,
    "nothing": b"",
    "cut": SMALL_PLY[:-5],
    "one more byte": SMALL_PLY + b"\0",
    "no vertices": ply_bytes(VERTICES[:0], NO_FACES),
    "no faces": ply_bytes(VERTICES, NO_FACES),
    "no faces, twins": ply_bytes(changed(7, VERTICES[9]), NO_FACES),
    "only another element": b"ply\nformat ascii 1.0\nelement a 0\nproperty int b\nend_header\n",
    "no faces, of which trimesh fails": encoded(
        "binary_little_endian",
        [
            Table("vertex", [Column(axis, "float", [[0.0], [1.0]]) for axis in "xyz"], 2),
            Table("face", [Column("vertex_indices", "int", [], "int")], 0),
            Table("material", [Column("value", "char", [[0]])], 1),
        ],
    ),
    "NaN": ply_bytes(changed(3, np.nan), FACES),
    "infinite, no faces": ply_bytes(changed(3, np.inf), NO_FACES),
    "all infinite": ply_bytes(changed(slice(None), np.inf), FACES),
    "index too large": ply_bytes(VERTICES, with_face(5023)),
    "index -1": ply_bytes(VERTICES, with_face(-1)),
    "index -6000": ply_bytes(VERTICES, with_face(-6000)),
    "twins": ply_bytes(changed(7, VERTICES[9]), FACES),
    "nearly twins": ply_bytes(changed(7, VERTICES[9] + 2e-8), FACES),
    "far off": ply_bytes(VERTICES + 1e12, FACES),
    "unused": ply_bytes(VERTICES, np.where(FACES == 9, 10, FACES)),
    "one too many": ply_bytes(np.vstack([VERTICES, [[0, 0, 0]]]), FACES),
    "text": exported(changed(7, VERTICES[9]), encoding="ascii"),
    "normals": exported(VERTICES, vertex_normal=True),
    "twins with normals": exported(changed(7, VERTICES[9]), vertex_normal=True),
    "texture": with_texture(1000),
    "coarse texture": with_texture(2),
    "other name": SMALL_PLY.replace(b"vertex_indices", b"corner_numbers"),
    "comment first": SMALL_PLY.replace(b"ply\n", b"ply\ncomment a\n", 1),
    **{f"damaged {seed}": damaged(seed) for seed in range(60)},
}
LANDMARKS = {
    "none": None,
    "seven": landmarks_bytes(SMALL[:7]),
    "six": landmarks_bytes(SMALL[:6]),
    "flat": landmarks_bytes(SMALL[:7].ravel()),
    "no": landmarks_bytes(np.zeros((0, 3))),
    "records": landmarks_bytes(np.zeros(7, [("x", "f4"), ("y", "f4")])),
    "cut": landmarks_bytes(SMALL[:7])[:-1],
    "more": landmarks_bytes(SMALL[:6]) + b"more",
    "zip": b"PK\3\4",
}


def listed(entry: ExpectedEntry, mesh: bytes, landmarks: bytes | None) -> dict[str, list[object]]:
    found: dict[str, list[object]] = defaultdict(list)
    for issue in check_mesh_entry(entry, mesh, landmarks).issues:
        if issue.official is not None:
            key, value = issue.official
            is_pair = isinstance(value, tuple)
            found[key].append([value[0], list(value[1])] if is_pair else value)  # type: ignore[index]
    return dict(found)


# trimesh's reading of numbers in text and its conversion of NaN to integers warn.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_the_official_validator_lists_what_ours_says_it_does(tmp_path: Path) -> None:
    cases = [(mesh, "none") for mesh in MESHES]
    cases += [(mesh, landmarks) for mesh in ("whole", "small", "NaN") for landmarks in LANDMARKS]
    entry = POSED[0]
    paths = []
    for number, (mesh, landmarks) in enumerate(cases):
        contents = {entry.path: MESHES[mesh]}
        given = LANDMARKS[landmarks]
        if given is not None:
            contents[entry.landmarks] = given
        paths.append(write_zip(tmp_path / f"{number}.zip", contents))
    results = run_official(VALIDATE, paths)
    assert len([result for result in results if result]) > 20
    for (mesh, landmarks), result in zip(cases, results, strict=True):
        ours = listed(entry, MESHES[mesh], LANDMARKS[landmarks])
        # Where it fails, it lists nothing: of this mesh ours may say what it would have.
        assert (mesh, landmarks, ours) == (mesh, landmarks, result or {})
        if result is None:
            issues = check_mesh_entry(entry, MESHES[mesh], LANDMARKS[landmarks]).issues
            assert any(issue.severity == "error" for issue in issues), (mesh, landmarks)
