"""The official reader of submitted meshes and landmarks, for code without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.spec import FileKind, Subtask
from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.mesh.landmarks import parse_landmarks
from nersemble_async.formats.mesh.mesh_file import check_mesh
from nersemble_async.formats.mesh.ply import parse_ply
from nersemble_async.submission.entries import submitted_subtasks
from nersemble_async.submission.reading.reader_base import SubmissionDataReader
from nersemble_async.submission.zips.zip_entries import ZipEntry

if TYPE_CHECKING:
    import trimesh


class SVFRSubmissionDataReader(SubmissionDataReader):
    """A submission to the single-view face reconstruction benchmark.

    Meshes are given with every vertex where the file has it (trimesh's ``process=False``): the
    official reader merges equal ones.
    """

    task = "svfr"

    def load_posed_mesh(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> trimesh.Trimesh:
        """The mesh with the image's expression; float64 (V, 3) vertices, int64 (F, 3) faces.

        Raises:
            SelectionError: the zip has none.
            EntryError: the entry is damaged.
            DecodeError: no PLY, without vertices, or with a vertex or face that cannot be.
        """
        key = ImageKey(sequence_name, timestep, serial)
        return self._load_mesh("posed", participant_id, key)

    def load_neutral_mesh(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> trimesh.Trimesh:
        """The mesh with a neutral expression; as `load_posed_mesh`."""
        key = ImageKey(sequence_name, timestep, serial)
        return self._load_mesh("neutral", participant_id, key)

    def load_posed_landmarks(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> npt.NDArray[Any]:
        """The landmarks of the posed mesh as they stand in the file; they should be (7, 3) floats.

        Raises:
            SelectionError: the zip has none.
            EntryError: the entry is damaged.
            DecodeError: no .npy, or one with pickled objects.
        """
        key = ImageKey(sequence_name, timestep, serial)
        return self._load_landmarks("posed", participant_id, key)

    def load_neutral_landmarks(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> npt.NDArray[Any]:
        """The landmarks of the neutral mesh; as `load_posed_landmarks`."""
        key = ImageKey(sequence_name, timestep, serial)
        return self._load_landmarks("neutral", participant_id, key)

    def has_posed_reconstructions(self) -> bool:
        """Whether there is at least one posed mesh."""
        return "posed" in submitted_subtasks(self.task, self._entries)

    def has_neutral_reconstructions(self) -> bool:
        """Whether there is at least one neutral mesh."""
        return "neutral" in submitted_subtasks(self.task, self._entries)

    # ---- within -------------------------------------------------------------------------------

    def _find(
        self, kind: FileKind, subtask: Subtask, participant_id: int, key: ImageKey
    ) -> ZipEntry:
        files = self.spec.submission_files
        file = next(file for file in files if file.kind is kind and file.subtask == subtask)
        try:
            path = file.path(participant_id, key.sequence_name, key.serial, key.timestep)
        except ValueError as error:
            raise SelectionError(str(error)) from None
        return self._entry(path)

    def _load_mesh(self, subtask: Subtask, participant_id: int, key: ImageKey) -> trimesh.Trimesh:
        import trimesh  # noqa: PLC0415 -- 0.2 s

        entry = self._find(FileKind.PLY, subtask, participant_id, key)
        name = f"{self._archive.path}/{entry.name}"
        mesh = parse_ply(self._archive.read(entry), name)
        try:
            check_mesh(mesh.vertices, mesh.faces)
        except ValueError as error:
            raise DecodeError(name, f"the mesh cannot be: {error}") from None
        return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)

    def _load_landmarks(
        self, subtask: Subtask, participant_id: int, key: ImageKey
    ) -> npt.NDArray[Any]:
        entry = self._find(FileKind.NPY, subtask, participant_id, key)
        data = self._archive.read(entry)
        return parse_landmarks(data, f"{self._archive.path}/{entry.name}")
