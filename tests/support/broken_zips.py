"""A zoo of submission zips, each broken in one way, with the rule that finds it: their names."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nersemble_async.benchmark.spec import Task
from nersemble_async.submission.entries import expected_entries
from tests.support.submission_files import good_video, head, landmarks, npy, ply

Contents = Sequence[tuple[str, bytes]]

NVS = tuple(expected_entries("nvs"))[:3]
"""The three videos of the first participant."""
MONO = tuple(expected_entries("mono_flame_avatar"))[:2]
POSED = tuple(path for path in expected_entries("svfr") if path.endswith("mesh_posed.ply"))
SHORT_TIMESTEP = next(path for path in POSED if "_078_" in path)


def neutral(path: str) -> str:
    """The neutral mesh beside a posed one."""
    return path.replace("mesh_posed", "mesh_neutral")


def marks(path: str) -> str:
    """The landmarks beside a mesh."""
    return path.replace("mesh_", "landmarks_").replace(".ply", ".npy")


@dataclass(frozen=True)
class BrokenZip:
    """How to make one, and what is to be found in it."""

    name: str
    task: Task
    rule: str
    entry: str | None
    contents: Callable[[], Contents]
    damage: Callable[[bytes], bytes] = bytes
    """Of the zip's own bytes."""
    compression: int = zipfile.ZIP_STORED
    official_crashes: bool = False

    def write(self, folder: Path) -> Path:
        """The zip in ``folder``."""
        path = folder / f"{self.name.replace(' ', '_')}.zip"
        write_zip(path, self.contents(), self.compression)
        path.write_bytes(self.damage(path.read_bytes()))
        return path


def write_zip(path: Path, contents: Contents, compression: int = zipfile.ZIP_STORED) -> Path:
    """Entries in this order, of one name too."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of duplicates, which are what is wanted
        for name, data in contents:
            archive.writestr(name, data)
    return path


# ---- names --------------------------------------------------------------------------------------


def _video(task: Task = "mono_flame_avatar") -> Contents:
    path = NVS[0] if task == "nvs" else MONO[0]
    return [(path, good_video(task))]


def _renamed(old: str, new: str) -> Callable[[], Contents]:
    return lambda: [(new if name == old else name, data) for name, data in _video()]


def _meshes(*names: str) -> Callable[[], Contents]:
    return lambda: [
        (name, npy(landmarks()) if name.endswith("npy") else ply(*head())) for name in names
    ]


def _others(*names: str) -> Callable[[], Contents]:
    return lambda: [(name, b"x") for name in names]


def _flags(bits: int) -> Callable[[bytes], bytes]:
    """Sets the first entry's flags, in both of its headers."""

    def patched(data: bytes) -> bytes:
        changed = bytearray(data)
        for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            changed[data.index(signature) + offset] |= bits
        return bytes(changed)

    return patched


def _flipped(data: bytes) -> bytes:
    """One bit of the first entry's content is another."""
    changed = bytearray(data)
    changed[data.index(b"mdat") + 40] ^= 1
    return bytes(changed)


_TRAIN_CAMERA = NVS[0].replace("222200046", "222200042")

