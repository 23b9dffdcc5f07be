"""The vocabulary that a benchmark is described with: assets, path templates, `BenchmarkSpec`.

Templates are the official toolkit's, to the letter, so that `nersemble_async.constants` can
hand them out; their fields are ``p_id``, ``seq_name``, ``serial`` and ``timestep``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Literal, get_args

from nersemble_async.benchmark.keys import ImageKey, SequenceKey
from nersemble_async.errors import SelectionError

Task = Literal["nvs", "mono_flame_avatar", "svfr"]
TASKS: tuple[Task, ...] = get_args(Task)

Subtask = Literal["posed", "neutral"]
"""SVFR: the expression of the image, or a neutral one."""
SUBTASKS: tuple[Subtask, ...] = get_args(Subtask)

SERIALS: tuple[str, ...] = (
    "222200042",
    "222200044",
    "222200046",
    "222200040",
    "222200036",
    "222200048",
    "220700191",
    "222200041",
    "222200037",
    "222200038",
    "222200047",
    "222200043",
    "222200049",
    "222200039",
    "222200045",
    "221501007",
)
"""The 16 cameras of the rig, in the official order."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_+-]+")


class FileKind(StrEnum):
    """How a file of the dataset or of a submission is encoded; the value is its suffix."""

    JSON = "json"
    MP4 = "mp4"
    PCD = "pcd"
    NPZ = "npz"
    PNG = "png"
    PLY = "ply"
    NPY = "npy"


class Scope(StrEnum):
    """What there is one file for; the values are the official groups of ``ASSETS``."""

    PER_PERSON = "per_person"
    PER_SEQUENCE = "per_sequence"
    PER_CAM = "per_cam"
    PER_TIMESTEP = "per_timestep"
    PER_IMAGE = "per_image"


_SCOPE_FIELDS: Mapping[Scope, tuple[str, ...]] = MappingProxyType(
    {
        Scope.PER_PERSON: (),
        Scope.PER_SEQUENCE: ("seq_name",),
        Scope.PER_CAM: ("seq_name", "serial"),
        Scope.PER_TIMESTEP: ("seq_name", "timestep"),
        Scope.PER_IMAGE: ("seq_name", "timestep", "serial"),
    }
)


class _HasPath:
    """A scope and a template make a path."""

    __slots__ = ()
    scope: Scope
    template: str

    def path(
        self,
        participant_id: int,
        sequence_name: str | None = None,
        serial: str | None = None,
        timestep: int | None = None,
    ) -> str:
        """The path, with forward slashes: in the task's folder, or in a submission zip.

        Parts that the scope does not need are ignored.

        Raises:
            ValueError: a part that the scope needs is None, or a name holds other characters
                than letters, digits, ``_``, ``+`` and ``-`` (so no path leaves its folder).
        """
        values = {"seq_name": sequence_name, "serial": serial, "timestep": timestep}
        for name in _SCOPE_FIELDS[self.scope]:
            value = values[name]
            if value is None:
                raise ValueError(f"a {self.scope} path needs {name}: {self.template}")
            if isinstance(value, str) and not _PLAIN_NAME.fullmatch(value):
                raise ValueError(f"{name} {value!r} cannot be part of a path")
        return self.template.format(p_id=participant_id, **values)


@dataclass(frozen=True, slots=True)
class Asset(_HasPath):
    """One sort of dataset file: what there is one of it for, and where it lies."""

    key: str
    """The official name, such as ``alpha_maps``."""
    scope: Scope
    kind: FileKind
    template: str
    """Path relative to the task's folder."""
    optional: bool = False
    """Fetched only when asked for by name."""
    in_test_sequences: bool = False
    """Published for test sequences too."""


@dataclass(frozen=True, slots=True)
class SubmissionFile(_HasPath):
    """One sort of file in a submission zip."""

    key: str
    scope: Scope
    kind: FileKind
    template: str
    """Path inside the zip; unlike in the dataset, an image's timestep is padded to 3 digits."""
    subtask: Subtask | None = None
    """Where a benchmark has subtasks: which one. A submission may leave a whole subtask out."""
    optional: bool = False
    """Whether a complete submission may lack it."""


