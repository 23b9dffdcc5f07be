"""pydantic models of metadata.json and camera_params.json, and what planners read of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from nersemble_async.benchmark.checked_json import parse_json
from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS, Task

_PARTICIPANT_KEY = re.compile(r"0|[1-9][0-9]{0,8}")
_LARGEST_TIMESTEP = 99_999
"""File names have five digits for it."""
_LAST_ROW = (0.0, 0.0, 0.0, 1.0)
_LAST_ROW_TOLERANCE = 1e-6


class TaskMetadata(Protocol):
    """What a planner asks of a benchmark's metadata, whichever benchmark it is."""

    def timesteps(self, participant_id: int, sequence_name: str) -> Sequence[int]:
        """The sequence's timesteps, ascending; empty where they are not known."""
        ...

    def n_frames(self, participant_id: int, sequence_name: str) -> int | None:
        """Frames in each of the sequence's videos; None where that is not known."""
        ...


_MatrixT = TypeVar("_MatrixT")

# --------------------------------------------------------------------------------------------
# Field types
# --------------------------------------------------------------------------------------------


def _id_from_json_key(key: object) -> object:
    """JSON keys are strings: ``"388"`` → 388; anything but plain digits is refused."""
    if isinstance(key, str):
        if not _PARTICIPANT_KEY.fullmatch(key):
            raise ValueError("should be a participant's number, such as 388")
        return int(key)
    return key


def _ascending(timesteps: tuple[int, ...]) -> tuple[int, ...]:
    """The position of a timestep is its frame in the video: only one order makes sense."""
    if not timesteps:
        raise ValueError("should not be empty")
    for position, (previous, following) in enumerate(pairwise(timesteps), start=1):
        if following <= previous:
            raise ValueError(
                f"should ascend without repetition, but [{position}] is {following} after "
                f"{previous}"
            )
    return timesteps


def _world_2_cam_last_row(matrix: Matrix4x4) -> Matrix4x4:
    pairs = zip(matrix[3], _LAST_ROW, strict=True)
    if any(abs(value - wanted) > _LAST_ROW_TOLERANCE for value, wanted in pairs):
        raise ValueError(f"the last row should be 0 0 0 1, not {' '.join(map(str, matrix[3]))}")
    return matrix


def _not_empty(cameras: dict[str, _MatrixT]) -> dict[str, _MatrixT]:
    if not cameras:
        raise ValueError("should hold at least one camera")
    return cameras


