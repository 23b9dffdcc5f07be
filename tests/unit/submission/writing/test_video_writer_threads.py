"""Videos written from several threads, within their memory; ends that are interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.errors import (
    DiskFullError,
    IncompleteSubmissionError,
    InvalidPredictionError,
    SubmissionError,
)
from nersemble_async.formats.video.encoder import encoder_memory_bytes
from nersemble_async.submission.reading.video_readers import MonoFlameAvatarSubmissionDataReader
from nersemble_async.submission.writing.archive import Archive
from nersemble_async.submission.writing.video_sink import VideoSink
from nersemble_async.submission.writing.video_writers import (
    MonoFlameAvatarSubmissionDataWriter,
    NVSSubmissionDataWriter,
    videos_within,
)
from tests.support.submissions import Lengths, RgbImage, picture, video_entries

SIZE = BENCHMARKS["mono_flame_avatar"].frame_size
KEYS = [(e.participant_id, e.sequence_name, e.serial) for e in video_entries("mono_flame_avatar")]


def begin(
    folder: Path, n_frames: int = 2, *, allow_partial: bool = True, **how: int
) -> MonoFlameAvatarSubmissionDataWriter:
    return MonoFlameAvatarSubmissionDataWriter(
        folder / "a.zip",
        metadata=Lengths(n_frames),
        allow_partial=allow_partial,
        resume=True,
        **how,  # type: ignore[arg-type]
    )


def at_once(jobs: Sequence[Callable[[], object]]) -> list[object]:
    """Begun by as many threads at the same time; what each returns or raises."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return job()
        except SubmissionError as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(run, jobs))


def level_of(image: RgbImage) -> int:
    return round(float(image.mean()))


def flat(level: int) -> RgbImage:
    image = picture(SIZE, 0)
    image[:] = level
    return image


def test_many_threads_with_a_video_each(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with writer.open_video(*KEYS[number]) as video:
            for index in range(5):
                video.write(flat(10 * number + 20 * index))

    with begin(tmp_path, 5) as writer:
        assert at_once([partial(write, i) for i in range(8)]) == [None] * 8
    reader = MonoFlameAvatarSubmissionDataReader(tmp_path / "a.zip")
    for number in range(8):
        levels = [level_of(frame) for frame in reader.load_video(*KEYS[number])]
        assert levels == pytest.approx([10 * number + 20 * index for index in range(5)], abs=4)
    reader.close()


def test_many_threads_with_one_video(tmp_path: Path) -> None:
    """In which order the frames come is theirs; each comes once, and no more than fit."""
    with begin(tmp_path, 20) as writer:
        with writer.open_video(*KEYS[0]) as video:
            jobs = [partial(video.write, flat(10 * i)) for i in range(23)]
            results = at_once(jobs)
        refused = [i for i, result in enumerate(results) if result is not None]
        assert [type(results[i]) for i in refused] == [InvalidPredictionError] * 3
    with MonoFlameAvatarSubmissionDataReader(tmp_path / "a.zip") as reader:
        levels = sorted(level_of(frame) for frame in reader.load_video(*KEYS[0]))
    expected = [10 * i for i in range(23) if i not in refused]
    assert levels == pytest.approx(expected, abs=4)


def test_one_of_many_threads_opens_a_video(tmp_path: Path) -> None:
    with begin(tmp_path) as writer:
        for key in KEYS[:10]:
            results = at_once([partial(writer.open_video, *key)] * 8)
            assert sum(isinstance(result, VideoSink) for result in results) == 1
        writer.keep()


def test_a_video_closed_by_many_threads_is_there_once(tmp_path: Path) -> None:
    with begin(tmp_path) as writer:
        video = writer.open_video(*KEYS[0])
        for index in range(2):
            video.write(flat(index))
        assert at_once([video.close, writer.close, video.close, writer.keep]) == [None] * 4
    left = {path.name for path in tmp_path.iterdir()}
    assert left in ({"a.zip"}, {"a.zip.partial", "a.zip.partial.journal"}, set())


def test_encoders_of_many_threads_stay_within_the_memory(tmp_path: Path) -> None:
    """Few videos on many cores have many threads each, and those take memory too."""
    limit = 8 * encoder_memory_bytes(SIZE)
    with begin(tmp_path, threads=64, memory_limit_bytes=limit) as writer:
        videos = [writer.open_video(*KEYS[0])]
        videos[0].write(flat(1))
        assert 8 < videos[0].encoder_threads <= 64
        with pytest.raises(SubmissionError, match=r"videos open at once take .*memory_limit"):  # noqa: PT012
            for key in KEYS[1:]:
                videos.append(writer.open_video(*key))
                videos[-1].write(flat(1))
        taken = sum(encoder_memory_bytes(SIZE, each.encoder_threads) for each in videos)
        assert limit - encoder_memory_bytes(SIZE) < taken <= limit
        for video in videos:
            video.drop()
        many = [writer.open_video(*key) for key in KEYS[:8]]
        for video in many:
            video.write(flat(1))
        assert {video.encoder_threads for video in many} == {1}
        writer.keep()


@pytest.mark.parametrize("task", ["nvs", "mono_flame_avatar"])
def test_on_many_cores_nearly_as_many_videos_can_be_open_as_on_few(
    tmp_path: Path, task: Task
) -> None:
    """Each is written to before the next is opened: the first took all memory for its threads."""
    size = BENCHMARKS[task].frame_size
    limit = 10 * encoder_memory_bytes(size)
    make = {"nvs": NVSSubmissionDataWriter}.get(task, MonoFlameAvatarSubmissionDataWriter)
    writer = make(tmp_path / "a.zip", metadata=Lengths(2), threads=128, memory_limit_bytes=limit)
    entries = video_entries(task)[: videos_within(limit, size)]
    assert len(entries) == 7
    for entry in entries:
        writer.open_video(entry.participant_id, entry.sequence_name, entry.serial).write(
            np.zeros((size[1], size[0], 3), np.uint8)
        )
    writer.keep()


def test_a_video_that_is_dropped_takes_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(self: Archive, name: str, path: Path) -> None:
        assert path.stat().st_size > 0
        raise DiskFullError("full")

    with begin(tmp_path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(Archive, "add_file", is_full)
            with pytest.raises(DiskFullError):
                writer.add_video(*KEYS[0], [flat(1), flat(2)])
        assert list((tmp_path / "a.zip.partial.videos").iterdir()) == []
        assert writer.add_video(*KEYS[0], [flat(1), flat(2)])


def test_an_interrupted_end_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = begin(tmp_path)
    writer.add_video(*KEYS[0], [flat(1), flat(2)])
    video = writer.open_video(*KEYS[1])
    video.write(flat(1))

    def interrupt(self: VideoSink) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VideoSink, "drop", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.close()
    with begin(tmp_path, allow_partial=False) as again:
        assert len(again.resumed) == 1
        again.keep()
    video.drop()


def test_what_the_validator_says_is_of_the_zip_under_its_name(tmp_path: Path) -> None:
    with begin(tmp_path) as writer:
        writer.add_video(*KEYS[0], [flat(1), flat(2)])
    assert writer.report is not None
    assert writer.report.path == tmp_path / "a.zip"


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    writer = begin(tmp_path, allow_partial=False)
    with pytest.raises(IncompleteSubmissionError):
        writer.close()
    writer.close()
    writer.keep()
