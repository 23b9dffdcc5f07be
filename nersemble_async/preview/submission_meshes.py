"""The meshes of a submission as rows of tiles: each beside the image that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.spec import BENCHMARKS, FileKind, Subtask, Task
from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.image.picture import read_png
from nersemble_async.preview.mesh_picture import draw_shaded_mesh
from nersemble_async.preview.sheet import NoPictureError, RgbImage, Row, Tile
from nersemble_async.submission.entries import ExpectedEntry, submitted_subtasks
from nersemble_async.submission.reading.blocking_readers import SVFRSubmissionDataReader
from nersemble_async.submission.zips.zip_entries import EntryError, ZipEntry

_CELLS_IN_A_ROW = 4

Where = tuple[int, str, int, str]
"""Participant, sequence, timestep, serial."""


@dataclass(frozen=True, slots=True)
class MeshSheet:
    """What of a submission's meshes is drawn, and how."""

    path: Path
    """The zip."""
    root: Path
    """Of fetched data, for the images."""
    task: Task
    present: Mapping[str, ZipEntry]
    """By path inside the zip."""
    images: tuple[Where, ...]
    tile_height: int
    on_drawn: Callable[[], None]
    """Called after each mesh; what it raises ends all."""

    def rows(self) -> Iterator[Row]:
        """Image, posed and neutral mesh, some images in a row; meshes load as they are drawn."""
        subtasks = submitted_subtasks(self.task, self.present)
        reader = SVFRSubmissionDataReader(self.path)
        for first in range(0, len(self.images), _CELLS_IN_A_ROW):
            part = self.images[first : first + _CELLS_IN_A_ROW]
            tiles = [tile for where in part for tile in self._tiles(reader, where, subtasks)]
            participants = ", ".join(dict.fromkeys(f"{where[0]:03d}" for where in part))
            yield Row(f"{self.task}: {participants}, input and submitted meshes", tiles)

    def _tiles(
        self, reader: SVFRSubmissionDataReader, where: Where, subtasks: tuple[Subtask, ...]
    ) -> Iterator[Tile]:
        participant_id, name, timestep, serial = where
        path = self.root / BENCHMARKS[self.task].path(
            "images", participant_id, name, serial, timestep
        )
        folder = f"{participant_id:03d}/{name}\n_{timestep:03d}_{serial}/"  # in two lines
        yield Tile(folder, partial(read_png, path))
        for subtask in subtasks:
            load = partial(self._draw, reader, subtask, where)
            yield Tile(f"mesh_{subtask}.ply", load)

    def _draw(self, reader: SVFRSubmissionDataReader, subtask: Subtask, where: Where) -> RgbImage:
        try:
            return self._drawn(reader, subtask, where)
        finally:
            self.on_drawn()

    def _drawn(self, reader: SVFRSubmissionDataReader, subtask: Subtask, where: Where) -> RgbImage:
        load_mesh, load_landmarks = _loaders(reader, subtask)
        try:
            mesh = load_mesh(*where)
        except SelectionError as error:
            raise NoPictureError("missing from the zip") from error
        except EntryError as error:
            raise NoPictureError(f"{error.rule}: {error.found}") from error
        except DecodeError as error:
            raise NoPictureError(f"broken: {error.reason}") from error
        try:
            landmarks = load_landmarks(*where)
        except (SelectionError, EntryError, DecodeError):
            landmarks = None  # FLAME's topology needs none, and `validate` tells what is wrong
        usable = landmarks is not None and _is_usable(landmarks)
        size = (self.tile_height, self.tile_height)
        return draw_shaded_mesh(mesh.vertices, mesh.faces, size, landmarks if usable else None)


def mesh_images(entries: tuple[ExpectedEntry, ...]) -> list[Where]:
    """The images of entries, each once, in the benchmark's order."""
    return list(
        dict.fromkeys(
            (e.participant_id, e.sequence_name, e.timestep, e.serial)
            for e in entries
            if e.kind is FileKind.PLY and e.timestep is not None
        )
    )


def _loaders(
    reader: SVFRSubmissionDataReader, subtask: Subtask
) -> tuple[Callable[..., Any], Callable[..., npt.NDArray[Any]]]:
    return {
        "posed": (reader.load_posed_mesh, reader.load_posed_landmarks),
        "neutral": (reader.load_neutral_mesh, reader.load_neutral_landmarks),
    }[subtask]


def _is_usable(landmarks: npt.NDArray[Any]) -> bool:
    numbers = landmarks.shape == (7, 3) and landmarks.dtype.kind == "f"
    return numbers and bool(np.isfinite(landmarks).all())
