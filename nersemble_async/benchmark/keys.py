"""Typed keys: what a sequence, a video, a frame and an image are called."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nersemble_async.errors import SelectionError

_IMAGE_KEY_PATTERN = re.compile(r"([A-Za-z0-9_+-]+)_([0-9]+)_([0-9]+)")


@dataclass(frozen=True, slots=True, order=True)
class SequenceKey:
    """One recording of one participant."""

    participant_id: int
    sequence_name: str


@dataclass(frozen=True, slots=True, order=True)
class VideoKey:
    """What one camera saw of a sequence."""

    participant_id: int
    sequence_name: str
    serial: str

    @property
    def sequence(self) -> SequenceKey:
        """The sequence that the video belongs to."""
        return SequenceKey(self.participant_id, self.sequence_name)


@dataclass(frozen=True, slots=True, order=True)
class FrameKey:
    """What one camera saw at one timestep of a sequence."""

    participant_id: int
    sequence_name: str
    serial: str
    timestep: int
    """Dataset time as listed in metadata.json, not the position in the mp4."""

    @property
    def video(self) -> VideoKey:
        """The video that the frame belongs to."""
        return VideoKey(self.participant_id, self.sequence_name, self.serial)


@dataclass(frozen=True, slots=True, order=True)
class ImageKey:
    """One input image of the SVFR benchmark; unique within its participant."""

    sequence_name: str
    timestep: int
    serial: str

    def to_key(self) -> str:
        """The name in a submission: the timestep has at least three digits."""
        return f"{self.sequence_name}_{self.timestep:03d}_{self.serial}"

    @property
    def folder_name(self) -> str:
        """The folder's name in the dataset: the timestep is not padded."""
        return f"{self.sequence_name}_{self.timestep}_{self.serial}"

    @classmethod
    def from_name(cls, name: str) -> ImageKey:
        """The key that a folder name stands for, padded (submission) or not (dataset).

        Raises:
            SelectionError: ``name`` is not of the form ``{sequence}_{timestep}_{serial}``.
        """
        match = _IMAGE_KEY_PATTERN.fullmatch(name)
        if match is None:
            raise SelectionError(f"{name!r} is not an image key; one looks like FREE_786_222200038")
        sequence_name, timestep, serial = match.groups()
        return cls(sequence_name, int(timestep), serial)
