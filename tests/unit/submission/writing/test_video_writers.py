"""Submitted videos, frame by frame: what is refused, what is lost, what stays."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.keys import VideoKey
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import (
    ConfigurationError,
    IncompleteSubmissionError,
    InvalidPredictionError,
    SelectionError,
    SubmissionError,
)
from nersemble_async.submission.reading.video_readers import MonoFlameAvatarSubmissionDataReader
from nersemble_async.submission.writing.video_sink import VideoSink
from nersemble_async.submission.writing.video_writers import (
    MonoFlameAvatarSubmissionDataWriter,
    NVSSubmissionDataWriter,
)
from tests.support.submissions import Lengths, picture, pictures, video_entries

SIZE = BENCHMARKS["mono_flame_avatar"].frame_size
ENTRIES = video_entries("mono_flame_avatar")
WHERE = (393, "FREE", "222200037")
PATH = "393/FREE/cam_222200037.mp4"


def begin(folder: Path, n_frames: int = 2, **how: object) -> MonoFlameAvatarSubmissionDataWriter:
    return MonoFlameAvatarSubmissionDataWriter(
        folder / "a.zip",
        metadata=Lengths(n_frames),
        **how,  # type: ignore[arg-type]
    )


def frames(n: int = 2) -> list[np.ndarray]:
    return [picture(SIZE, 7, index) for index in range(n)]


def assert_two_show_the_same(path: Path) -> None:
    """Up to what x264 makes of it: the same frames need not give the same bytes."""
    with MonoFlameAvatarSubmissionDataReader(path) as reader:
        first = reader.load_video(*WHERE)
        second = reader.load_video(393, "FREE", "222200046")
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 1


def test_a_whole_submission(tmp_path: Path) -> None:
    with begin(tmp_path) as writer:
        for entry in ENTRIES:
            key: VideoKey = entry.video
            assert writer.add_video(
                *(key.participant_id, key.sequence_name, key.serial),
                pictures("mono_flame_avatar", entry, 2),
            )
        assert writer.missing() == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == [entry.path for entry in ENTRIES]
    assert writer.report is not None
    assert writer.report.errors == ()


def test_what_is_missing_is_listed_and_the_rest_is_kept(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    writer.add_video(*WHERE, frames())
    with pytest.raises(IncompleteSubmissionError) as caught:
        writer.close()
    assert len(caught.value.missing) == 79
    assert PATH not in caught.value.missing
    assert "a.zip.partial" in str(caught.value)
    with begin(tmp_path, resume=True) as writer:
        assert writer.resumed == {PATH}

        def never() -> Iterator[np.ndarray]:
            pytest.fail("a frame was asked for")
            yield

        assert not writer.add_video(*WHERE, never())
        assert len(writer.missing()) == 79
        writer.keep()
    assert not (tmp_path / "a.zip").exists()


def test_a_partial_zip_only_where_it_is_asked_for(tmp_path: Path) -> None:
    with begin(tmp_path, allow_partial=True) as writer:
        writer.add_video(*WHERE, iter(frames()))
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == [PATH]
    assert writer.report is not None
    assert {issue.rule for issue in writer.report.errors} == {"missing-entry"}


@pytest.mark.parametrize("n", [0, 1, 3])
def test_another_number_of_frames_is_refused_and_nothing_of_it_kept(tmp_path: Path, n: int) -> None:
    with begin(tmp_path) as writer:
        for given in (frames(n), iter(frames(n))):
            with pytest.raises(InvalidPredictionError, match=r"FREE/cam_222200037\.mp4.* 2 "):
                writer.add_video(*WHERE, given)
        writer.add_video(*WHERE, frames())
        assert len(writer.missing()) == 79
        writer.keep()


def test_the_frame_that_is_wrong_is_named(tmp_path: Path) -> None:
    with begin(tmp_path) as writer:
        wrong = [*frames(1), picture((512, 510), 1)]
        with pytest.raises(InvalidPredictionError, match=r"cam_222200037\.mp4, frame 1: .*512, 3"):
            writer.add_video(*WHERE, wrong)
        with writer.open_video(*WHERE) as video:
            with pytest.raises(InvalidPredictionError, match=r"frame 0: .*from_float=True"):
                video.write(frames()[0] / 255)
            video.write(frames()[0])  # a frame that was refused does not count
            video.write(frames()[1][:, ::-1])
            with pytest.raises(InvalidPredictionError, match="has all of its 2 frames"):
                video.write(frames()[1])
        assert len(writer.missing()) == 79
        writer.keep()


def test_floats_where_it_is_said(tmp_path: Path) -> None:
    with begin(tmp_path, allow_partial=True) as writer:
        writer.add_video(*WHERE, [f / 255 for f in frames()], from_float=True)
        writer.add_video(393, "FREE", "222200046", frames())
    assert_two_show_the_same(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ((388, "FREE", "222200037"), "has participant 388; participants to submit are 393, 404"),
        ((393, "EXP-1-head", "222200037"), "sequence 'EXP-1-head'; sequences to submit are FREE"),
        ((393, "FREE", "222200040"), "serial '222200040'; serials to submit are 222200037"),
    ],
)
def test_what_nobody_submits_is_refused(
    tmp_path: Path, where: tuple[int, str, str], told: str
) -> None:
    with begin(tmp_path) as writer:
        with pytest.raises(SelectionError, match=told):
            writer.add_video(*where, frames())
        writer.keep()


def test_a_video_is_written_once(tmp_path: Path) -> None:
    with begin(tmp_path) as writer:
        with writer.open_video(*WHERE) as video:
            with pytest.raises(SubmissionError, match="is open already"):
                writer.open_video(*WHERE)
            for frame in frames():
                video.write(frame)
        with pytest.raises(SubmissionError, match="was written already"):
            writer.add_video(*WHERE, frames())
        with pytest.raises(SubmissionError, match="is closed"):
            video.write(frames()[0])
        writer.keep()
    with pytest.raises(SubmissionError, match="is closed"):
        writer.open_video(*WHERE)


def test_an_error_of_the_renderer_costs_its_video_only(tmp_path: Path) -> None:
    class RenderError(Exception):
        pass

    def render() -> Iterator[np.ndarray]:
        yield frames()[0]
        raise RenderError

    writer = begin(tmp_path)
    writer.add_video(*WHERE, frames())
    with pytest.raises(RenderError), writer:
        writer.add_video(393, "FREE", "222200046", render())
    with begin(tmp_path, resume=True) as writer:
        assert writer.resumed == {PATH}
        writer.keep()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.zip.partial",
        "a.zip.partial.journal",
    ]


def test_the_callers_array_may_change_at_once(tmp_path: Path) -> None:
    with begin(tmp_path, n_frames=6, allow_partial=True) as writer:
        with writer.open_video(*WHERE) as video:
            for frame in frames(6):
                canvas = frame.copy()
                video.write(canvas)
                canvas[:] = 0
        writer.add_video(393, "FREE", "222200046", frames(6))
    assert_two_show_the_same(tmp_path / "a.zip")


def test_twenty_videos_open_at_once(tmp_path: Path) -> None:
    with begin(tmp_path, n_frames=3, allow_partial=True) as writer:
        videos = [writer.open_video(*key_of(entry)) for entry in ENTRIES[:20]]
        for index in range(3):
            for seed, video in enumerate(videos):
                video.write(picture(SIZE, seed, index))
        for video in videos:
            video.close()
    assert len(zipfile.ZipFile(tmp_path / "a.zip").namelist()) == 20


def key_of(entry: object) -> tuple[int, str, str]:
    key: VideoKey = entry.video  # type: ignore[attr-defined]
    return key.participant_id, key.sequence_name, key.serial


def test_more_open_videos_than_memory_is_allowed_for_are_refused(tmp_path: Path) -> None:
    with begin(tmp_path, memory_limit_bytes=1 << 28) as writer:
        videos: list[VideoSink] = []

        def open_all() -> None:
            videos.extend(writer.open_video(*key_of(entry)) for entry in ENTRIES)

        with pytest.raises(SubmissionError, match=r"videos open at once take .*memory_limit"):
            open_all()
        writer.keep()


def test_a_video_that_is_left_open_is_missing(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    video = writer.open_video(*WHERE)
    video.write(frames()[0])
    with pytest.raises(IncompleteSubmissionError, match="80 entries are missing"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_lengths_come_from_the_root_or_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="metadata="):
        MonoFlameAvatarSubmissionDataWriter(tmp_path / "a.zip", benchmark_folder=tmp_path)
    writer = NVSSubmissionDataWriter(tmp_path / "a.zip", benchmark_folder=tmp_path)
    with writer.open_video(388, "GLASSES", "222200046") as video:
        assert video.n_expected == 1118
        video.drop()
    writer.keep()


def test_threads_are_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="threads is 0"):
        begin(tmp_path, threads=0)


def test_nothing_is_written_elsewhere_than_beside_the_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not" / "there"))
    with begin(tmp_path, allow_partial=True) as writer:
        writer.add_video(*WHERE, frames())
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
