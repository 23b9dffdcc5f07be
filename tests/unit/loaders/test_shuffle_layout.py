"""From wanted frames and a video's index to segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.index import VideoIndex, build_video_index
from nersemble_async.loaders.shuffle_layout import Step, make_layout
from tests.support.shuffling import ALL_STEPS, GOP, N_FRAMES, SERIALS, write_cameras
from tests.support.videos import write_video


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoIndex]:
    sources = write_cameras(tmp_path_factory.mktemp("layout"))
    return {serial: source.read_index() for serial, source in sources.items()}


def test_segments_are_groups_of_pictures(indexes: dict[str, VideoIndex]) -> None:
    layout = make_layout(indexes, dict.fromkeys(SERIALS, ALL_STEPS))
    assert len(layout) == 3 * N_FRAMES
    first = layout.video == 0
    assert layout.segment[first].tolist() == (np.arange(N_FRAMES) // GOP).tolist()
    assert layout.timestep[first].tolist() == [timestep for timestep, _ in ALL_STEPS]
    assert layout.n_segments == 5 + 4 + 4
    assert repr(layout) == "ShuffleLayout(69 frames, 13 segments, 3 videos)"


def test_wanted_frames_may_have_gaps_and_any_order(indexes: dict[str, VideoIndex]) -> None:
    steps = {SERIALS[0]: [(9, 21), (3, 7), (1, 2)], SERIALS[1]: [], SERIALS[2]: [(0, 0)]}
    layout = make_layout(indexes, steps)
    assert layout.frame_index.tolist() == [2, 7, 21, 0]
    assert layout.timestep.tolist() == [1, 3, 9, 0]
    assert layout.video.tolist() == [0, 0, 0, 2]
    assert layout.segment.tolist() == [0, 1, 2, 3]


def test_frames_of_an_open_group_belong_to_the_keyframe_before(tmp_path: Path) -> None:
    path = tmp_path / "open.mp4"
    write_video(path, 40, gop=10, x264_params="open-gop=1:bframes=3:b-adapt=0:scenecut=0")
    index = build_video_index(path)
    layout = make_layout({"1": index}, {"1": [(i, i) for i in range(40)]})
    for segment in range(layout.n_segments):
        starts = index.start_packets[layout.frame_index[layout.segment == segment]]
        assert len(set(starts.tolist())) == 1


def test_digest_changes_with_any_frame(indexes: dict[str, VideoIndex]) -> None:
    given: list[dict[str, list[Step]]] = [
        dict.fromkeys(SERIALS, ALL_STEPS),
        dict.fromkeys(SERIALS, ALL_STEPS[1:]),
        {serial: [(t + 1, i) for t, i in ALL_STEPS] for serial in SERIALS},
    ]
    digests = [make_layout(indexes, steps).digest for steps in given]
    turned = {serial: indexes[serial] for serial in reversed(SERIALS)}
    digests.append(make_layout(turned, given[0]).digest)
    assert len(set(digests)) == 4
    assert make_layout(indexes, given[0]).digest == digests[0]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([(0, N_FRAMES)], "no frame 23; the video has 23 frames, 0 to 22"),
        ([(0, -1)], "no frame -1"),
        ([(0, 4), (1, 4)], "frame 4 is wanted twice"),
        ([], "no frames are wanted"),
    ],
)
def test_refuses_frames_that_cannot_be_given(
    indexes: dict[str, VideoIndex], steps: list[Step], words: str
) -> None:
    with pytest.raises(SelectionError, match=words):
        make_layout(indexes, dict.fromkeys(SERIALS, steps))