NAMES: tuple[BrokenZip, ...] = (
    BrokenZip(
        "no zip", "nvs", "not-a-zip", None, list, lambda _: b"<html>404", official_crashes=True
    ),
    BrokenZip("no bytes", "nvs", "not-a-zip", None, list, lambda _: b"", official_crashes=True),
    BrokenZip(
        "half a zip",
        "mono_flame_avatar",
        "not-a-zip",
        None,
        _video,
        lambda data: data[: len(data) // 2],
        official_crashes=True,
    ),
    BrokenZip(
        "a flipped bit",
        "mono_flame_avatar",
        "crc-error",
        MONO[0],
        _video,
        _flipped,
        official_crashes=True,
    ),
    BrokenZip(
        "encrypted",
        "mono_flame_avatar",
        "unreadable-entry",
        MONO[0],
        _video,
        _flags(1),
        official_crashes=True,
    ),
    BrokenZip(
        "bzip2",
        "mono_flame_avatar",
        "unreadable-entry",
        MONO[0],
        _video,
        compression=zipfile.ZIP_BZIP2,
    ),
    BrokenZip(
        "a bomb",
        "mono_flame_avatar",
        "too-large",
        MONO[0],
        lambda: [(MONO[0], bytes(1 << 25))],
        compression=zipfile.ZIP_DEFLATED,
        official_crashes=True,
    ),
    BrokenZip("an empty zip", "nvs", "missing-entry", NVS[0], list),
    BrokenZip("one of three", "nvs", "missing-entry", NVS[1], lambda: _video("nvs")),
    BrokenZip("no mesh", "svfr", "missing-subtask", None, list),
    BrokenZip("landmarks alone", "svfr", "missing-subtask", None, _meshes(marks(POSED[0]))),
    BrokenZip("a mesh is missing", "svfr", "missing-entry", POSED[1], _meshes(POSED[0])),
    BrokenZip(
        "landmarks without their mesh",
        "svfr",
        "missing-entry",
        POSED[1],
        _meshes(POSED[0], marks(POSED[1])),
    ),
    BrokenZip(
        "landmarks of the other subtask",
        "svfr",
        "unexpected-entry",
        marks(neutral(POSED[0])),
        _meshes(POSED[0], marks(neutral(POSED[0]))),
    ),
    BrokenZip(
        "a note", "mono_flame_avatar", "unexpected-entry", "README.txt", _others("README.txt")
    ),
    BrokenZip(
        "a note among meshes", "svfr", "unexpected-entry", "a/b.txt", _meshes(POSED[0], "a/b.txt")
    ),
    BrokenZip(
        "a note alone", "svfr", "unexpected-entry", "b.txt", _meshes("b.txt", marks(POSED[0]))
    ),
    BrokenZip(
        "a note beside both",
        "svfr",
        "unexpected-entry",
        "b.txt",
        _meshes("b.txt", POSED[0], neutral(POSED[0])),
    ),
    BrokenZip(
        "a folder of macOS",
        "mono_flame_avatar",
        "leftover-entry",
        "__MACOSX/._393",
        _others("__MACOSX/", "__MACOSX/._393", "393/.DS_Store"),
    ),
    BrokenZip(
        "a folder of macOS among meshes",
        "svfr",
        "unexpected-entry",
        "__MACOSX/._017",
        _meshes(POSED[0], "__MACOSX/._017"),
    ),
    BrokenZip(
        "a train camera",
        "nvs",
        "unexpected-entry",
        _TRAIN_CAMERA,
        lambda: [*_video("nvs"), (_TRAIN_CAMERA, b"x")],
    ),
    BrokenZip(
        "another case",
        "mono_flame_avatar",
        "unexpected-entry",
        MONO[0].replace("cam", "Cam"),
        _renamed(MONO[0], MONO[0].replace("cam", "Cam")),
    ),
    BrokenZip(
        "twice",
        "mono_flame_avatar",
        "duplicate-entry",
        MONO[0],
        lambda: [*_video(), (MONO[0], good_video("mono_flame_avatar", 5))],
    ),
    BrokenZip("a mesh twice", "svfr", "duplicate-entry", POSED[0], _meshes(POSED[0], POSED[0])),
    BrokenZip(
        "a note twice", "svfr", "duplicate-entry", "b.txt", _meshes(POSED[0], "b.txt", "b.txt")
    ),
    BrokenZip(
        "a folder around it",
        "mono_flame_avatar",
        "misplaced-entry",
        f"out/{MONO[0]}",
        _renamed(MONO[0], f"out/{MONO[0]}"),
    ),
    BrokenZip(
        "no participant's folder",
        "nvs",
        "misplaced-entry",
        NVS[0].partition("/")[2],
        lambda: [(NVS[0].partition("/")[2], b"")],
    ),
    BrokenZip(
        "another's folder",
        "nvs",
        "misplaced-entry",
        NVS[0].replace("388", "422"),
        lambda: [(NVS[0].replace("388", "422"), b"")],
    ),
    BrokenZip(
        "meshes in a folder",
        "svfr",
        "misplaced-entry",
        f"svfr/{POSED[0]}",
        _meshes(f"svfr/{POSED[0]}"),
    ),
    BrokenZip("upwards", "mono_flame_avatar", "unsafe-entry", "../x", _others("../x")),
    BrokenZip(
        "upwards within", "svfr", "unsafe-entry", f"a/../{POSED[0]}", _meshes(f"a/../{POSED[0]}")
    ),
    BrokenZip("absolute", "mono_flame_avatar", "unsafe-entry", "/etc/x", _others("/etc/x")),
    BrokenZip("a drive", "mono_flame_avatar", "unsafe-entry", "C:/x", _others("C:/x")),
    BrokenZip(
        "backslashes",
        "svfr",
        "unsafe-entry",
        POSED[0].replace("/", "\\"),
        _meshes(POSED[0].replace("/", "\\")),
    ),
    BrokenZip(
        "a NUL",
        "mono_flame_avatar",
        "unsafe-entry",
        "a\0b",
        _others("a?b"),
        lambda data: data.replace(b"a?b", b"a\0b"),
    ),
    BrokenZip("a folder upwards", "mono_flame_avatar", "unsafe-entry", "../../", _others("../../")),
    BrokenZip(
        "an unpadded timestep",
        "svfr",
        "wrong-padding",
        SHORT_TIMESTEP.replace("_078_", "_78_"),
        _meshes(POSED[0], SHORT_TIMESTEP.replace("_078_", "_78_")),
    ),
    BrokenZip(
        "an unpadded participant",
        "svfr",
        "wrong-padding",
        POSED[0].lstrip("0"),
        _meshes(POSED[0].lstrip("0")),
    ),
)
