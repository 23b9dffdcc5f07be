"""What one participant has on disk, read from there: the blocking core of all data managers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.metadata import TaskMetadata, parse_metadata
from nersemble_async.cache.store import STATE_FOLDER
from nersemble_async.data_managers.participant_files import ParticipantFiles
from nersemble_async.data_managers.timeline import Timeline
from nersemble_async.errors import DecodeError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.formats.cameras import CameraCalibration, load_camera_calibration
from nersemble_async.formats.flame.tracking import FlameTracking, load_flame_tracking
from nersemble_async.formats.image.official_image import ALPHA_MAP, official_image
from nersemble_async.formats.image.picture import read_png
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, read_pointcloud
from nersemble_async.formats.video.decoded_frame import DecodedFrame, FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.reader_pool import DEFAULT_POOL_BYTES, ReaderPool

if TYPE_CHECKING:
    from nersemble_async.loaders.frame_cache import FrameCache

T = TypeVar("T")

_POOL_THREADS = 2
"""Of a decoder that is kept open: more of them take more memory for as long."""


class LocalAssets:
    """Reads assets from a root folder; usable from all threads. Never asks a server.

    Args:
        files: whose, and where the root is.
        frame_cache: where single frames are looked for first, and kept; not closed here.
        pool_bytes: what open videos may hold between two calls; see `ReaderPool`.

    Raises:
        NotCachedError: from its methods; the file is not on disk, says how to fetch it.
        SelectionError: from its methods; a timestep that does not exist.
        DecodeError, MetadataError: from its methods; the file is broken.
        OSError: from its methods; the file cannot be read.
    """

    def __init__(
        self,
        files: ParticipantFiles,
        *,
        frame_cache: FrameCache | None = None,
        pool_bytes: int = DEFAULT_POOL_BYTES,
    ) -> None:
        self.files = files
        self._frame_cache = frame_cache
        self._pool = ReaderPool(pool_bytes, threads=min(_POOL_THREADS, os.cpu_count() or 1))
        self._metadata: tuple[tuple[int, int], TaskMetadata] | None = None
        self._timelines: dict[str, tuple[TaskMetadata, Timeline]] = {}

    def close(self) -> None:
        """Close the videos that are kept open; reading again opens them anew."""
        self._pool.close()

    # ---- what is there ------------------------------------------------------------------------

    def is_there(self, file: PlannedFile) -> bool:
        """Whether the file is on disk."""
        return self.files.local_path(file).is_file()

    def require(self, file: PlannedFile) -> Path:
        """Where the file lies; it is there."""
        path = self.files.local_path(file)
        if not path.is_file():
            raise self.files.not_cached(file)
        return path

    def list_sequences(self) -> list[str]:
        """Sequences that have a folder, train ones first.

        Raises:
            NotCachedError: there is no folder with sequences.
        """
        names = self.files.sequences
        folders = {name: self._sequence_folder(name) for name in names}
        found = [name for name, folder in folders.items() if folder.is_dir()]
        if not found:
            raise self.files.not_cached(self.files.calibration())
        return found

    def list_serials(self, sequence_name: str) -> list[str]:
        """Cameras whose image video is on disk, in the official order.

        Raises:
            NotCachedError: there is none.
        """
        videos = self.files.videos("images", sequence_name)
        found = [file.serial for file in videos if self.is_there(file) and file.serial]
        if not found:
            # Says so where the sequence does not exist or has no published videos.
            missing = self.files.video("images", sequence_name, self.files.spec.train_serials[0])
            raise self.files.not_cached(missing)
        return found

    def has_sequence(self, sequence_name: str) -> bool:
        """Whether an image video of the sequence is on disk."""
        return any(self.is_there(file) for file in self.files.videos("images", sequence_name))

    def has_video(self, sequence_name: str, serial: str) -> bool:
        """Whether the camera's image video is on disk."""
        videos = self.files.videos("images", sequence_name)
        return any(file.serial == serial and self.is_there(file) for file in videos)

    def list_image_keys(self) -> list[ImageKey]:
        """SVFR images that are on disk, sorted by folder name.

        Raises:
            NotCachedError: there is none.
        """
        keys = self.files.list_image_keys()
        found = [key for key in keys if self.is_there(self.files.image(key))]
        if not found:
            raise self.files.not_cached(self.files.image(keys[0]))
        return found

    def _sequence_folder(self, sequence_name: str) -> Path:
        """``{participant}/sequences/{name}``."""
        asset = next(a for a in self.files.spec.assets if "{seq_name" in a.template)
        head = asset.path(self.files.participant_id, sequence_name, "0", 0).split("/")
        task_folder = self.files.root / self.files.spec.task
        return task_folder.joinpath(*head[: head.index(sequence_name) + 1])

    # ---- timesteps ----------------------------------------------------------------------------

    def read_metadata(self) -> TaskMetadata | None:
        """The task's metadata.json, read again where it changed; None where it never was there."""
        file = self.files.metadata()
        if file is None:
            return None
        path = self.files.local_path(file)
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            # What was fetched on demand may be evicted; what it said stays true.
            return None if self._metadata is None else self._metadata[1]
        identity = stat.st_size, stat.st_mtime_ns
        if self._metadata is None or self._metadata[0] != identity:
            content = parse_metadata(file.task, path.read_bytes(), str(path))
            self._metadata = identity, content
        return self._metadata[1]

    def read_timeline(self, sequence_name: str, video: PlannedFile | None = None) -> Timeline:
        """The sequence's timesteps: of metadata.json, else the frames of a video from 0 on.

        Args:
            sequence_name: whose.
            video: whose frames are counted where metadata.json does not list the sequence; None:
                of the first one on disk.

        Raises:
            NotCachedError: neither tells.
        """
        self.files.check_any_sequence(sequence_name)
        metadata = self.read_metadata()
        if metadata is not None:
            known = self._timelines.get(sequence_name)
            if known is not None and known[0] is metadata:
                return known[1]
            listed = metadata.timesteps(self.files.participant_id, sequence_name)
            if listed:
                timeline = Timeline(sequence_name, listed)
                self._timelines[sequence_name] = metadata, timeline
                return timeline
        if video is None:
            video = self.files.video("images", sequence_name, self.list_serials(sequence_name)[0])
        return Timeline(sequence_name, range(self.read_index(video).n_frames))

    def read_index(self, video: PlannedFile) -> VideoIndex:
        """Where the video's frames lie; kept in memory."""
        source = self.video_source(video)
        return self.read(video, lambda _: self._pool.read_index(source))

    def steps(
        self, sequence_name: str, timesteps: Iterable[int] | None = None
    ) -> list[tuple[int, int]]:
        """Timestep and frame index of some timesteps, or of all, as loaders want them."""
        timeline = self.read_timeline(sequence_name)
        return [(t, timeline.frame_index(t)) for t in timeline.checked(timesteps)]

    def video_sources(
        self, asset_key: str, sequence_name: str, serials: Iterable[str] | None = None
    ) -> dict[str, VideoSource]:
        """By serial: ``images`` or ``alpha_maps`` of some cameras, or of all that are on disk."""
        chosen = self.list_serials(sequence_name) if serials is None else serials
        videos = [self.files.video(asset_key, sequence_name, serial) for serial in chosen]
        for video in videos:
            self.require(video)
        return {video.serial or "": self.video_source(video) for video in videos}

    # ---- videos -------------------------------------------------------------------------------

    def video_source(self, video: PlannedFile) -> VideoSource:
        """Where the video lies, and its index."""
        flat_name = video.path.replace("/", "%2F") + ".npz"
        index_path = self.files.root / STATE_FOLDER / "video_index" / flat_name
        return VideoSource(self.files.local_path(video), index_path)

    def read_frame(
        self, video: PlannedFile, timestep: int, frame_format: FrameFormat
    ) -> FrameArray:
        """One frame of a video, by its timestep."""
        frame_index = self.frame_index(video, timestep)
        frame = self.read(video, lambda _: self._decode(video, frame_index))
        return frame.to_array(frame_format)

    def read_alpha_map(self, video: PlannedFile, timestep: int) -> npt.NDArray[np.uint8]:
        """(H, W, 1) uint8; arguments as of `read_frame`."""
        return self.read_frame(video, timestep, ALPHA_MAP).astype(np.uint8, copy=False)

    def _decode(self, video: PlannedFile, frame_index: int) -> DecodedFrame:
        source = self.video_source(video)
        if self._frame_cache is not None:
            return self._frame_cache.get(source, video.path, frame_index)
        return self._pool.decode(source, frame_index)

    def frame_index(self, video: PlannedFile, timestep: int) -> int:
        """Where the timestep lies in the video.

        Raises:
            DecodeError: the video has fewer frames than metadata.json lists.
        """
        sequence_name = video.sequence_name or ""
        frame_index = self.read_timeline(sequence_name, video).frame_index(timestep)
        n_frames = self.read_index(video).n_frames
        if frame_index >= n_frames:
            path = str(self.files.local_path(video))
            reason = f"the video has {n_frames} frames, fewer than metadata.json lists"
            raise DecodeError(path, reason, frame=frame_index)
        return frame_index

    def read_images(
        self,
        video: PlannedFile,
        step: int = 1,
        *,
        as_uint8: bool,
        scale: float | None = None,
    ) -> Iterator[FrameArray]:
        """Every ``step``-th frame from the first on, as `official_image` makes it.

        The video is open meanwhile.
        """
        path, index = self.files.local_path(video), self.read_index(video)
        with VideoReader(path, index, threads=os.cpu_count() or 1) as reader:
            for frame in reader.decode_range(step=step):
                yield official_image(frame.to_rgb(), as_uint8=as_uint8, scale=scale)

    # ---- other files --------------------------------------------------------------------------

    def read(self, file: PlannedFile, function: Callable[[Path], T]) -> T:
        """What ``function`` makes of the file's path."""
        try:
            return function(self.files.local_path(file))
        except (FileNotFoundError, NotADirectoryError):
            raise self.files.not_cached(file) from None

    def read_camera_calibration(self) -> CameraCalibration:
        """Poses and intrinsics of all cameras."""
        return self.read(self.files.calibration(), load_camera_calibration)

    def read_pointcloud(self, sequence_name: str, timestep: int) -> Pointcloud:
        """The pointcloud of one timestep."""
        file = self.files.pointcloud(sequence_name, timestep)
        self.check_timestep(sequence_name, timestep)
        return self.read(file, read_pointcloud)

    def check_timestep(self, sequence_name: str, timestep: int) -> None:
        """Whether the sequence has it, where metadata.json or a video on disk tells.

        Raises:
            SelectionError: it has not.
        """
        if self.read_metadata() is not None or self.has_sequence(sequence_name):
            self.read_timeline(sequence_name).frame_index(timestep)

    def read_flame_tracking(self, sequence_name: str, version: int) -> FlameTracking:
        """The FLAME tracking of a sequence."""
        return self.read(self.files.flame_tracking(sequence_name, version), load_flame_tracking)

    def read_image(self, image_key: ImageKey) -> npt.NDArray[np.uint8]:
        """An input image of the SVFR benchmark."""
        return self.read(self.files.image(image_key), read_png)
