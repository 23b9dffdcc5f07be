"""What lies in a folder of predictions: which files become which entry of a submission. Pure.

The folder has the layout of the submission. A video ``388/GLASSES/cam_222200046.mp4`` is a folder
``388/GLASSES/cam_222200046`` with a picture for each frame, or a video beside it; a mesh is a PLY
or an OBJ. Leading zeros of numbers do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, FileKind, Task
from nersemble_async.formats.video.any_video import VIDEO_SUFFIXES
from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from nersemble_async.submission.packing.near_misses import find_near_misses
from nersemble_async.submission.packing.picture_order import PictureOrderError, order_pictures
from nersemble_async.submission.validation.entry_names import is_junk, same_but_for_digits


class SourceSort(StrEnum):
    """What a prediction is made of."""

    PICTURES = "pictures"
    VIDEO = "video"
    MESH = "mesh"
    LANDMARKS = "landmarks"


@dataclass(frozen=True, slots=True)
class PackSource:
    """What one entry of the submission is made of."""

    entry: ExpectedEntry
    sort: SourceSort
    place: str
    """Relative to the source folder: the folder of pictures, or the file."""
    paths: tuple[str, ...]
    """Relative to the source folder: the pictures in order, or the one file."""
    landmarks: str | None = None
    """Of a mesh: the landmarks' file, where there is one."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Why something in the source folder cannot be packed."""

    path: str
    """Relative to the source folder."""
    reason: str


@dataclass(frozen=True, slots=True)
class PackPlan:
    """What becomes of a source folder."""

    sources: Mapping[str, PackSource]
    """By the path of the entry, in the benchmark's order."""
    claimed: frozenset[str]
    """Entries of which something is there: the sources, and what has a problem."""
    problems: tuple[SourceProblem, ...]
    ignored: tuple[str, ...]
    """Files that are no predictions, by name."""


