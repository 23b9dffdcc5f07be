"""Videos: what is written is what is read, and lies about frames are found out."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.formats.video.probe import probe_video
from tests.support.videos import decode_all, decode_frame

N_FRAMES = 23
RATE = Fraction(243, 10)


def _frame(index: int) -> npt.NDArray[np.uint8]:
    image = np.full((48, 64, 3), 20 + 9 * index, np.uint8)
    image[:24, :32] = (200, 30, 60)
    return image


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "cam_1:%05d.mp4"
    with VideoEncoder(path, (64, 48), RATE, gop=8) as encoder:
        for index in range(N_FRAMES):
            encoder.write(_frame(index))
    return path


def test_a_colon_in_a_relative_path_is_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("cam:1.mp4")
    with VideoEncoder(path, (64, 48), RATE) as encoder:
        encoder.write(_frame(0))
    assert probe_video(path).n_frames == 1


def test_probe_counts_packets_and_says_so(video: Path) -> None:
    info = probe_video(video)
    assert (info.width, info.height, info.rate) == (64, 48, RATE)
    assert (info.n_frames, info.n_frames_source, info.header_n_frames) == (23, "packets", 23)
    assert probe_video(video, count_packets=False).n_frames_source == "header"


def test_frames_come_back_in_order_and_in_rgb(video: Path) -> None:
    frames = decode_all(video)
    assert len(frames) == N_FRAMES
    for index, frame in enumerate(frames):
        assert frame.dtype == np.uint8
        # Away from the borders of the patches only quantisation and colour conversion differ.
        assert np.abs(frame[32:, 40:].astype(int) - (20 + 9 * index)).max() <= 4
        assert np.abs(frame[4:16, 4:24].astype(int) - (200, 30, 60)).max() <= 8


def test_one_frame_equals_its_place_in_the_sequence(video: Path) -> None:
    frames = decode_all(video)
    for index in (0, 1, 7, 8, 13, N_FRAMES - 1):
        assert np.array_equal(decode_frame(video, index), frames[index])


@pytest.mark.parametrize("index", [-1, N_FRAMES])
def test_a_frame_beyond_the_end(video: Path, index: int) -> None:
    with pytest.raises(SelectionError, match="the video has 23 frames"):
        decode_frame(video, index)


def test_reproducible_bytes_do_not_hang_on_stray_memory(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from fractions import Fraction; import numpy as np\n"
        "from nersemble_async.formats.video.encoder import VideoEncoder\n"
        "path = Path(sys.argv[1])\n"
        "with VideoEncoder(path, (220, 320), Fraction(73), reproducible=True) as encoder:\n"
        "    for level in range(20):\n"
        "        image = np.full((320, 220, 3), 9 * level, np.uint8)\n"
        "        image[: 160 + level, :110] = (200, 30, 60)\n"
        "        encoder.write(image)\n"
    )
    contents = []
    for fill in ("1", "77"):
        path = tmp_path / f"{fill}.mp4"
        # glibc fills what malloc hands out with this byte, so that a read of memory that was
        # never written shows.
        environment = {**os.environ, "MALLOC_PERTURB_": fill}
        subprocess.run([sys.executable, "-c", program, path], check=True, env=environment)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


def test_an_exception_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.mp4"
    encoder = VideoEncoder(path, (64, 48), RATE)
    encoder.write(_frame(0))
    with pytest.raises(ValueError, match="a frame here is"), encoder:
        encoder.write(_frame(0)[:, :32])
    assert not path.exists()


def test_odd_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even"):
        VideoEncoder(tmp_path / "odd.mp4", (63, 48), RATE)
    assert list(tmp_path.iterdir()) == []


def test_every_truncation_is_found(video: Path, tmp_path: Path) -> None:
    data = video.read_bytes()
    short = tmp_path / "short.mp4"
    for kept in (0, 1, 7, 100, len(data) // 2, len(data) - 500, len(data) - 1):
        short.write_bytes(data[:kept])
        with pytest.raises(DecodeError):
            probe_video(short)


def test_index_that_promises_too_much_is_refused_before_it_is_believed(
    video: Path, tmp_path: Path
) -> None:
    data = bytearray(video.read_bytes())
    table = data.index(b"stsz")
    data[table + 8 : table + 12] = (1000).to_bytes(4, "big")
    data[table + 12 : table + 16] = (1 << 31).to_bytes(4, "big")
    lying = tmp_path / "lying.mp4"
    lying.write_bytes(data)
    with pytest.raises(DecodeError, match="more than there is room for"):
        probe_video(lying)


def _index_with(data: bytes, kind: bytes, body: bytes) -> bytes:
    """An mp4 whose index, its last box, ends with one box more."""
    start = data.index(b"moov") - 4
    assert start + int.from_bytes(data[start : start + 4], "big") == len(data)
    index = data[start + 4 :] + (8 + len(body)).to_bytes(4, "big") + kind + body
    return data[:start] + (4 + len(index)).to_bytes(4, "big") + index


def test_an_edit_list_that_shows_all_frames_many_times_is_refused(
    video: Path, tmp_path: Path
) -> None:
    n_edits = (1 << 20) // N_FRAMES + 1
    edits = bytes(4) + n_edits.to_bytes(4, "big") + bytes(12 * n_edits)
    lying = tmp_path / "lying.mp4"
    edit_list = (8 + len(edits)).to_bytes(4, "big") + b"elst" + edits
    lying.write_bytes(_index_with(video.read_bytes(), b"edts", edit_list))
    with pytest.raises(DecodeError, match=f"{N_FRAMES} frames, {n_edits:,} times"):
        probe_video(lying)


def test_a_compressed_index_is_refused_before_it_is_unpacked(video: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.mp4"
    hidden.write_bytes(_index_with(video.read_bytes(), b"cmov", b""))
    with pytest.raises(DecodeError, match="compressed index"):
        probe_video(hidden)


def test_a_broken_frame_is_named(video: Path, tmp_path: Path) -> None:
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : start + 3000] = b"\xff" * 3000
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    with pytest.raises(DecodeError) as caught:
        decode_all(broken)
    assert caught.value.path == str(broken)


def test_a_missing_file_is_missing_not_broken(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe_video(tmp_path / "none.mp4")
    with pytest.raises(FileNotFoundError):
        decode_frame(tmp_path / "none.mp4", 0)
