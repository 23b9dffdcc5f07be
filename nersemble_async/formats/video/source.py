"""A video as loaders are given it: where it lies, and where its index is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nersemble_async.formats.video.index import VideoIndex, open_video_index
from nersemble_async.formats.video.reader import VideoReader


@dataclass(frozen=True, slots=True)
class VideoSource:
    """An mp4 on disk; opening it is cheap once its index is there. Pickles, crosses forks."""

    path: Path
    index_path: Path | None = None
    """Where the index is kept; None: it is built at each opening."""

    def read_index(self) -> VideoIndex:
        """The index, built where it is missing or of another file; errors as in `open`."""
        return open_video_index(self.path, self.index_path)

    def open(self, *, threads: int = 1) -> VideoReader:
        """A reader, to be closed.

        Raises:
            DecodeError: not a video.
            OSError: the file cannot be read.
        """
        return VideoReader(self.path, self.read_index(), threads=threads)