_PICTURES = frozenset({".png", ".jpg", ".jpeg"})
_OTHER_PICTURES = frozenset({".bmp", ".exr", ".npy", ".npz", ".tif", ".tiff", ".webp"})
_SORTS: Mapping[FileKind, SourceSort] = MappingProxyType(
    {
        FileKind.MP4: SourceSort.VIDEO,
        FileKind.PLY: SourceSort.MESH,
        FileKind.NPY: SourceSort.LANDMARKS,
    }
)
_SUFFIXES: Mapping[FileKind, tuple[str, ...]] = MappingProxyType(
    {FileKind.MP4: VIDEO_SUFFIXES, FileKind.PLY: (".ply", ".obj"), FileKind.NPY: (".npy",)}
)
_OTHER_SUFFIXES: Mapping[FileKind, tuple[str, ...]] = MappingProxyType(
    {
        FileKind.MP4: (".flv", ".gif", ".m4v", ".mpeg", ".mpg", ".ts", ".wmv", ".y4m"),
        FileKind.PLY: (".glb", ".gltf", ".off", ".stl"),
        FileKind.NPY: (".csv", ".json", ".mat", ".npz", ".pkl", ".pt", ".txt"),
    }
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A folder of pictures or a file that may be a prediction."""

    place: str
    name: str
    """What the entry would be called."""
    sort: SourceSort
    is_readable: bool
    """False: the right name, but of a kind that has to be converted."""


def plan_pack(task: Task, files: Iterable[str], metadata: TaskMetadata | None) -> PackPlan:
    """Find the source of each entry, and everything that is wrong with names and counts.

    Args:
        task: whose submission it is to be.
        files: paths relative to the source folder, with forward slashes.
        metadata: how many frames the videos have; None: that is not compared.
    """
    units: dict[_Unit, list[str]] = {}
    ignored: list[str] = []
    for file in sorted(files):
        unit = None if is_junk(file) else _unit_of(task, file)
        if unit is None:
            ignored.append(file)
        else:
            units.setdefault(unit, []).append(file)
    claims: dict[str, list[_Unit]] = {}
    strays: list[_Unit] = []
    for unit in units:
        entry = same_but_for_digits(task, unit.name)
        if entry is None:
            strays.append(unit)
        else:
            claims.setdefault(entry.path, []).append(unit)
    problems: list[SourceProblem] = []
    sources: dict[str, PackSource] = {}
    for path, entry in expected_entries(task).items():
        there = claims.get(path, [])
        usable = [unit for unit in there if unit.is_readable]
        if len(usable) == 1:
            (unit,) = usable
            source = _source(entry, unit, units[unit], metadata, problems)
            if source is not None:
                sources[path] = source
        elif usable:
            both = " and ".join(sorted(unit.place for unit in usable))
            told = f"{both} are the same prediction: leave one of them out"
            problems.append(SourceProblem(usable[0].place, told))
        elif there:
            problems.append(SourceProblem(there[0].place, _convert(there[0])))
        ignored += [f for u in there if usable and not u.is_readable for f in units[u]]
    problems += _join_landmarks(task, sources, claims)
    misses = find_near_misses(task, {unit.place: unit.name for unit in strays}, frozenset(claims))
    problems += [SourceProblem(place, reason) for place, reason in misses.told]
    ignored += [f for unit in strays if unit.place not in misses.places for f in units[unit]]
    return PackPlan(
        MappingProxyType(sources), frozenset(claims), tuple(problems), tuple(sorted(ignored))
    )


def _unit_of(task: Task, file: str) -> _Unit | None:
    folder, _, name = file.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    suffix = f"{dot}{ending}".lower()
    stem = f"{folder}/{stem}" if folder else stem
    for kind in dict.fromkeys(sort.kind for sort in BENCHMARKS[task].submission_files):
        if kind is FileKind.MP4 and folder and suffix in _PICTURES | _OTHER_PICTURES:
            readable = suffix in _PICTURES
            return _Unit(folder, f"{folder}.{kind}", SourceSort.PICTURES, readable)
        if suffix in _SUFFIXES[kind]:
            return _Unit(file, f"{stem}.{kind}", _SORTS[kind], is_readable=True)
        if suffix in _OTHER_SUFFIXES[kind] and same_but_for_digits(task, f"{stem}.{kind}"):
            return _Unit(file, f"{stem}.{kind}", _SORTS[kind], is_readable=False)
    return None


def _source(
    entry: ExpectedEntry,
    unit: _Unit,
    files: list[str],
    metadata: TaskMetadata | None,
    problems: list[SourceProblem],
) -> PackSource | None:
    """The source, or a problem more."""
    if unit.sort is not SourceSort.PICTURES:
        return PackSource(entry, unit.sort, unit.place, tuple(files))
    where = entry.participant_id, entry.sequence_name
    names = [file.rpartition("/")[2] for file in files]
    timesteps = () if metadata is None else metadata.timesteps(*where)
    n_frames = None if metadata is None else metadata.n_frames(*where)
    wrong: list[str] = []
    if n_frames not in {None, len(names)}:
        wrong.append(f"it holds {len(names)} pictures, the sequence has {n_frames} timesteps")
    try:
        names = order_pictures(names, timesteps)
    except PictureOrderError as error:
        wrong.append(str(error))
    if wrong:
        problems.append(SourceProblem(unit.place, "; ".join(wrong)))
        return None
    paths = tuple(f"{unit.place}/{name}" for name in names)
    return PackSource(entry, unit.sort, unit.place, paths)


def _convert(unit: _Unit) -> str:
    if unit.sort is SourceSort.PICTURES:
        return "its pictures are neither PNG nor JPEG: write 8-bit RGB PNGs"
    kind = next(kind for kind, sort in _SORTS.items() if sort is unit.sort)
    return f"a file of this kind cannot be packed: write {' or '.join(_SUFFIXES[kind])}"


def _join_landmarks(
    task: Task, sources: dict[str, PackSource], claims: Mapping[str, object]
) -> Iterator[SourceProblem]:
    """Tell each mesh of its landmarks; landmarks without one are a problem."""
    for mesh, entry in expected_entries(task).items():
        marks = sources.get(entry.landmarks)
        if marks is None:
            continue
        if mesh in sources:
            sources[mesh] = replace(sources[mesh], landmarks=marks.place)
        elif mesh not in claims:
            yield SourceProblem(marks.place, f"landmarks without a mesh: there is no {mesh}")
