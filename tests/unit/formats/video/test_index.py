"""The index of a video: built once, kept in a file, never believed for another video."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video import index
from nersemble_async.formats.video.index import VideoIndex, build_video_index, open_video_index
from nersemble_async.formats.video.packet_plan import plan_packets
from nersemble_async.formats.video.probe import VideoInfo
from nersemble_async.formats.video.source import VideoSource
from tests.support.videos import write_video

COLUMNS = ("offsets", "sizes", "pts", "is_shown", "is_keyframe", "is_disposable")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "cam_1.mp4", 30, gop=12)


def same(one: VideoIndex, other: VideoIndex) -> bool:
    return (one.info, one.extradata, one.color_tags) == (
        other.info,
        other.extradata,
        other.color_tags,
    ) and all(np.array_equal(getattr(one, c), getattr(other, c)) for c in COLUMNS)


def test_what_it_says(video: Path) -> None:
    index = build_video_index(video)
    info = index.info
    assert (info.width, info.height, info.rate, info.codec) == (64, 48, Fraction(73), "h264")
    assert (info.n_frames, info.n_frames_source, info.pixel_format) == (30, "packets", "yuv420p")
    assert index.keyframes.tolist() == [0, 12, 24]
    assert sorted(index.packet_frames.tolist()) == list(range(30))
    assert (np.diff(index.offsets) > 0).all()
    assert repr(index).endswith("3 keyframes)")


def test_it_is_built_once(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "a folder" / "cam_1.idx"
    source = VideoSource(video, place)
    built = source.read_index()
    monkeypatch.setattr(index, "build_video_index", None)  # it would not be called unseen
    assert same(source.read_index(), built)
    assert sorted(path.name for path in place.parent.iterdir()) == ["cam_1.idx"]


def test_whoever_may_read_the_folder_reads_it(video: Path, tmp_path: Path) -> None:
    """A root is shared by a group: each of them would else index every video at each opening."""
    place = tmp_path / "cam_1.idx"
    open_video_index(video, place)
    (tmp_path / "other").touch()
    assert place.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_changed_video_is_indexed_anew(video: Path, tmp_path: Path) -> None:
    copy, place = tmp_path / "copy.mp4", tmp_path / "copy.idx"
    copy.write_bytes(video.read_bytes())
    open_video_index(copy, place)
    other = write_video(tmp_path / "other.mp4", 7)
    copy.write_bytes(other.read_bytes())
    os.utime(copy, ns=(1, 1))
    assert open_video_index(copy, place).n_frames == 7
    assert open_video_index(copy, place).source_mtime_ns == 1


def test_damaged_and_foreign_index_files_are_replaced(video: Path, tmp_path: Path) -> None:
    place = tmp_path / "cam_1.idx"
    index = open_video_index(video, place)
    data = place.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 255
    for wrong in (
        b"",
        b"\x93NUMPY",
        data[:100],
        data[:-1],
        bytes(flipped),
        data.replace(b"1", b"7"),
    ):
        place.write_bytes(wrong)
        assert same(open_video_index(video, place), index)
        assert place.read_bytes()[:2] == b"PK"


def test_a_folder_that_takes_no_file_is_no_error(video: Path, tmp_path: Path) -> None:
    occupied = tmp_path / "a file"
    occupied.write_bytes(b"")
    assert open_video_index(video, occupied / "cam_1.idx").n_frames == 30
    assert open_video_index(video, None).n_frames == 30


def test_what_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "cam_1.mp4"
    path.write_bytes(b"no video at all, but long enough for a box")
    with pytest.raises(DecodeError):
        open_video_index(path, tmp_path / "cam_1.idx")
    assert not (tmp_path / "cam_1.idx").exists()
    with pytest.raises(FileNotFoundError):
        open_video_index(tmp_path / "none.mp4", None)


# ---- the plan of packets ------------------------------------------------------------------------

INFO = VideoInfo(64, 48, 1, "packets", 1, None, "h264", "yuv420p")


def index_of(groups: list[list[int]], disposable: set[int]) -> VideoIndex:
    """Groups of frames in decoding order, counted within their group; the first is the keyframe."""
    pts: list[int] = []
    keys: list[bool] = []
    for group in groups:
        base = len(pts)
        pts += [base + frame for frame in group]
        keys += [place == 0 for place in range(len(group))]
    n_packets = len(pts)
    return VideoIndex(
        info=replace(INFO, n_frames=n_packets),
        extradata=b"",
        color_tags=(0, 0, 0, 0),
        source_bytes=0,
        source_mtime_ns=0,
        offsets=np.arange(n_packets),
        sizes=np.ones(n_packets, np.int64),
        pts=np.array(pts, np.int64),
        is_shown=np.ones(n_packets, np.bool_),
        is_keyframe=np.array(keys),
        is_disposable=np.array([p in disposable and not keys[p] for p in range(n_packets)]),
    )


def test_from_the_last_keyframe_without_what_nothing_refers_to() -> None:
    index = index_of([[0, 3, 1, 2], [0, 3, 1, 2]], disposable={2, 3, 6, 7})
    plans = {
        (2,): [([0, 1, 3], [2])],
        (5,): [([4, 5, 6], [5])],
        (1, 5): [([0, 1, 2], [1]), ([4, 5, 6], [5])],
        (2, 5): [([0, 1, 3, 4, 5, 6], [2, 5])],  # the next keyframe follows at once
        (3, 4, 7): [([0, 1], [3]), ([4, 5], [4, 7])],
    }
    for wanted, expected in plans.items():
        runs = plan_packets(index, np.array(wanted))
        assert [(r.packets.tolist(), r.frame_indices.tolist()) for r in runs] == expected


def test_runs_part_where_nothing_is_wanted_between() -> None:
    index = index_of([[0, 1, 2, 3]] * 4, disposable=set())
    runs = list(plan_packets(index, np.array([1, 2, 9, 13])))
    assert [r.packets.tolist() for r in runs] == [[0, 1, 2], [8, 9], [12, 13]]
    assert list(plan_packets(index, np.array([], np.int64))) == []


@given(st.data())
def test_every_wanted_frame_once_with_all_that_it_may_refer_to(data: st.DataObject) -> None:
    groups = data.draw(
        st.lists(
            st.integers(1, 6).flatmap(
                lambda n: st.permutations(range(1, n)).map(lambda p: [0, *p])
            ),
            min_size=1,
            max_size=5,
        )
    )
    n_frames = sum(map(len, groups))
    disposable = data.draw(st.sets(st.integers(0, n_frames - 1)))
    index = index_of(groups, disposable)
    wanted = data.draw(st.sets(st.integers(0, n_frames - 1)).map(sorted))
    runs = list(plan_packets(index, np.array(wanted, np.int64)))
    assert [f for run in runs for f in run.frame_indices.tolist()] == wanted
    for run in runs:
        packets = run.packets.tolist()
        assert packets == sorted(set(packets))
        assert index.is_keyframe[packets[0]]
        for frame in run.frame_indices.tolist():
            own = int(index.frame_packets[frame])
            start = max(p for p in range(own + 1) if index.is_keyframe[p])
            needed = {own, *(p for p in range(start, own) if not index.is_disposable[p])}
            assert needed <= set(packets)
    fed = [p for run in runs for p in run.packets.tolist()]
    assert len(fed) == len(set(fed))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"offsets": np.arange(3)}, "different lengths"),
        ({"is_keyframe": np.zeros(4, np.bool_)}, "no keyframe"),
        ({"pts": np.zeros(4, np.int64)}, "two frames at one time"),
        ({"is_shown": np.zeros(4, np.bool_)}, "no frames"),
    ],
)
def test_columns_that_make_no_video(changes: dict[str, Any], told: str) -> None:
    index = index_of([[0, 1, 2, 3]], set())
    with pytest.raises(ValueError, match=told):
        replace(index, **changes)
