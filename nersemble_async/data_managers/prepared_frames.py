"""Videos whose frames are to be decoded beforehand: which, how much room they take. Blocking."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nersemble_async.cache.frame_segment import DATA_OFFSET, SEGMENT_FRAMES
from nersemble_async.cache.frame_space import list_segments
from nersemble_async.cache.store import STATE_FOLDER
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.formats.video.frame_codec import encode_frame
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FrameCache, FrameCacheMode
from nersemble_async.settings import Settings

_SAMPLED_KEYFRAMES = 3
_SAMPLED_BEHIND = 8
"""So many frames behind each of these keyframes another one is sampled."""


def make_frame_cache(settings: Settings, mode: FrameCacheMode = "compressed") -> FrameCache:
    """The frame cache that the settings name; what `prepare` fills. Give it to a data manager.

    Args:
        settings: its ``frame_cache_folder`` (None: in the root) and ``frame_cache_limit``.
        mode: how frames are stored that are not yet.
    """
    folder = settings.frame_cache_folder
    folder = settings.root / STATE_FOLDER / "frame_cache" if folder is None else folder.expanduser()
    return FrameCache(folder, settings.frame_cache_limit, mode=mode)


@dataclass(frozen=True, slots=True)
class VideoSurvey:
    """A video, and what decoding all of it beforehand comes to."""

    file: PlannedFile
    source: VideoSource
    n_frames: int
    n_present: int
    """Frames that are stored already."""
    present_bytes: int
    """That these take on disk."""
    missing_bytes: int
    """That the others will take: of raw frames exactly, of compressed ones estimated."""
    raw_bytes: int
    """That all frames take raw."""

    @property
    def key(self) -> str:
        """In the frame cache, as data managers have it."""
        return self.file.path

    @property
    def n_missing(self) -> int:
        """Frames to be decoded."""
        return self.n_frames - self.n_present


def videos_to_prepare(
    assets: LocalAssets,
    sequence_name: str | None,
    asset_keys: Sequence[str],
    serials: Sequence[str] | None,
) -> tuple[list[PlannedFile], list[PlannedFile]]:
    """Videos on disk, and videos that are published but not on disk.

    Args:
        assets: whose.
        sequence_name: of which; None: of all that have videos.
        asset_keys: ``images``, ``alpha_maps``.
        serials: of which cameras, which have to be on disk; None: of those that are.

    Raises:
        SelectionError: a sequence or camera that does not exist, or has no videos.
        NotCachedError: none is on disk, or one of ``serials`` is not; says how to fetch it.
    """
    files = assets.files
    if not files.spec.train_serials:
        raise SelectionError(f"{files.spec.task} has no videos, its images are PNG files already")
    wanted = [
        files.video(asset_key, name, serial)
        for asset_key in asset_keys
        for name in ([sequence_name] if sequence_name else files.sequences_of(asset_key))
        for serial in serials or files.serials_of(asset_key, name)
    ]
    there = [file for file in wanted if assets.is_there(file)]
    missing = [file for file in wanted if not assets.is_there(file)]
    if missing and (serials is not None or not there):
        raise files.not_cached(missing[0])
    return there, missing


def survey_video(assets: LocalAssets, file: PlannedFile, cache: FrameCache) -> VideoSurvey:
    """Look what is stored of a video and what is not; a few frames are decoded and compressed.

    Raises:
        NotCachedError: the video is not on disk.
        DecodeError: it is broken, or of a kind whose frames cannot be stored exactly.
    """
    source, index = assets.video_source(file), assets.read_index(file)
    present = assets.read(file, lambda _: cache.stored(source, file.path))
    segments = {frame_index // SEGMENT_FRAMES for frame_index in present}
    n_segments = -(-index.n_frames // SEGMENT_FRAMES)
    stored_bytes, raw_frame_bytes = _sample(source, index, is_compressed=cache.mode != "raw")
    return VideoSurvey(
        file=file,
        source=source,
        n_frames=index.n_frames,
        n_present=len(present),
        present_bytes=stored_size(cache.folder, [file.path]) if present else 0,
        missing_bytes=round(
            (index.n_frames - len(present)) * stored_bytes
            + (n_segments - len(segments)) * DATA_OFFSET
        ),
        raw_bytes=index.n_frames * raw_frame_bytes + n_segments * DATA_OFFSET,
    )


def _sample(source: VideoSource, index: VideoIndex, *, is_compressed: bool) -> tuple[float, int]:
    """Bytes that a frame takes as it will be stored, in the mean, and raw."""
    keyframes = index.keyframes
    places = np.linspace(0, len(keyframes) - 1, _SAMPLED_KEYFRAMES + 2)[1:-1]
    chosen = keyframes[np.unique(np.rint(places).astype(int))]
    behind = np.minimum(chosen + _SAMPLED_BEHIND, index.n_frames - 1)
    frames = np.unique(np.concatenate([chosen, behind]))
    sizes = []
    with source.open() as reader:
        for frame in reader.decode_frames(frames if is_compressed else frames[:1]):
            raw = encode_frame(frame, is_compressed=False, chroma_location=0)
            stored = encode_frame(frame, is_compressed=is_compressed, chroma_location=0)
            if raw is None or stored is None:
                reason = "frames of this kind (interlaced, or of a rare pixel format) are not kept"
                raise DecodeError(str(source.path), reason)
            sizes.append((stored.nbytes, raw.nbytes))
    return sum(stored for stored, _ in sizes) / len(sizes), sizes[0][1]


def stored_size(folder: Path, keys: Iterable[str]) -> int:
    """Bytes on disk of videos in the frame cache's folder."""
    return sum(segment.size_bytes for key in keys for segment in list_segments(folder / key))


@dataclass(frozen=True, slots=True)
class RoomSurvey:
    """Whether all of some videos can be in the frame cache together."""

    folder: Path
    present_bytes: int
    """Of these videos, in the cache already."""
    missing_bytes: int
    """Of these videos, still to be written."""
    other_bytes: int
    """Of other videos in the cache."""
    free_bytes: int
    """On the cache's file system."""
    limit_bytes: int | None

    @property
    def evicted_bytes(self) -> int:
        """Of other videos, that have to make room within the limit."""
        if self.limit_bytes is None:
            return 0
        total_bytes = self.present_bytes + self.missing_bytes + self.other_bytes
        return min(self.other_bytes, max(0, total_bytes - self.limit_bytes))

    @property
    def fits_limit(self) -> bool:
        """Whether the limit leaves room for them, whatever of others is evicted."""
        total_bytes = self.present_bytes + self.missing_bytes
        return self.limit_bytes is None or total_bytes <= self.limit_bytes

    @property
    def fits_disk(self) -> bool:
        """Whether the file system has the room."""
        return self.missing_bytes - self.evicted_bytes <= self.free_bytes


def survey_room(videos: Sequence[VideoSurvey], cache: FrameCache) -> RoomSurvey:
    """Look at the cache's folder and at its file system.

    Raises:
        OSError: it cannot be looked at.
    """
    present_bytes = sum(video.present_bytes for video in videos)
    return RoomSurvey(
        folder=cache.folder,
        present_bytes=present_bytes,
        missing_bytes=sum(video.missing_bytes for video in videos if video.n_missing),
        other_bytes=max(0, cache.used_bytes() - present_bytes),
        free_bytes=shutil.disk_usage(_nearest_folder(cache.folder)).free,
        limit_bytes=cache.limit_bytes,
    )


def _nearest_folder(folder: Path) -> Path:
    """The folder, or the one in which it will be made."""
    path = Path(os.path.abspath(folder))  # noqa: PTH100 -- Path.resolve would follow links
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
