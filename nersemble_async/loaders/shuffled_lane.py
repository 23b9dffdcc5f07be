"""What one decoder of a shuffled epoch does: segment after segment, image and alpha in step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from nersemble_async.formats.video.decoded_frame import DecodedFrame, FrameArray
from nersemble_async.formats.video.frame_codec import (
    EncodedFrame,
    encode_frame,
    find_chroma_location,
)
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.shuffle_layout import IntArray, ShuffleLayout

_PAUSE_FRAMES = 8
"""On the way to a frame that is far from its keyframe, so often one can stop."""


@dataclass(frozen=True, slots=True)
class IndexedVideo:
    """A video that is opened at once, and the form in which its frames are wanted."""

    source: VideoSource
    index: VideoIndex
    frame_format: FrameFormat
    keeps_array: bool
    """Convert at once, since the array is smaller than the frame."""

    def open(self, threads: int) -> VideoReader:
        """A reader, to be closed; errors as in `VideoReader`."""
        return VideoReader(self.source.path, self.index, threads=threads)

    def keep(self, frame: DecodedFrame, chroma_location: int | None) -> KeptFrame:
        """What stays of a frame until its turn, nothing of the decoder's.

        A decoder frees none of its pictures before the last of them: kept as they are, a few
        frames would hold many. Copying one takes a thirtieth of decoding it.
        """
        if self.keeps_array:
            return frame.to_array(self.frame_format)
        if chroma_location is None:
            return frame
        packed = encode_frame(frame, is_compressed=False, chroma_location=chroma_location)
        return frame if packed is None else packed

    def array(self, kept: KeptFrame, frame_index: int) -> FrameArray:
        """What is given out of what was kept."""
        if isinstance(kept, EncodedFrame):
            kept = kept.decode(frame_index)
        return kept.to_array(self.frame_format) if isinstance(kept, DecodedFrame) else kept


KeptFrame = EncodedFrame | DecodedFrame | FrameArray

Kept = tuple[KeptFrame, ...]
"""Of each of a camera's videos: the image, and the alpha map where it is wanted."""

LaneFrames = Generator[Kept | None, None, None]


def decode_lane(
    layout: ShuffleLayout,
    frames: Sequence[int],
    videos: Sequence[Sequence[IndexedVideo]],
    threads: int,
) -> LaneFrames:
    """Each of these frames in this order; None now and then, where one may stop or go on.

    Args:
        layout: says what the numbers mean.
        frames: positions in ``layout``; of one segment together and ascending.
        videos: of each serial of ``layout``: the image's, and the alpha map's where it is wanted.
        threads: of each decoder.

    Raises:
        DecodeError: while iterating.
        OSError: while iterating; a file cannot be read.
    """
    for _, group in groupby(frames, key=lambda frame: int(layout.segment[frame])):
        segment = list(group)
        wanted = layout.frame_index[segment]
        streams = [
            _decode_segment(video, wanted, threads) for video in videos[layout.video[segment[0]]]
        ]
        yield from _in_step(streams, len(segment))


def _in_step(streams: Sequence[LaneFrames], n_frames: int) -> LaneFrames:
    try:
        for _ in range(n_frames):
            kept: Kept = ()
            for stream in streams:
                while (found := next(stream)) is None:
                    yield None
                kept += found
            yield kept
    finally:
        for stream in streams:
            stream.close()


def _decode_segment(video: IndexedVideo, wanted: IntArray, threads: int) -> LaneFrames:
    with video.open(threads) as reader:
        stops = np.union1d(wanted, _pauses(video.index, wanted))
        due = set(wanted.tolist())
        chroma_location: int | None = None
        with closing(reader.decode_frames(stops)) as decoded:
            for number, frame in enumerate(decoded):
                if number == 0:
                    chroma_location = find_chroma_location(frame)
                is_due = frame.frame_index in due
                yield (video.keep(frame, chroma_location),) if is_due else None


def _pauses(index: VideoIndex, wanted: IntArray) -> IntArray:
    """Frames on the way that have to be decoded anyway; asking for them costs nothing."""
    start = int(index.packet_frames[index.start_packets[wanted[0]]])
    between = np.arange(max(start, 0), wanted[-1])
    packets = index.frame_packets[between]
    needed = (index.start_packets[between] == index.start_packets[wanted[0]]) & (
        ~index.is_disposable[packets]
    )
    return np.setdiff1d(between[needed], wanted)[::_PAUSE_FRAMES]