def _empty() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkSpec:
    """Everything that is known of a benchmark without asking a server."""

    task: Task
    """Also the name of its folder, on disk and on the server."""
    assets: tuple[Asset, ...]
    submission_files: tuple[SubmissionFile, ...]
    participants: tuple[int, ...]
    frame_size: tuple[int, int]
    """Width, height in pixels, of every image and of every submitted video frame."""
    has_metadata: bool
    """Whether there is a ``{task}/metadata.json``."""
    train_sequences: Mapping[int, tuple[str, ...]] = field(default_factory=_empty)
    """By participant: sequences whose every asset is published. Empty where images stand alone."""
    test_sequences: Mapping[int, tuple[str, ...]] = field(default_factory=_empty)
    """By participant: sequences of which only assets `in_test_sequences` are published."""
    submission_sequences: Mapping[int, tuple[str, ...]] = field(default_factory=_empty)
    """By participant: sequences to submit videos of."""
    train_serials: tuple[str, ...] = ()
    """Cameras whose videos are published."""
    hold_out_serials: tuple[str, ...] = ()
    """Cameras whose videos are the hidden ground truth: left, center, right."""
    submission_serials: tuple[str, ...] = ()
    """Cameras to submit videos of."""
    submission_rate: Fraction | None = None
    """Frames per second of a submitted video; None where there is none."""
    n_frames: Mapping[SequenceKey, int] = field(default_factory=_empty)
    """Documented frames per sequence, where they are documented; metadata.json is the authority."""
    n_train_frames: Mapping[int, int] = field(default_factory=_empty)
    """Documented sum over a participant's train sequences."""
    n_test_frames: Mapping[int, int] = field(default_factory=_empty)
    """Documented sum over a participant's test sequences."""
    load_image_keys: Callable[[], Mapping[int, tuple[ImageKey, ...]]] = field(
        default=_empty, repr=False
    )
    """What `image_keys` calls; cached by whoever provides it."""

    @property
    def image_keys(self) -> Mapping[int, tuple[ImageKey, ...]]:
        """By participant: the images of a benchmark of single images; else empty."""
        return self.load_image_keys()

    @property
    def metadata_path(self) -> str | None:
        """``{task}/metadata.json``, relative to the root; None where there is none."""
        return f"{self.task}/metadata.json" if self.has_metadata else None

    @property
    def serials(self) -> tuple[str, ...]:
        """Cameras of which anything is published, in the official order."""
        published = {key.serial for keys in self.image_keys.values() for key in keys}
        published.update(self.train_serials)
        return tuple(serial for serial in SERIALS if serial in published)

    @property
    def sequence_names(self) -> tuple[str, ...]:
        """The names of all participants' sequences, without repetition."""
        return tuple(dict.fromkeys(s for p in self.participants for s in self.sequences(p)))

    def sequences(self, participant_id: int) -> tuple[str, ...]:
        """A participant's sequences without repetition: train, then test, or those of the images.

        Empty for an unknown participant.
        """
        of_images = (key.sequence_name for key in self.image_keys.get(participant_id, ()))
        return tuple(
            dict.fromkeys(
                (
                    *self.train_sequences.get(participant_id, ()),
                    *self.test_sequences.get(participant_id, ()),
                    *of_images,
                )
            )
        )

    def asset(self, key: str) -> Asset:
        """The asset of that name.

        Raises:
            SelectionError: the benchmark has none of that name; lists those that it has.
        """
        for asset in self.assets:
            if asset.key == key:
                return asset
        raise SelectionError(
            f"{self.task} has no asset {key!r}; it has {', '.join(a.key for a in self.assets)}"
        )

    def path(
        self,
        asset_key: str,
        participant_id: int,
        sequence_name: str | None = None,
        serial: str | None = None,
        timestep: int | None = None,
    ) -> str:
        """An asset's path relative to the root, the task first; errors as in `Asset.path`."""
        asset = self.asset(asset_key)
        return f"{self.task}/{asset.path(participant_id, sequence_name, serial, timestep)}"
