"""The videos of a submission as rows of tiles: cameras side by side, at a few timesteps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TypeVar

import numpy as np
from PIL import Image

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.errors import CacheError, DecodeError, DiskFullError, MetadataError
from nersemble_async.preview.sheet import NoPictureError, RgbImage, Row, Tile
from nersemble_async.preview.submission_references import ChooseFrame, Reference, Shot
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.reading.entry_video import EntryVideo
from nersemble_async.submission.zips.zip_entries import EntryError, SubmissionZip, ZipEntry

T = TypeVar("T")

MOST_BESIDE = 6
"""Tiles of a row whose references stand beside them; those of longer rows stand below."""
_FINER = 2
"""Times as high as a tile is the picture that is drawn over."""
_MANY_SHOTS, _FEW_SEQUENCES = 3, 2
"""So many timesteps of so few sequences; of more, the middle one."""

FindReference = Callable[[int], Reference | None]
"""By participant; once for each."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A submitted picture and what is set beside it."""

    submitted: Tile
    reference: Tile | None


@dataclass(frozen=True, slots=True)
class VideoSheet:
    """What of a submission's videos is drawn, and how."""

    archive: SubmissionZip
    task: Task
    present: Mapping[str, ZipEntry]
    """By path inside the zip."""
    chosen: tuple[ExpectedEntry, ...]
    """Videos, in the benchmark's order."""
    frames: tuple[int, ...] | None
    """Counted from 0; None: the middle one, or three of few sequences."""
    find_reference: FindReference
    tile_height: int
    on_drawn: Callable[[], None]
    """Called after each video; what it raises ends all."""

    def rows(self) -> Iterator[Row]:
        """Participant by participant, timestep by timestep; one video is open at a time."""
        for participant_id, group in groupby(self.chosen, lambda e: e.participant_id):
            entries = tuple(group)
            reference = self.find_reference(participant_id)
            of_videos = [list(self._pairs(entry, reference)) for entry in entries]
            names = list(dict.fromkeys(entry.sequence_name for entry in entries))
            where = f"{self.task}: {participant_id:03d}" + (f"/{names[0]}" * (len(names) == 1))
            for pairs in zip(*of_videos, strict=True):
                yield from _arranged(where, pairs, reference)

    def _choices(self) -> list[ChooseFrame]:
        if self.frames is not None:
            return [partial(_always, index) for index in self.frames]
        n_sequences = len({(e.participant_id, e.sequence_name) for e in self.chosen})
        count = _MANY_SHOTS if n_sequences <= _FEW_SEQUENCES else 1
        return [partial(_at_share, (k + 0.5) / count) for k in range(count)]

    def _pairs(self, entry: ExpectedEntry, reference: Reference | None) -> Iterator[_Pair]:
        yield from self._drawn_pairs(entry, reference)
        self.on_drawn()

    def _drawn_pairs(self, entry: ExpectedEntry, reference: Reference | None) -> Iterator[_Pair]:
        choices = self._choices()
        try:
            video = self._open(entry)
        except NoPictureError as error:
            for choose in choices:
                shot = Shot(entry.sequence_name, entry.serial, None, choose, None)
                yield self._pair(entry, shot, error, "", reference)
            return
        with video:
            for choose in choices:
                n_frames = video.info.n_frames
                index = choose(n_frames)
                drawn = _try(partial(_frame, video, index))
                # What is drawn over it needs no more pixels, and few points close a surface then.
                small = _shrunk(drawn, _FINER * self.tile_height)
                picture = None if isinstance(small, Exception) else small
                shot = Shot(entry.sequence_name, entry.serial, index, choose, picture)
                told = f"frame {index} of {n_frames}"
                yield self._pair(entry, shot, drawn, told, reference)

    def _open(self, entry: ExpectedEntry) -> EntryVideo:
        there = self.present.get(entry.path)
        if there is None:
            raise NoPictureError("missing from the zip")
        try:
            return EntryVideo(self.archive, there)
        except EntryError as error:
            raise NoPictureError(f"{error.rule}: {error.found}") from error
        except DecodeError as error:
            raise NoPictureError(f"broken: {error.reason}") from error

    def _pair(
        self,
        entry: ExpectedEntry,
        shot: Shot,
        drawn: RgbImage | Exception,
        told: str,
        reference: Reference | None,
    ) -> _Pair:
        spec = BENCHMARKS[self.task]
        of_several = len(spec.submission_sequences[entry.participant_id]) > 1
        lines = [entry.sequence_name] if of_several else []
        label = "\n".join([*lines, entry.path.split("/")[-1], told])
        submitted = Tile(label, _loader(_shrunk(drawn, self.tile_height)), spec.frame_size)
        if reference is None:
            return _Pair(submitted, None)
        beside = _try(partial(reference.draw, shot))
        under = _try(partial(reference.label, shot))
        under = under if isinstance(under, str) else "\n"
        tile = Tile(under, _loader(_shrunk(beside, self.tile_height)), spec.frame_size)
        return _Pair(submitted, tile)


def _arranged(where: str, pairs: tuple[_Pair, ...], reference: Reference | None) -> Iterator[Row]:
    submitted = [pair.submitted for pair in pairs]
    beside = [pair.reference for pair in pairs if pair.reference is not None]
    if reference is None or not beside:
        yield Row(f"{where}, submitted", submitted)
    elif len(pairs) <= MOST_BESIDE:
        both = [tile for pair in zip(submitted, beside, strict=True) for tile in pair]
        yield Row(f"{where}, submitted, and {reference.title}", both)
    else:
        yield Row(f"{where}, submitted", submitted)
        yield Row(f"{where}, {reference.title}", beside)


def _always(index: int, n_frames: int) -> int:  # noqa: ARG001 -- as of all that choose
    return index


def _at_share(share: float, n_frames: int) -> int:
    return int(share * n_frames)


def _frame(video: EntryVideo, index: int) -> RgbImage:
    n_frames = video.info.n_frames
    if index >= n_frames:
        raise NoPictureError(f"no frame {index}, the video has {n_frames}")
    try:
        return video.frame(index)
    except DecodeError as error:
        raise NoPictureError(f"frame {index} does not decode: {error.reason}") from error


def _shrunk(drawn: RgbImage | Exception, height: int) -> RgbImage | Exception:
    """Not higher than that: the pictures of all rows are in memory until the sheet is drawn."""
    if isinstance(drawn, Exception) or drawn.shape[0] <= height:
        return drawn
    size = max(1, round(drawn.shape[1] * height / drawn.shape[0])), height
    return np.array(Image.fromarray(drawn).resize(size, Image.Resampling.LANCZOS))


def _try(make: Callable[[], T]) -> T | Exception:
    """What it makes, or why it could not: a tile says it."""
    try:
        return make()
    except DiskFullError:
        raise
    except (CacheError, DecodeError, MetadataError, NoPictureError, OSError) as error:
        return error


def _loader(drawn: RgbImage | Exception) -> Callable[[], RgbImage]:
    def load() -> RgbImage:
        if isinstance(drawn, Exception):
            raise drawn
        return drawn

    return load
