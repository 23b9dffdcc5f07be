"""Single frames of several videos, which stay open where the last frame was: for one process."""

from __future__ import annotations

from nersemble_async.errors import SelectionError
from nersemble_async.formats.decoded_frame import DecodedFrame
from nersemble_async.formats.video_index import VideoIndex
from nersemble_async.formats.video_source import VideoSource
from nersemble_async.loaders.idle_readers import IdleReaders


class OpenVideos:
    """A few open videos of this process, each where it stopped. One thread at a time.

    Pickled, it is an empty one: files and decoders stay in the process that opened them.
    """

    def __init__(self) -> None:
        self._readers = IdleReaders()
        self._indexes: dict[VideoSource, VideoIndex] = {}

    def close(self) -> None:
        """Close them all; a later frame opens its video anew."""
        self._readers.close()

    def __reduce__(self) -> tuple[type[OpenVideos], tuple[()]]:
        return type(self), ()

    def __del__(self) -> None:
        self.close()

    def decode(self, source: VideoSource, frame_index: int) -> DecodedFrame:
        """That frame; blocking.

        Raises:
            SelectionError: the video has no such frame.
            DecodeError, OSError: it cannot be decoded.
        """
        if source not in self._indexes:
            self._indexes[source] = source.read_index()
        index = self._indexes[source]
        if not 0 <= frame_index < index.n_frames:
            raise SelectionError(
                f"{source.path}: there is no frame {frame_index}; the video has "
                f"{index.n_frames} frames, 0 to {index.n_frames - 1}"
            )
        reader = self._readers.take(source.path, index, frame_index)
        try:
            *_, frame = reader.frames_to(frame_index, [frame_index])
        except BaseException:
            reader.close()
            raise
        self._readers.give_back(reader)
        return frame