ParticipantId = Annotated[int, BeforeValidator(_id_from_json_key)]
Timestep = Annotated[int, Field(strict=True, ge=0, le=_LARGEST_TIMESTEP)]
Serial = Annotated[str, StringConstraints(min_length=1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Row3 = tuple[Number, Number, Number]
Row4 = tuple[Number, Number, Number, Number]
Matrix3x3 = tuple[Row3, Row3, Row3]
Matrix4x4 = tuple[Row4, Row4, Row4, Row4]


class _Model(BaseModel):
    # Extra keys are allowed and kept: a newer server may say more than we read.
    model_config = ConfigDict(frozen=True, extra="allow")


# --------------------------------------------------------------------------------------------
# metadata.json
# --------------------------------------------------------------------------------------------


class NVSSequenceMetadata(_Model):
    """One entry of ``sequences``."""

    sequence_name: str
    timesteps: Annotated[tuple[Timestep, ...], AfterValidator(_ascending)]
    """Dataset times, ascending; the position is the frame's index in the videos."""


class NVSMetadata(_Model):
    """``nvs/metadata.json``."""

    sequences: dict[ParticipantId, NVSSequenceMetadata]
    """By participant_id."""

    def timesteps(self, participant_id: int, sequence_name: str) -> Sequence[int]:
        """See `TaskMetadata.timesteps`."""
        sequence = self.sequences.get(participant_id)
        if sequence is None or sequence.sequence_name != sequence_name:
            return ()
        return sequence.timesteps

    def n_frames(self, participant_id: int, sequence_name: str) -> int | None:
        """See `TaskMetadata.n_frames`."""
        return len(self.timesteps(participant_id, sequence_name)) or None


class MonoFlameAvatarSequenceMetadata(_Model):
    """One entry of ``sequences_metadata``."""

    n_frames: Annotated[int, Field(strict=True, ge=1)]


class MonoFlameAvatarParticipantMetadata(_Model):
    """One entry of ``participants_metadata``."""

    sequences_metadata: dict[str, MonoFlameAvatarSequenceMetadata]
    """By sequence_name, train and test."""


class MonoFlameAvatarMetadata(_Model):
    """``mono_flame_avatar/metadata.json``."""

    participants_metadata: dict[ParticipantId, MonoFlameAvatarParticipantMetadata]
    """By participant_id."""

    def timesteps(self, participant_id: int, sequence_name: str) -> Sequence[int]:
        """See `TaskMetadata.timesteps`; this benchmark counts from 0 without gaps."""
        return range(self.n_frames(participant_id, sequence_name) or 0)

    def n_frames(self, participant_id: int, sequence_name: str) -> int | None:
        """See `TaskMetadata.n_frames`."""
        participant = self.participants_metadata.get(participant_id)
        if participant is None:
            return None
        sequence = participant.sequences_metadata.get(sequence_name)
        return None if sequence is None else sequence.n_frames


_METADATA_MODELS: Mapping[Task, type[NVSMetadata | MonoFlameAvatarMetadata]] = MappingProxyType(
    {"nvs": NVSMetadata, "mono_flame_avatar": MonoFlameAvatarMetadata}
)


@dataclass(frozen=True, slots=True)
class DocumentedMetadata:
    """A `TaskMetadata` from documented counts, for looking at a root before any fetch.

    Documented are the lengths of the NVS sequences, with timesteps that count from 0; of other
    sequences nothing is known. A server's metadata.json is the authority.
    """

    counts: Mapping[SequenceKey, int]

    def timesteps(self, participant_id: int, sequence_name: str) -> Sequence[int]:
        """See `TaskMetadata.timesteps`."""
        return range(self.n_frames(participant_id, sequence_name) or 0)

    def n_frames(self, participant_id: int, sequence_name: str) -> int | None:
        """See `TaskMetadata.n_frames`."""
        return self.counts.get(SequenceKey(participant_id, sequence_name))


def metadata_from_spec(task: Task) -> TaskMetadata:
    """What is documented of a benchmark's lengths; see `DocumentedMetadata`."""
    return DocumentedMetadata(BENCHMARKS[task].n_frames)


# --------------------------------------------------------------------------------------------
# camera_params.json
# --------------------------------------------------------------------------------------------


class CameraParams(_Model):
    """``{task}/{participant}/calibration/camera_params.json``, hold-out cameras included."""

    world_2_cam: Annotated[
        dict[Serial, Annotated[Matrix4x4, AfterValidator(_world_2_cam_last_row)]],
        AfterValidator(_not_empty),
    ]
    """By serial: 4×4 row by row, metres, OpenCV convention (x right, y down, z forward)."""
    intrinsics: Annotated[dict[Serial, Matrix3x3], AfterValidator(_not_empty)]
    """By serial: 3×3 row by row, pixels of the published frames."""


# --------------------------------------------------------------------------------------------
# Parsing
# --------------------------------------------------------------------------------------------


def parse_metadata(task: Task, data: bytes, source: str) -> NVSMetadata | MonoFlameAvatarMetadata:
    """The content of a task's metadata.json.

    Args:
        task: whose.
        data: the file's bytes.
        source: the file's name for messages, such as its path relative to the root.

    Raises:
        MetadataError: it is no JSON or breaks the schema; names ``source`` and the field.
        ValueError: the task has no metadata.json.
    """
    model = _METADATA_MODELS.get(task)
    if model is None:
        raise ValueError(f"{task} has no metadata.json")
    return parse_json(model, data, source)


def parse_camera_params(data: bytes, source: str) -> CameraParams:
    """The content of a camera_params.json; arguments and errors as in `parse_metadata`."""
    return parse_json(CameraParams, data, source)
