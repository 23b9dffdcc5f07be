"""One submitted video against what the benchmark asks for: container, codec, size, rate, counts.

Blocking. What a file holds is never an exception, always an issue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nersemble_async.benchmark.spec import BenchmarkSpec
from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.facts import read_damaged_header, read_video_facts
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.small_pictures import decode_small
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.video_content import (
    FrameLook,
    RgbPicture,
    VideoSample,
    content_issues,
    look_at,
    looks_frozen,
    small_size,
)
from nersemble_async.submission.validation.video_format_checks import (
    RIGHT_CODEC,
    facts_issues,
    header_issues,
)
from nersemble_async.submission.validation.video_sampling import choose_frames, spread

_MOST_PIXELS = 1 << 25
"""Of a frame that is decoded; 19 times as many as a benchmark's frames have."""
_MOST_SAMPLES = 5
_MOST_DELAYED = 17
"""Frames that an H.264 decoder may hold back, and the damaged one."""
_DECODES = "frames that decode, each of them"


@dataclass(frozen=True, slots=True, eq=False)
class VideoFindings:
    """What was found out about one video."""

    issues: tuple[SubmissionIssue, ...]
    samples: tuple[VideoSample, ...] = ()
    """Up to five small pictures, in order, the first frame's among them; none where the video
    does not decode. All videos of a benchmark have them in one size."""
    digest: bytes = b""
    """SHA-256 of the file."""
    n_frames: int | None = None
    """Frames that are shown, by packets; None where they could not be counted."""


def check_video(
    path: Path,
    entry: ExpectedEntry,
    spec: BenchmarkSpec,
    n_frames: int | None,
    *,
    deep: bool,
    on_frame: Callable[[], None] | None = None,
) -> VideoFindings:
    """Look for everything that can be wrong with a video by itself.

    Args:
        path: the mp4, out of its zip.
        entry: what it is to be; its path stands in the issues.
        spec: frame size and rate.
        n_frames: timesteps of the sequence; None where they are not known, then not compared.
        deep: decode every frame; else as few as a third of a second's work allows.
        on_frame: called with each decoded frame; what it raises ends the check.

    Returns:
        Issues in the order container, size, counts, rate, codec, frames, content.

    Raises:
        OSError: the file cannot be read. Never for what is in it.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    try:
        facts = read_video_facts(path)
    except DecodeError as error:
        expected = "a whole mp4 with one H.264 video"
        issues = [breach("unreadable-video", entry.path, error.reason, expected)]
        header = read_damaged_header(path)
        if header is not None:
            issues += header_issues(entry.path, header, spec, n_frames)
        return VideoFindings(tuple(issues), digest=digest)
    info = facts.info
    issues = facts_issues(entry.path, facts, spec, n_frames)
    n_found = info.n_frames if facts.damage is None else None
    seen: list[SubmissionIssue] = []
    samples: tuple[VideoSample, ...] = ()
    if n_found and 0 < info.width * info.height <= _MOST_PIXELS:
        try:
            reader = VideoReader(path)
        except DecodeError as error:
            # Of other codecs some cannot be read frame by frame here: they are wrong anyway.
            if info.codec == RIGHT_CODEC:
                seen = [breach("undecodable-video", entry.path, error.reason, _DECODES)]
        else:
            with reader:
                seen, samples = _look_into(reader, entry.path, spec, deep, on_frame)
    return VideoFindings((*issues, *seen), samples, digest, n_found)


def _look_into(
    reader: VideoReader,
    entry: str,
    spec: BenchmarkSpec,
    deep: bool,
    on_frame: Callable[[], None] | None,
) -> tuple[list[SubmissionIssue], tuple[VideoSample, ...]]:
    """Decode frames and judge them."""
    chosen = range(reader.n_frames) if deep else choose_frames(reader.index)
    kept_indices = frozenset(spread(chosen, _MOST_SAMPLES))
    view = _View(reader, small_size(spec.frame_size), kept_indices, on_frame)
    issues = view.look(entry, chosen)
    samples = tuple(view.samples)
    if not issues and not deep and looks_frozen(view.looks, reader.n_frames):
        # Before it is called frozen, a calm head gets the chance to move.
        issues = view.look(entry, range(reader.n_frames), until_motion=True)
    if view.looks:
        issues += content_issues(entry, view.looks, reader.n_frames)
    return issues, samples


class _View:
    """What was seen of a video so far."""

    def __init__(
        self,
        reader: VideoReader,
        size: tuple[int, int],
        kept_indices: frozenset[int],
        on_frame: Callable[[], None] | None,
    ) -> None:
        self._reader = reader
        self._on_frame = on_frame
        self._shape = (reader.info.width, reader.info.height)
        self._size = size
        self._kept_indices = kept_indices
        self._first: RgbPicture | None = None
        self.looks: list[FrameLook] = []
        self.samples: list[VideoSample] = []

    def look(
        self, entry: str, frame_indices: Sequence[int], *, until_motion: bool = False
    ) -> list[SubmissionIssue]:
        """Look at these frames anew; what is wrong with their data."""
        self.looks, self.samples = [], []
        issues: list[SubmissionIssue] = []
        try:
            for frame, picture in decode_small(self._reader, frame_indices, self._size):
                if self._on_frame is not None:
                    self._on_frame()
                look = self._keep(frame.frame_index, picture)
                shape = (frame.width, frame.height)
                if shape != self._shape and not issues:
                    found = f"frame {frame.frame_index} is {shape[0]} x {shape[1]} pixels"
                    expected = "{} x {}, as the first frames".format(*self._shape)
                    issues.append(breach("wrong-resolution", entry, found, expected))
                if until_motion and look.moves:
                    break
        except DecodeError as error:
            error = self._look_on(error, len(frame_indices))
            issues.append(self._undecodable(entry, error, len(frame_indices)))
        return issues

    def _keep(self, frame_index: int, picture: RgbPicture) -> FrameLook:
        self._first = picture if self._first is None else self._first
        look = look_at(frame_index, picture, self._first)
        self.looks.append(look)
        if frame_index in self._kept_indices:
            self.samples.append(VideoSample(frame_index, picture))
        return look

    def _look_on(self, error: DecodeError, n_looked_at: int) -> DecodeError:
        """The error of the frame that is damaged.

        A decoder fails at a packet, when frames that are shown before it may still be to come.
        """
        n_frames = self._reader.n_frames
        if error.frame is None or n_looked_at < n_frames:
            return error
        for frame_index in range(error.frame, min(error.frame + _MOST_DELAYED, n_frames)):
            try:
                for frame, picture in decode_small(self._reader, [frame_index], self._size):
                    self._keep(frame.frame_index, picture)
            except DecodeError as following:
                return following
        return error

    def _undecodable(self, entry: str, error: DecodeError, n_looked_at: int) -> SubmissionIssue:
        n_frames, n_fine = self._reader.n_frames, len(self.looks)
        where = "a frame" if error.frame is None else f"frame {error.frame} of {n_frames}"
        before = f"{n_fine} frames looked at"
        if n_looked_at == n_frames and error.frame is not None:
            before = f"{error.frame} frames"
        found = f"{where}: {error.reason}; {before} before it are fine"
        return breach("undecodable-video", entry, found, _DECODES)
