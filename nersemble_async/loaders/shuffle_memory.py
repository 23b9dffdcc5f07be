"""What shuffling takes in memory, said beforehand, and how much mixing a budget buys. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nersemble_async.errors import ConfigurationError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.loaders.shuffle_plan import Mixing

_MOST_DPB_MACROBLOCKS = {
    10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000,
    32: 20480, 40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320,
    60: 696320, 61: 696320, 62: 696320,
}  # fmt: skip
"""Level to decoded picture buffer; ITU-T H.264, table A-1."""
_LEVEL_BYTE = 3
"""Of avcC (ISO/IEC 14496-15 §5.3.3.1)."""
_MOST_REFERENCES = 16
_IN_HAND_FRAMES = 3
"""Being decoded, being given out, and one that waits for its order."""
_SHARE_OF_DECODERS = 1 / 3
_LINE_BYTES, _ROWS = 128, 32
"""FFmpeg pads planes to these."""


@dataclass(frozen=True, slots=True)
class KeptVideo:
    """What one video's frames take while they are shuffled."""

    decoder_bytes: int
    """An open decoder of one thread, at worst: its references and what is in its hands."""
    thread_bytes: int
    """What each further thread of a decoder has in its hands."""
    frame_bytes: int
    """A frame in the buffer: as decoded, or as the array that it becomes where that is less."""
    array_bytes: int
    """The array that is given out."""

    @property
    def keeps_array(self) -> bool:
        """Whether the buffer holds arrays."""
        return self.frame_bytes == self.array_bytes

    def __add__(self, other: KeptVideo) -> KeptVideo:
        """Both at once, such as an image and its alpha map."""
        return KeptVideo(
            self.decoder_bytes + other.decoder_bytes,
            self.thread_bytes + other.thread_bytes,
            self.frame_bytes + other.frame_bytes,
            self.array_bytes + other.array_bytes,
        )


@dataclass(frozen=True, slots=True)
class ShuffleMemory:
    """How a budget is spent."""

    mixing: Mixing
    ahead_frames: int
    """Frames that are decoded beyond the buffer, so that threads need not wait."""
    ready_frames: int
    """Arrays that wait to be given out, the one in the user's hands counted."""
    total_bytes: int
    """All of it at worst; the packages and their libraries are not counted."""


def measure_video(index: VideoIndex, frame_format: FrameFormat) -> KeptVideo:
    """What frames of this video take in this format.

    Raises:
        ValueError: the format's crop leaves the frame.
    """
    info = index.info
    bytes_a_pixel = 1.5 if info.pixel_format in ("yuv420p", "yuvj420p", "nv12") else 6
    lines, rows = _padded(info.width, _LINE_BYTES), _padded(info.height, _ROWS)
    decoded_bytes = int(lines * rows * bytes_a_pixel)
    array_bytes = frame_format.array_bytes(info.width, info.height)
    return KeptVideo(
        thread_bytes=decoded_bytes,
        decoder_bytes=(_count_references(index) + _IN_HAND_FRAMES) * decoded_bytes,
        frame_bytes=min(decoded_bytes, array_bytes),
        array_bytes=array_bytes,
    )


def plan_memory(
    video: KeptVideo, *, memory_bytes: int, most_lanes: int, threads: int
) -> ShuffleMemory:
    """The most thorough mixing that fits.

    Args:
        video: of the largest of the videos.
        memory_bytes: for everything.
        most_lanes: more decoders would not be used; `count_lanes`.
        threads: that decode.

    Raises:
        ConfigurationError: not even a buffer of a few frames fits; says what would be needed.
    """
    ahead_frames, ready_frames = 2 * threads, threads + 2
    least_bytes = _total(video, Mixing(1, 1), ahead_frames, ready_frames, threads)
    spare_bytes = memory_bytes - least_bytes
    if spare_bytes < 0:
        raise ConfigurationError(
            f"shuffling with {threads} threads takes {least_bytes / 1e6:.0f} MB at least, and "
            f"about ten times that to mix well; memory_bytes is {memory_bytes / 1e6:.0f} MB. "
            "Give it more memory or fewer threads"
        )
    of_decoders = int(memory_bytes * _SHARE_OF_DECODERS // video.decoder_bytes)
    n_lanes = max(1, min(most_lanes, of_decoders, 1 + spare_bytes // video.decoder_bytes))
    spare_bytes -= (n_lanes - 1) * video.decoder_bytes
    mixing = Mixing(n_lanes, 1 + spare_bytes // video.frame_bytes)
    return ShuffleMemory(
        mixing=mixing,
        ahead_frames=ahead_frames,
        ready_frames=ready_frames,
        total_bytes=_total(video, mixing, ahead_frames, ready_frames, threads),
    )


def _total(
    video: KeptVideo, mixing: Mixing, ahead_frames: int, ready_frames: int, threads: int
) -> int:
    return (
        mixing.n_lanes * video.decoder_bytes
        + max(0, threads - mixing.n_lanes) * video.thread_bytes
        + (mixing.buffer_frames + ahead_frames) * video.frame_bytes
        + ready_frames * video.array_bytes
    )


def _padded(size: int, step: int) -> int:
    return -(-size // step) * step


def _count_references(index: VideoIndex) -> int:
    """Frames that a decoder keeps to refer to, at worst."""
    info, extradata = index.info, index.extradata
    if info.codec != "h264" or len(extradata) <= _LEVEL_BYTE or extradata[0] != 1:
        return _MOST_REFERENCES
    macroblocks = (_padded(info.width, 16) // 16) * (_padded(info.height, 16) // 16)
    most = _MOST_DPB_MACROBLOCKS.get(extradata[_LEVEL_BYTE])
    return _MOST_REFERENCES if most is None else min(_MOST_REFERENCES, most // macroblocks)
