"""One video of a stream: decoded in order, in units of work that are short. Blocking."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nersemble_async.formats.video.decoded_frame import DecodedFrame, FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.packet_plan import IntArray, plan_packets
from nersemble_async.formats.video.reader import Frames, VideoReader
from nersemble_async.formats.video.source import VideoSource

_STOP_FRAMES = 8
"""On the way to a frame that is far from its keyframe, so often a unit of work can end."""

_AWAITED_SECONDS = 0.02
_UNAWAITED_SECONDS = 0.1


@dataclass(slots=True)
class Pace:
    """What workers are told while they work; written by the event loop, read by threads."""

    stopped: bool = False
    """The stream is being left: end with the frame that is at hand."""
    awaited: bool = False
    """Somebody waits for frames: hand over what there is soon. Else a unit may be longer, so
    that decoding goes on while the event loop is busy with something else."""

    def is_over(self, began: float) -> bool:
        """Whether a unit of work that began at this `time.monotonic` has to end."""
        patience = _AWAITED_SECONDS if self.awaited else _UNAWAITED_SECONDS
        return self.stopped or time.monotonic() - began > patience


class VideoLane:
    """A video's frames in order, opened when the first is wanted. One thread at a time.

    Args:
        source: the video.
        index: of the video.
        frame_indices: strictly ascending, each in the video.
        frame_format: of the arrays.
        codec_threads: of the decoder.
    """

    def __init__(
        self,
        source: VideoSource,
        index: VideoIndex,
        frame_indices: Sequence[int],
        frame_format: FrameFormat,
        *,
        codec_threads: int = 1,
    ) -> None:
        self._source = source
        self._index = index
        self._frame_indices = np.array(frame_indices, np.int64)
        self._frame_format = frame_format
        self._codec_threads = codec_threads
        self._reader: VideoReader | None = None
        self._frames: Frames | None = None
        self._n_decoded = 0

    def decode(self, most_frames: int, pace: Pace) -> list[DecodedFrame | Exception]:
        """Some of the next frames, none to ``most_frames``; an error stands for the frame it hit.

        After the last frame, or an error, the video is closed.
        """
        return list(self._decode(most_frames, pace, convert=False))  # type: ignore[arg-type]

    def decode_arrays(self, most_frames: int, pace: Pace) -> list[FrameArray | Exception]:
        """`decode`, and each frame converted at once."""
        return list(self._decode(most_frames, pace, convert=True))  # type: ignore[arg-type]

    def convert(self, frames: Sequence[DecodedFrame]) -> list[FrameArray | Exception]:
        """Frames of this video as arrays; any thread may do it, also while others are decoded."""
        outcomes: list[FrameArray | Exception] = []
        for frame in frames:
            try:
                outcomes.append(frame.to_array(self._frame_format))
            except Exception as error:  # noqa: BLE001 - raised when its frame's turn comes
                outcomes.append(_without_locals(error))
        return outcomes

    def close(self) -> None:
        """Close the file and the decoder; again is no error."""
        reader, frames = self._reader, self._frames
        self._reader = self._frames = None
        if frames is not None:
            frames.close()
        if reader is not None:
            reader.close()

    # ---- within -------------------------------------------------------------------------------

    def _decode(
        self, most_frames: int, pace: Pace, *, convert: bool
    ) -> list[DecodedFrame | FrameArray | Exception]:
        began = time.monotonic()
        outcomes: list[DecodedFrame | FrameArray | Exception] = []
        try:
            frames = self._open()
            while len(outcomes) < most_frames and not pace.is_over(began):
                frame = next(frames)
                if frame.frame_index == self._frame_indices[self._n_decoded]:
                    outcomes.append(frame.to_array(self._frame_format) if convert else frame)
                    self._n_decoded += 1
        except Exception as error:  # noqa: BLE001 - raised when its frame's turn comes
            outcomes.append(_without_locals(error))
            self._n_decoded = len(self._frame_indices)
        if self._n_decoded == len(self._frame_indices):
            self.close()
        return outcomes

    def _open(self) -> Frames:
        if self._frames is None:
            self._reader = VideoReader(self._source.path, self._index, threads=self._codec_threads)
            stops = plan_stops(self._index, self._frame_indices)
            self._frames = self._reader.decode_frames(np.union1d(self._frame_indices, stops))
        return self._frames


def plan_stops(index: VideoIndex, frame_indices: IntArray) -> IntArray:
    """Frames that are decoded on the way to the wanted ones: to ask for them costs nothing.

    Args:
        index: of the video.
        frame_indices: strictly ascending, each in the video.
    """
    stops = [np.empty(0, np.int64)]
    for run in plan_packets(index, frame_indices):
        passed = index.packet_frames[run.packets]
        passed = np.sort(passed[(passed >= 0) & (passed < run.frame_indices[-1])])
        # What belongs to a keyframe before this run would make the run longer.
        stops.append(passed[index.start_packets[passed] >= run.packets[0]][::_STOP_FRAMES])
    return np.setdiff1d(np.concatenate(stops), frame_indices)


def _without_locals(error: Exception) -> Exception:
    """The error with its traceback, but without what the traceback's frames hold: decoders."""
    part: BaseException | None = error
    while part is not None:
        traceback.clear_frames(part.__traceback__)
        part = part.__cause__ or part.__context__
    return error
