"""Exact frames of an mp4 by their index: one, a sorted batch, or a range. Blocking."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import av
import av.error
import numpy as np

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.index import VideoIndex, build_video_index
from nersemble_async.formats.video.packet_plan import IntArray, PacketRun, plan_packets
from nersemble_async.formats.video.probe import VideoInfo, what_av_says

_READ_ON_FRAMES = 8
"""So far ahead of a running decoder a frame is reached by decoding on."""

_MOST_EARLY_FRAMES = 32
"""So many frames a decoder may give before one that comes before them: H.264 allows 16."""

Frames = Generator[DecodedFrame, None, None]


class VideoReader:
    """An open video; a context manager. One thread at a time may use it; it must not be forked.

    Packets go from the file to the decoder as the index says, numbered with their frames, so
    that a frame is known by its number and never by a time that was computed.

    Args:
        path: an mp4.
        index: of `open_video_index`; None builds it, which reads the whole file.
        threads: of the decoder. 1 is best where several videos are decoded at once; 0 is one for
            each core.

    Raises:
        DecodeError: not a video, or not the file that was indexed.
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path, index: VideoIndex | None = None, *, threads: int = 1) -> None:
        self.path = path
        self.index = build_video_index(path) if index is None else index
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check_source()
            self._decoder: av.VideoCodecContext | None = self._make_decoder(threads)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._running: Frames | None = None
        self._last = -1
        self._decoding_for: object = None

    def _check_source(self) -> None:
        if not self.index.fits(os.fstat(self._descriptor)):
            raise DecodeError(str(self.path), "the file changed since it was indexed; open it anew")

    def _make_decoder(self, threads: int) -> av.VideoCodecContext:
        index = self.index
        try:
            decoder = av.CodecContext.create(index.info.codec, "r")
        except (av.error.FFmpegError, ValueError) as error:
            raise DecodeError(str(self.path), what_av_says(error)) from None
        if not isinstance(decoder, av.VideoCodecContext):
            raise DecodeError(str(self.path), f"{index.info.codec} is no video codec")
        decoder.extradata = index.extradata or None
        decoder.width, decoder.height = index.info.width, index.info.height
        decoder.color_range, decoder.colorspace = index.color_tags[:2]
        decoder.color_primaries, decoder.color_trc = index.color_tags[2:]
        decoder.thread_count = threads
        decoder.thread_type = "FRAME"
        if index.info.codec == "h264":
            # Else damaged frames are patched from their neighbours and pass for whole.
            decoder.options = {"err_detect": "explode"}
        return decoder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and end the decoder's threads; again is no error."""
        self._stop()
        if self._decoder is not None:
            self._decoder = self._decoding_for = None
            os.close(self._descriptor)

    @property
    def info(self) -> VideoInfo:
        """Size, rate, number of frames."""
        return self.index.info

    @property
    def n_frames(self) -> int:
        """Frames to be shown, counted."""
        return self.index.n_frames

    def decode(self, frame_index: int) -> DecodedFrame:
        """The frame at that position; called in order it costs no more than a sequential pass.

        Raises:
            SelectionError: there is no such frame; says how many there are.
            DecodeError: it does not decode.
        """
        self._check(frame_index, frame_index)
        behind = frame_index - self._last
        if self._running is None and behind == 1 and self._last >= 0:
            self._running = self._frames(np.arange(frame_index, self.n_frames))
            self._last = frame_index - 1
        if self._running is None or not 1 <= behind <= _READ_ON_FRAMES:
            self._stop()
            (frame,) = self._frames(np.array([frame_index]))
        else:
            try:
                frame = next(f for f in self._running if f.frame_index == frame_index)
            except BaseException:
                self._stop()  # what raised gives nothing more
                raise
        self._last = frame_index
        return frame

    def decode_range(self, start: int = 0, stop: int | None = None, step: int = 1) -> Frames:
        """Frames ``start``, ``start + step``, … before ``stop``, one at a time.

        Raises:
            SelectionError: a frame of the range does not exist.
            DecodeError: while iterating, with the frame that does not decode.
            ValueError: while iterating; the reader was closed, or gave other frames meanwhile.
        """
        stop = self.n_frames if stop is None else stop
        if step < 1:
            raise SelectionError(f"step is {step}; frames are decoded forwards, by 1 or more")
        return self.decode_frames(range(start, stop, step))

    def decode_frames(self, frame_indices: Iterable[int]) -> Frames:
        """A batch: each group of pictures is decoded once, whatever is wanted of it.

        Args:
            frame_indices: strictly ascending.

        Raises:
            SelectionError: a frame does not exist, or they do not ascend.
            DecodeError: while iterating, with the frame that does not decode.
            ValueError: while iterating; the reader was closed, or gave other frames meanwhile.
        """
        wanted = np.fromiter(frame_indices, np.int64)
        if len(wanted) and (np.diff(wanted) < 1).any():
            raise SelectionError("frame indices have to ascend without repetition")
        if len(wanted):
            self._check(int(wanted[0]), int(wanted[-1]))
        self._stop()
        return self._frames(wanted)

    # ---- within -------------------------------------------------------------------------------

    def _check(self, first: int, last: int) -> None:
        if first < 0 or last >= self.n_frames:
            wrong = first if first < 0 else last
            raise SelectionError(
                f"{self.path}: there is no frame {wrong}; the video has {self.n_frames} frames, "
                f"0 to {self.n_frames - 1}"
            )

    def _stop(self) -> None:
        if self._running is not None:
            self._running.close()
        self._running, self._last = None, -1

    def _frames(self, wanted: IntArray) -> Frames:
        self._decoding_for = turn = object()
        for run in plan_packets(self.index, wanted):
            for frame in self._decode_run(run):
                yield frame
                # Another's packets in the decoder make wrong frames, without an error of its own;
                # and a closed descriptor's number may be another file's by now.
                if self._decoding_for is not turn:
                    self._refuse_to_go_on()

    def _refuse_to_go_on(self) -> NoReturn:
        if self._decoder is None:
            raise ValueError("the reader is closed")
        raise ValueError(
            f"{self.path}: other frames were asked for meanwhile; open a reader for each iteration"
        )

    def _decode_run(self, run: PacketRun) -> Frames:
        decoder = self._decoder
        if decoder is None:
            raise ValueError("the reader is closed")
        decoder.flush_buffers()
        wanted = run.frame_indices.tolist()
        missing = set(wanted)
        turn = iter(wanted)
        due = next(turn)
        early: dict[int, av.VideoFrame] = {}
        for packet in [*run.packets.tolist(), None]:
            try:
                frames = decoder.decode(None if packet is None else self._packet(packet))
            except (av.error.FFmpegError, ValueError) as error:
                raise DecodeError(
                    str(self.path), f"the frame does not decode: {what_av_says(error)}", frame=due
                ) from None
            for frame in frames:
                if frame.pts is not None and frame.pts in missing:
                    missing.remove(frame.pts)
                    early[frame.pts] = frame
            while due in early:
                frame = early.pop(due)
                if frame.is_corrupt:
                    raise DecodeError(str(self.path), "the frame is damaged", frame=due)
                yield DecodedFrame(frame, due)
                following = next(turn, None)
                if following is None:
                    return
                due = following
            if len(early) > _MOST_EARLY_FRAMES:
                break
        raise DecodeError(str(self.path), "the frame does not decode", frame=due)

    def _packet(self, position: int) -> av.Packet[Any]:
        size_bytes = int(self.index.sizes[position])
        # FFmpeg's own memory, not Python's: a codec's thread may have to free it while whoever
        # closes the decoder holds the GIL and waits for that thread.
        packet: av.Packet[Any] = av.Packet(size_bytes)
        offset = int(self.index.offsets[position])
        if os.preadv(self._descriptor, [memoryview(packet)], offset) != size_bytes:
            raise ValueError("the file is shorter than when it was indexed")
        packet.pts = int(self.index.packet_frames[position])
        packet.dts = position
        packet.is_keyframe = bool(self.index.is_keyframe[position])
        return packet
