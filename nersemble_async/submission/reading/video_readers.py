"""The official readers of submitted videos, for code without an event loop."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from nersemble_async.errors import ConfigurationError, SelectionError, SubmissionError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.submission.metadata_source import require_metadata
from nersemble_async.submission.reading.entry_video import EntryVideo, RgbImage
from nersemble_async.submission.reading.official_methods import VideoSubmissionPaths
from nersemble_async.submission.reading.reader_base import SubmissionDataReader

_VIDEO_PATH = re.compile(r"([0-9]{1,9})/([A-Za-z0-9_+-]+)/cam_([A-Za-z0-9_]+)\.mp4")


class VideoSubmissionDataReader(VideoSubmissionPaths, SubmissionDataReader):
    """A submission of videos."""

    def get_file_overview(self) -> dict[int, dict[str, list[str]]]:
        """Serials by participant_id and sequence_name, in the order of the zip.

        Entries whose names only resemble a video's (of another padding, in another folder) are
        not listed: neither `load_video` nor the benchmark finds them.
        """
        overview: dict[int, dict[str, list[str]]] = {}
        for name in self._entries:
            match = _VIDEO_PATH.fullmatch(name)
            if match is None:
                continue
            participant_id, sequence_name, serial = int(match[1]), match[2], match[3]
            if name == self.get_video_path(participant_id, sequence_name, serial):
                sequences = overview.setdefault(participant_id, {})
                sequences.setdefault(sequence_name, []).append(serial)
        return overview

    def load_video(  # noqa: PLR0917 -- the official signature
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        every_nth_frame: int | None = None,
        timestep: int | None = None,
        scale: float | None = None,
    ) -> list[RgbImage]:
        """Frames, each (H, W, 3) uint8 RGB; `iterate_video` takes less memory.

        Args:
            participant_id: whose.
            sequence_name: of the participant.
            serial: of the camera.
            every_nth_frame: only frames 0, n, 2n, …
            timestep: only this frame, counted in the video from 0.
            scale: factor of both sides, filtered as the official toolkit does.

        Raises:
            SelectionError: the zip has no such video, the video no such frame, or both
                ``every_nth_frame`` and ``timestep`` are given.
            EntryError, DecodeError: the entry is damaged, or no video.
            SubmissionError: all frames together would not fit into this machine's memory.
            DiskFullError: no room to extract the video (to the folder TMPDIR).
        """
        if timestep is not None and every_nth_frame is not None:
            raise SelectionError("give every_nth_frame or timestep, not both")
        frame_format = FrameFormat(scale=scale)  # a bad scale is found before all else
        path = self.get_video_path(participant_id, sequence_name, serial)
        with self.open_entry_video(path) as video:
            if timestep is not None:
                return [video.frame(timestep, scale)]
            frames = video.frames(1 if every_nth_frame is None else every_nth_frame, scale)
            n_frames = len(range(0, video.info.n_frames, every_nth_frame or 1))
            n_bytes = n_frames * frame_format.array_bytes(video.info.width, video.info.height)
            if n_bytes > _memory_bytes():
                raise SubmissionError(
                    f"{video.name}: {n_frames} frames of it take {n_bytes / 1e9:.0f} GB, more than "
                    "there is memory; iterate_video gives one at a time"
                )
            return list(frames)

    def iterate_video(
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        every_nth_frame: int | None = None,
        scale: float | None = None,
    ) -> Iterator[RgbImage]:
        """The frames of `load_video` one at a time: memory does not depend on the length.

        The video is opened here, and closed at the iterator's end or with it. Arguments and errors
        as in `load_video`; `DecodeError` also while iterating.
        """
        FrameFormat(scale=scale)
        path = self.get_video_path(participant_id, sequence_name, serial)
        video = self.open_entry_video(path)
        try:
            frames = video.frames(1 if every_nth_frame is None else every_nth_frame, scale)
        except BaseException:
            video.close()
            raise
        return _closing(video, frames)

    def open_entry_video(self, path: str) -> EntryVideo:
        """The video of that path in the zip, for the caller to close; errors of `load_video`."""
        return EntryVideo(self._archive, self._entry(path))

    def list_expected_video_lengths(self) -> dict[str, int]:
        """Frames of each video of a complete submission, by its path inside the zip.

        Raises:
            ConfigurationError: there is no metadata.json, or it lacks a sequence; says what to do.
            MetadataError: metadata.json breaks its schema.
        """
        source = require_metadata(self.task, self._benchmark_folder, self._metadata)
        lengths: dict[str, int] = {}
        for participant_id, names in self.spec.submission_sequences.items():
            for name in names:
                n_frames = source.metadata.n_frames(participant_id, name)
                if n_frames is None:
                    raise ConfigurationError(
                        f"{source.origin} does not say how long {participant_id}/{name} is; fetch "
                        f"it anew with `nersemble-async fetch {self.task} --assets calibration`"
                    )
                for serial in self.spec.submission_serials:
                    lengths[self.get_video_path(participant_id, name, serial)] = n_frames
        return lengths

    def has_all(self, participant_id: int, sequence_name: str) -> bool:
        """Whether the zip has a video of each camera of a sequence."""
        serials = self.spec.submission_serials
        try:
            paths = [self.get_video_path(participant_id, sequence_name, s) for s in serials]
        except SelectionError:  # no name of a sequence
            return False
        return all(path in self._entries for path in paths)

    def has_all_videos(self, participant_id: int | None = None) -> bool:
        """Whether the zip has all videos of a participant; None: of each participant."""
        sequences = self.spec.submission_sequences
        if participant_id is not None and participant_id not in sequences:
            return False
        chosen = sequences if participant_id is None else (participant_id,)
        return all(self.has_all(p, name) for p in chosen for name in sequences[p])


class NVSSubmissionDataReader(VideoSubmissionDataReader):
    """A submission to the dynamic novel view synthesis benchmark."""

    task = "nvs"

    def is_complete(self, participant_id: int, sequence_name: str) -> bool:
        """Whether the zip has a video of each hold-out camera."""
        return self.has_all(participant_id, sequence_name)


class MonoFlameAvatarSubmissionDataReader(VideoSubmissionDataReader):
    """A submission to the monocular FLAME avatar benchmark."""

    task = "mono_flame_avatar"

    def is_complete(self, participant_id: int | None = None) -> bool:
        """Whether the zip has all videos of a participant; None: of each participant."""
        return self.has_all_videos(participant_id)


def _closing(video: EntryVideo, frames: Iterator[RgbImage]) -> Iterator[RgbImage]:
    with video:
        yield from frames


def _memory_bytes() -> int:
    """Of this machine, free or not."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
