"""What an mp4 says of itself is read to the end, also where it is damaged."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.facts import read_damaged_header, read_video_facts
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.small_pictures import decode_small
from tests.support.videos import decode_frame, write_video


def test_the_facts_of_a_plain_video(tmp_path: Path) -> None:
    facts = read_video_facts(write_video(tmp_path / "a.mp4", 12))
    info = facts.info
    assert (info.width, info.height, info.n_frames, info.header_n_frames) == (64, 48, 12, 12)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert info.rate == Fraction(73)
    steps = {b - a for a, b in zip(facts.times, facts.times[1:], strict=False)}
    assert {step * facts.time_base for step in steps} == {Fraction(1, 73)}
    assert (facts.n_hidden, facts.damage, facts.other_streams) == (0, None, ())
    assert (facts.is_fragmented, facts.is_full_range, facts.is_turned) == (False,) * 3
    assert facts.sample_aspect == 1


def test_fragments_are_seen_and_their_frames_counted(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", 12, gop=4, container_options={"movflags": "frag_keyframe+empty_moov"}
    )
    facts = read_video_facts(path)
    assert facts.is_fragmented
    assert (facts.info.n_frames, facts.info.header_n_frames) == (12, 0)


def test_full_range_is_seen(tmp_path: Path) -> None:
    facts = read_video_facts(write_video(tmp_path / "a.mp4", 2, pixel_format="yuvj420p"))
    assert facts.is_full_range


def test_what_is_no_mp4_is_a_decode_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(DecodeError):
        read_video_facts(path)


def test_small_pictures_are_averages_of_the_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5, size=(96, 64))
    with VideoReader(path) as reader:
        found = list(decode_small(reader, [0, 3], (24, 16)))
    assert [frame.frame_index for frame, _ in found] == [0, 3]
    for frame, picture in found:
        assert picture.shape == (16, 24, 3)
        blocks = decode_frame(path, frame.frame_index).reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
        # swscale weighs with a triangle, twice as wide as the block.
        assert abs(picture.astype(float) - blocks).mean() < 10


def test_a_frame_that_cannot_be_made_small_is_a_decode_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 2)
    with VideoReader(path) as reader, pytest.raises(DecodeError, match="cannot be converted"):
        list(decode_small(reader, [0], (64 * 9, 48 * 9)))


def _with_faststart(path: Path) -> bytes:
    return write_video(path, 12, container_options={"movflags": "faststart"}).read_bytes()


def test_an_index_before_the_cut_still_tells_what_it_promises(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = _with_faststart(path)
    path.write_bytes(data[: len(data) * 3 // 4])
    header = read_damaged_header(path)
    assert header is not None
    assert (header.width, header.height, header.header_n_frames) == (64, 48, 12)
    path.write_bytes(data[: data.index(b"moov") + 100])
    assert read_damaged_header(path) is None


@pytest.mark.parametrize("kind", [b"stsz", b"trun"])
def test_no_room_is_made_for_millions_of_frames(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "a.mp4"
    movflags = "faststart" if kind == b"stsz" else "frag_keyframe+empty_moov"
    write_video(path, 12, container_options={"movflags": movflags})
    data = bytearray(path.read_bytes())
    count = data.rindex(kind) + (12 if kind == b"stsz" else 8)
    assert int.from_bytes(data[count : count + 4], "big") == 12
    data[count : count + 4] = (1 << 30).to_bytes(4, "big")
    if kind == b"stsz":  # all of one byte
        data[count - 4 : count] = (1).to_bytes(4, "big")
        data += (1 << 21).to_bytes(4, "big") + b"free" + bytes((1 << 21) - 8)
        data[count : count + 4] = (1 << 21).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=r"promises 1,073,741,824|promises 2,097,152"):
        read_video_facts(path)
    assert read_damaged_header(path) is None
