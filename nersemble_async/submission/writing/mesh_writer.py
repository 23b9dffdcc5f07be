"""The writer of submitted meshes, for code without an event loop: the core of the awaited one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.spec import Subtask, Task
from nersemble_async.submission.entries import mesh_entries
from nersemble_async.submission.writing.writer_base import SubmissionDataWriter


class SVFRSubmissionDataWriter(SubmissionDataWriter):
    """Writes a submission to the single-view face reconstruction benchmark: 391 meshes, or twice.

    Either posed or neutral meshes, or both; of each that is begun, all have to be there.
    """

    _task: Task = "svfr"

    def __init__(
        self, zip_path: str | Path, *, resume: bool | None = None, allow_partial: bool = False
    ) -> None:
        super().__init__(zip_path, resume=resume, allow_partial=allow_partial)

    def add_posed_mesh(  # noqa: PLR0917 -- the official signature
        self,
        participant_id: int,
        sequence_name: str,
        timestep: int,
        serial: str,
        mesh: object,
        now_landmarks: npt.NDArray[np.floating] | None = None,
    ) -> bool:
        """Write the mesh with the expression of the image.

        Args:
            participant_id: such as 17.
            sequence_name: of the image, as timestep and serial.
            timestep: of the image.
            serial: of the image.
            mesh: a trimesh.Trimesh, or vertices (V, 3) and faces (F, 3) as two arrays; each vertex
                and face is written as it is.
            now_landmarks: (7, 3), of the NoW convention, in the mesh's coordinates; needed where
                the mesh has not FLAME's 5,023 vertices.

        Returns:
            Whether it was written; False: it was there, in a resumed zip.

        Raises:
            SelectionError: there is no such image.
            InvalidPredictionError: something is wrong with the mesh or the landmarks.
            SubmissionError: it was written already.
        """
        image_key = ImageKey(sequence_name, timestep, serial)
        return self._add_mesh("posed", participant_id, image_key, mesh, now_landmarks)

    def add_neutral_mesh(  # noqa: PLR0917 -- the official signature
        self,
        participant_id: int,
        sequence_name: str,
        timestep: int,
        serial: str,
        mesh: object,
        now_landmarks: npt.NDArray[np.floating] | None = None,
    ) -> bool:
        """Write the mesh of the same person with a neutral expression; see `add_posed_mesh`."""
        image_key = ImageKey(sequence_name, timestep, serial)
        return self._add_mesh("neutral", participant_id, image_key, mesh, now_landmarks)

    def _add_mesh(
        self,
        subtask: Subtask,
        participant_id: int,
        image_key: ImageKey,
        mesh: object,
        now_landmarks: npt.NDArray[np.floating] | None,
    ) -> bool:
        from nersemble_async.submission.writing.mesh_predictions import mesh_files  # noqa: PLC0415

        self._refuse_closed()
        entry, marks = mesh_entries(self._spec, subtask, participant_id, image_key)
        if entry.path in self.resumed:
            return False
        files = mesh_files(mesh, now_landmarks, name=entry.path)
        landmarks = {} if files.landmarks is None else {marks.path: files.landmarks}
        self._archive.add_bytes({entry.path: files.ply, **landmarks})
        return True
