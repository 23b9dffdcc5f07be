"""Any frame by its index: the same bits as everybody's sequential decode, whatever the video."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.video.index import build_video_index
from nersemble_async.formats.video.reader import VideoReader
from tests.support.official import run_official
from tests.support.videos import RgbImage, decode_plainly, write_video

BT709_FULL = {"colorspace": 1, "color_range": 2, "color_primaries": 1, "color_trc": 1}

Make = Callable[[Path], Path]

VIDEOS: dict[str, Make] = {
    "x264 defaults": lambda p: write_video(p, 90, gop=40),
    "b-pyramid": lambda p: write_video(p, 90, gop=60, x264_params="bframes=8:b-pyramid=normal"),
    "open gop": lambda p: write_video(p, 90, gop=20, x264_params="open-gop=1:bframes=4:scenecut=0"),
    "no b-frames": lambda p: write_video(p, 40, gop=12, x264_params="bframes=0"),
    "all keyframes": lambda p: write_video(p, 12, gop=1),
    "several slices": lambda p: write_video(p, 40, gop=16, x264_params="slices=3"),
    "fragmented": lambda p: write_video(
        p, 50, gop=10, container_options={"movflags": "frag_keyframe+empty_moov"}
    ),
    "index first": lambda p: write_video(p, 30, container_options={"movflags": "faststart"}),
    "10 bit": lambda p: write_video(p, 20, pixel_format="yuv420p10le"),
    "yuv444p": lambda p: write_video(p, 20, pixel_format="yuv444p"),
    "bt709, full range": lambda p: write_video(p, 20, tags=BT709_FULL),
    "hevc": lambda p: write_video(p, 40, codec="libx265", gop=16),
    "vp9": lambda p: write_video(p, 20, codec="libvpx-vp9", gop=8),
    "one frame": lambda p: write_video(p, 1),
    "odd size in the stream": lambda p: write_video(p, 10, size=(50, 38)),
}


@pytest.fixture(scope="module", params=VIDEOS, ids=str)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return VIDEOS[request.param](tmp_path_factory.mktemp("video") / "cam_1:%05d.mp4")


@pytest.fixture(scope="module")
def frames(video: Path) -> list[RgbImage]:
    return list(decode_plainly(video))


@pytest.mark.parametrize("threads", [1, 3])
def test_in_order(video: Path, frames: list[RgbImage], threads: int) -> None:
    with VideoReader(video, threads=threads) as reader:
        found = [(frame.frame_index, frame.to_rgb()) for frame in reader.decode_range()]
    assert [index for index, _ in found] == list(range(len(frames)))
    assert all(np.array_equal(image, frames[index]) for index, image in found)


@pytest.mark.parametrize("threads", [1, 2])
def test_every_index_backwards(video: Path, frames: list[RgbImage], threads: int) -> None:
    with VideoReader(video, threads=threads) as reader:
        for index in reversed(range(len(frames))):
            assert np.array_equal(reader.decode(index).to_rgb(), frames[index])


def test_one_after_another_and_then_elsewhere(video: Path, frames: list[RgbImage]) -> None:
    n_frames = len(frames)
    walk = [*range(n_frames), n_frames // 2, *range(n_frames // 3, n_frames, 3), 0, 0]
    with VideoReader(video) as reader:
        for index in walk:
            frame = reader.decode(index)
            assert frame.frame_index == index
            assert np.array_equal(frame.to_rgb(), frames[index])


def test_ranges_and_batches(video: Path, frames: list[RgbImage]) -> None:
    n_frames = len(frames)
    draw = np.random.default_rng(0)
    batches: list[Iterable[int]] = [
        range(0, n_frames, 7),
        range(n_frames // 2, n_frames, 2),
        range(0),
    ]
    batches += [np.flatnonzero(draw.random(n_frames) < share) for share in [0.02, 0.3] * 5]
    with VideoReader(video) as reader:
        for batch in batches:
            found = [(f.frame_index, f.to_rgb()) for f in reader.decode_frames(batch)]
            assert [index for index, _ in found] == list(batch)
            assert all(np.array_equal(image, frames[index]) for index, image in found)


# ---- against the official toolkit ---------------------------------------------------------------


def test_every_index_of_a_full_size_video_is_the_official_one(tmp_path: Path) -> None:
    """OpenCV by seeking, imageio in order: both are what the official toolkit gives out."""
    path = write_video(tmp_path / "video.mp4", 16, size=(1100, 1604), gop=12)
    program = (
        "import hashlib\n"
        "from nersemble_benchmark.util.video import VideoFrameLoader\n"
        "def digest(image): return hashlib.sha256(image.tobytes()).hexdigest()\n"
        "loader = VideoFrameLoader(argument)\n"
        "n = loader.get_n_frames()\n"
        "result = [[digest(loader.load_frame(i)) for i in range(n)],\n"
        "          [digest(image) for image in loader.load_all_frames()]]\n"
    )
    sought, in_order = run_official(program, str(path))
    with VideoReader(path) as reader:
        ours = [_digest(reader.decode(i).to_rgb()) for i in reversed(range(reader.n_frames))][::-1]
    assert ours == in_order
    assert ours == sought


def test_every_index_across_long_groups_is_the_official_one(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", 520, gop=250, x264_params="scenecut=0")
    program = (
        "import hashlib\n"
        "from nersemble_benchmark.util.video import VideoFrameLoader\n"
        "result = [hashlib.sha256(image.tobytes()).hexdigest()\n"
        "          for image in VideoFrameLoader(argument).load_all_frames()]\n"
    )
    official = run_official(program, str(path))
    with VideoReader(path) as reader:
        assert reader.index.keyframes.tolist() == [0, 250, 500]
        order = np.random.default_rng(1).permutation(reader.n_frames).tolist()
        ours = {index: _digest(reader.decode(index).to_rgb()) for index in order}
    assert [ours[index] for index in range(len(ours))] == official


def _digest(image: RgbImage) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


# ---- what is left out and what is not ----------------------------------------------------------


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "video.mp4", 40, gop=20)
    cut = tmp_path / "cut.mp4"
    # A cut without re-encoding keeps the frames from the last keyframe on, and hides them.
    with av.open(str(path)) as source, av.open(str(cut), "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None or packet.pts is None:
                continue
            offset = round(5 / 73 / packet.time_base)
            packet.pts -= offset
            packet.dts -= offset
            packet.stream = stream
            target.mux(packet)
    shown = list(decode_plainly(cut))
    index = build_video_index(cut)
    assert index.n_frames == len(shown) < 40
    with VideoReader(cut, index) as reader:
        for frame_index in reversed(range(len(shown))):
            assert np.array_equal(reader.decode(frame_index).to_rgb(), shown[frame_index])


def test_half_of_the_packets_is_not_decoded_for_one_frame(tmp_path: Path) -> None:
    index = build_video_index(write_video(tmp_path / "video.mp4", 120, gop=250))
    assert 0.3 < index.is_disposable.mean() < 0.8


# ---- refusals and errors ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("plain") / "cam_1.mp4", 30, gop=10)


@pytest.mark.parametrize("frame_index", [-1, 30, 1_000])
def test_a_frame_that_does_not_exist(plain: Path, frame_index: int) -> None:
    with VideoReader(plain) as reader, pytest.raises(SelectionError, match="30 frames, 0 to 29"):
        reader.decode(frame_index)


def test_batches_ascend_and_steps_go_forward(plain: Path) -> None:
    with VideoReader(plain) as reader:
        for batch in ([3, 3], [4, 2]):
            with pytest.raises(SelectionError, match="ascend"):
                reader.decode_frames(batch)
        with pytest.raises(SelectionError, match="step is 0"):
            reader.decode_range(0, 5, 0)
        with pytest.raises(SelectionError, match="no frame 30"):
            reader.decode_range(0, 31)


def test_a_damaged_frame_is_named_and_the_others_are_there(plain: Path, tmp_path: Path) -> None:
    index = build_video_index(plain)
    data = bytearray(plain.read_bytes())
    hurt = 14
    packet = index.frame_packets[hurt]
    start, size_bytes = int(index.offsets[packet]), int(index.sizes[packet])
    data[start + 6 : start + size_bytes] = bytes(size_bytes - 6)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    whole = list(decode_plainly(plain))
    with VideoReader(broken) as reader:
        with pytest.raises(DecodeError, match=r"broken\.mp4, frame 14: ") as caught:
            reader.decode(hurt)
        assert (caught.value.frame, caught.value.path) == (hurt, str(broken))
        for good in (13, 5, 20, 29):  # the reader goes on; other groups are not touched
            if good >= 20 or good < 10:
                assert np.array_equal(reader.decode(good).to_rgb(), whole[good])
        with pytest.raises(DecodeError) as caught:
            list(reader.decode_range(10, 20))
        assert caught.value.frame is not None
        assert 10 <= caught.value.frame <= hurt


def test_other_codecs_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "old.mp4", 4, codec="mpeg4")
    with pytest.raises(DecodeError, match="a video of codec mpeg4; known are h264"):
        VideoReader(path)


def test_a_file_that_changed_since_it_was_indexed(plain: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(plain.read_bytes())
    index = build_video_index(copy)
    copy.write_bytes(plain.read_bytes()[:-1])
    with pytest.raises(DecodeError, match="changed since it was indexed"):
        VideoReader(copy, index)


def test_a_file_cut_under_an_open_reader(plain: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(plain.read_bytes())
    with VideoReader(copy) as reader:
        os.truncate(copy, 100)
        with pytest.raises(DecodeError, match="shorter than when it was indexed"):
            reader.decode(29)


def test_closed_means_closed(plain: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir()), threading.active_count()
    reader = VideoReader(plain, threads=4)
    frame = reader.decode(7)
    reader.close()
    reader.close()
    assert (set(Path("/proc/self/fd").iterdir()), threading.active_count()) == before
    assert frame.to_rgb().shape == (48, 64, 3)
    with pytest.raises(ValueError, match="closed"):
        reader.decode(7)


def test_leaving_in_the_middle_then_going_on(plain: Path) -> None:
    with VideoReader(plain, threads=2) as reader:
        some = reader.decode_range()
        assert next(some).frame_index == 0
        some.close()
        assert [frame.frame_index for frame in reader.decode_range(25)] == [25, 26, 27, 28, 29]


def test_codec_threads_end_with_the_reader(plain: Path) -> None:
    """FFmpeg's threads are none of Python's: the kernel knows them."""
    with VideoReader(plain, threads=4) as reader:
        list(reader.decode_range())
        assert len(list(Path("/proc/self/task").iterdir())) > 1
        during = len(list(Path("/proc/self/task").iterdir()))
    assert len(list(Path("/proc/self/task").iterdir())) < during


def test_a_reader_is_closed_while_its_codec_threads_work(tmp_path: Path) -> None:
    """They must not wait for the GIL, which whoever closes them holds: seen, it hung for ever."""
    path = write_video(tmp_path / "cam_1.mp4", 60, size=(320, 240), gop=60)
    program = (
        "import sys; from pathlib import Path\n"
        "from nersemble_async.formats.video.reader import VideoReader\n"
        "for kept in range(40):\n"
        "    reader = VideoReader(Path(sys.argv[1]), threads=3)\n"
        "    frames = reader.decode_range()\n"
        "    for _ in range(1 + kept % 9):\n"
        "        next(frames)\n"
        "    if kept % 2:\n"
        "        reader.close()\n"
        "    del frames, reader\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


def test_frames_behind_a_damaged_one(plain: Path, tmp_path: Path) -> None:
    """In order, as a loop asks that passes over what does not decode."""
    index = build_video_index(plain)
    damaged = int(np.flatnonzero(index.is_disposable[index.frame_packets])[2])
    packet = index.frame_packets[damaged]
    content = bytearray(plain.read_bytes())
    first, size_bytes = int(index.offsets[packet]), int(index.sizes[packet])
    content[first + 5 : first + size_bytes] = b"\xff" * (size_bytes - 5)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    whole = list(decode_plainly(plain))
    with VideoReader(broken) as reader:
        for frame_index in range(damaged):
            reader.decode(frame_index)
        with pytest.raises(DecodeError, match=f"frame {damaged}: the frame does not decode"):
            reader.decode(damaged)
        for frame_index in range(damaged + 1, len(whole)):
            assert np.array_equal(reader.decode(frame_index).to_rgb(), whole[frame_index])


def test_two_iterations_of_one_reader(plain: Path) -> None:
    """Their packets would mix in the decoder: seen, frames with wrong pixels and no error."""
    whole = list(decode_plainly(plain))
    with VideoReader(plain) as reader:
        one, other = reader.decode_range(), reader.decode_range(12)
        assert np.array_equal(next(one).to_rgb(), whole[0])
        assert np.array_equal(next(other).to_rgb(), whole[12])
        with pytest.raises(ValueError, match="a reader for each iteration"):
            next(one)
        assert [frame.frame_index for frame in other] == list(range(13, 30))


def test_an_iteration_ends_with_its_reader(plain: Path) -> None:
    """The closed descriptor's number may be another file's, whose bytes are no frames."""
    reader = VideoReader(plain)
    frames = reader.decode_range()
    next(frames)
    reader.close()
    with pytest.raises(ValueError, match="the reader is closed"):
        next(frames)
