"""Which files one participant of a benchmark has: names are checked, paths made. Pure."""

from __future__ import annotations

import difflib
import operator
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_VERSIONS
from nersemble_async.benchmark.spec import BENCHMARKS, BenchmarkSpec, FileKind, Scope, Task
from nersemble_async.errors import NotCachedError, SelectionError
from nersemble_async.fetch.plan import METADATA_ASSET, PlannedFile
from nersemble_async.settings import Settings

_MOST_LISTED = 40


class ParticipantFiles:
    """The files of one participant, whether they are on disk or not.

    Args:
        benchmark_folder: the root; ``~`` is expanded.
        task: which benchmark.
        participant_id: whose files.

    Raises:
        SelectionError: on construction and from each method that checks; something that does not
            exist in the benchmark was asked for, the message lists what does.
    """

    def __init__(self, benchmark_folder: str | Path, task: Task, participant_id: int) -> None:
        self.spec: BenchmarkSpec = BENCHMARKS[task]
        self.folder = str(benchmark_folder)
        if self.folder.startswith("~"):
            self.folder = str(Path(self.folder).expanduser())
        self.root = Path(self.folder)
        try:
            self.participant_id = operator.index(participant_id)
        except TypeError:
            raise self._unknown("participant", participant_id, self.spec.participants) from None
        if self.participant_id not in self.spec.participants:
            raise self._unknown("participant", participant_id, self.spec.participants)

    # ---- files --------------------------------------------------------------------------------

    def metadata(self) -> PlannedFile | None:
        """The task's metadata.json; None where it has none."""
        path = self.spec.metadata_path
        if path is None:
            return None
        return PlannedFile(path, self.spec.task, METADATA_ASSET, FileKind.JSON)

    def calibration(self) -> PlannedFile:
        """All cameras' poses and intrinsics."""
        return self._file("calibration")

    def video(self, asset_key: str, sequence_name: str, serial: str) -> PlannedFile:
        """``images`` or ``alpha_maps`` of one camera."""
        self._check_sequence(asset_key, sequence_name)
        self._check_serial(serial)
        return self._file(asset_key, sequence_name, serial)

    def videos(self, asset_key: str, sequence_name: str) -> list[PlannedFile]:
        """The same of all cameras, in the official order; none where none is published."""
        if sequence_name not in self.sequences_of(asset_key):
            return []
        return [self._file(asset_key, sequence_name, s) for s in self.spec.train_serials]

    def serials_of(self, asset_key: str, sequence_name: str) -> list[str]:
        """The cameras whose ``images`` or ``alpha_maps`` are published, in the official order."""
        self._check_sequence(asset_key, sequence_name)
        return list(self.spec.train_serials)

    def pointcloud(self, sequence_name: str, timestep: int) -> PlannedFile:
        """Of one timestep; whether the sequence has it, its `Timeline` says."""
        self._check_sequence("pointclouds", sequence_name)
        return self._file("pointclouds", sequence_name, timestep=timestep)

    def flame_tracking(self, sequence_name: str, version: int) -> PlannedFile:
        """The FLAME tracking of one sequence."""
        key = flame_tracking_key(version)
        self._check_sequence(key, sequence_name)
        return self._file(key, sequence_name)

    def image(self, image_key: ImageKey) -> PlannedFile:
        """One input image of the SVFR benchmark."""
        keys = self.spec.image_keys[self.participant_id]
        if image_key not in keys:
            raise self._unknown("image", image_key.folder_name, [key.folder_name for key in keys])
        return self._file("images", image_key.sequence_name, image_key.serial, image_key.timestep)

    def _file(
        self,
        asset_key: str,
        sequence_name: str | None = None,
        serial: str | None = None,
        timestep: int | None = None,
    ) -> PlannedFile:
        spec, participant_id = self.spec, self.participant_id
        return PlannedFile(
            path=spec.path(asset_key, participant_id, sequence_name, serial, timestep),
            task=spec.task,
            asset=asset_key,
            kind=spec.asset(asset_key).kind,
            participant_id=participant_id,
            sequence_name=sequence_name,
            serial=serial,
            timestep=timestep,
        )

    def list_image_keys(self) -> list[ImageKey]:
        """Every image of the SVFR benchmark, sorted by its folder's name."""
        keys = self.spec.image_keys[self.participant_id]
        return sorted(keys, key=lambda key: key.folder_name)

    # ---- what exists --------------------------------------------------------------------------

    def sequences_of(self, asset_key: str) -> tuple[str, ...]:
        """The sequences of which the asset is published."""
        train = self.spec.train_sequences.get(self.participant_id, ())
        if not self.spec.asset(asset_key).in_test_sequences:
            return train
        return (*train, *self.spec.test_sequences.get(self.participant_id, ()))

    @property
    def sequences(self) -> tuple[str, ...]:
        """All sequences of which anything is published, train ones first."""
        return self.spec.sequences(self.participant_id)

    def check_any_sequence(self, sequence_name: str) -> None:
        """Whether anything of the sequence is published."""
        if sequence_name not in self.sequences:
            raise self._unknown("sequence", sequence_name, self.sequences)

    def _check_sequence(self, asset_key: str, sequence_name: str) -> None:
        self.check_any_sequence(sequence_name)
        published = self.sequences_of(asset_key)
        if sequence_name not in published:
            raise SelectionError(
                f"{sequence_name} is a test sequence of {self.spec.task}: its {asset_key} is not "
                f"published (what cameras saw of it is the hidden ground truth); participant "
                f"{self.participant_id} has {asset_key} of {_listed(published)}"
            )

    def _check_serial(self, serial: str) -> None:
        spec = self.spec
        if serial in spec.train_serials:
            return
        if serial in spec.hold_out_serials:
            raise SelectionError(
                f"serial {serial} is a hold-out camera of {spec.task}: what it saw is the hidden "
                "ground truth and is not published (its calibration is in camera_params.json); "
                f"{spec.task} has {_listed(spec.train_serials)}"
            )
        raise self._unknown("serial", serial, spec.train_serials)

    def _unknown(self, what: str, value: object, existing: Collection[object]) -> SelectionError:
        near = difflib.get_close_matches(str(value), map(str, existing), n=1)
        guess = f", did you mean {near[0]}?" if near else ";"
        whose: str = self.spec.task
        if what in {"sequence", "image"}:
            whose = f"participant {self.participant_id} of {whose}"
        return SelectionError(f"unknown {what} {value!r}{guess} {whose} has {_listed(existing)}")

    # ---- for the user -------------------------------------------------------------------------

    def local_path(self, file: PlannedFile) -> Path:
        """Where the file lies when it is on disk."""
        return self.root / file.path

    def official_path(
        self,
        asset_key: str,
        sequence_name: str | None = None,
        serial: str | None = None,
        timestep: int | None = None,
    ) -> str:
        """The path as the official toolkit writes it; nothing is checked but characters."""
        try:
            path = self.spec.path(asset_key, self.participant_id, sequence_name, serial, timestep)
        except ValueError as error:
            raise SelectionError(str(error)) from None
        return f"{self.folder}/{path}"

    def not_cached(self, file: PlannedFile) -> NotCachedError:
        """The error that says how to get a file that is not on disk."""
        return NotCachedError(
            f"{self.local_path(file)} is not on disk; fetch it with\n    {self.fetch_command(file)}"
        )

    def fetch_command(self, file: PlannedFile) -> str:
        """A command line that fetches the file (and its task's metadata.json)."""
        parts = ["nersemble-async", "fetch", file.task, "--participant", str(self.participant_id)]
        if file.sequence_name is not None:
            parts += ["--sequence", file.sequence_name]
        if file.serial is not None:
            parts += ["--serial", file.serial]
        asset = "calibration" if file.asset == METADATA_ASSET else file.asset
        parts += ["--assets", asset]
        if file.timestep is not None and self.spec.asset(asset).scope is Scope.PER_TIMESTEP:
            parts += ["--pointcloud-frames", str(file.timestep)]
        return shlex.join([*parts, "--root", self.folder])


def root_folder(benchmark_folder: str | Path | None) -> str | Path:
    """The root as given; None: as the environment and the .env file say, which are read then."""
    return Settings.load().root if benchmark_folder is None else benchmark_folder


def flame_tracking_key(version: int) -> str:
    """The asset of a version of the FLAME tracking.

    Raises:
        SelectionError: there is no such version; lists them.
    """
    key = FLAME_TRACKING_VERSIONS.get(version)
    if key is None:
        versions = ", ".join(f"{v} ({name})" for v, name in FLAME_TRACKING_VERSIONS.items())
        raise SelectionError(
            f"there is no FLAME tracking version {version!r}; there are {versions}"
        )
    return key


def _listed(values: Iterable[object]) -> str:
    texts = [str(value) for value in values]
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return ", ".join(texts[:_MOST_LISTED]) + more
