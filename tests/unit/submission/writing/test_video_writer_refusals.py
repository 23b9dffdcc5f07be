"""Videos that an earlier run wrote for something else, or that the disk ended: what is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DiskFullError, SubmissionError
from nersemble_async.submission.writing.archive import Archive
from nersemble_async.submission.writing.video_writers import MonoFlameAvatarSubmissionDataWriter
from tests.support.submissions import Lengths, RgbImage, picture

WHERE = (393, "FREE", "222200037")
PATH = "393/FREE/cam_222200037.mp4"


def begin(
    folder: Path, n_frames: int = 2, *, resume: bool | None = None
) -> MonoFlameAvatarSubmissionDataWriter:
    return MonoFlameAvatarSubmissionDataWriter(
        folder / "a.zip", metadata=Lengths(n_frames), resume=resume, allow_partial=True
    )


def frames(n: int = 2) -> list[RgbImage]:
    return [picture((512, 512), 7, index) for index in range(n)]


def test_what_has_another_length_now_cannot_be_gone_on_with_and_is_not_lost(tmp_path: Path) -> None:
    """Else it would be told after hours of encoding, when nothing else than to begin anew helps."""
    with begin(tmp_path) as writer:
        writer.add_video(*WHERE, frames())
        writer.keep()
    with pytest.raises(
        SubmissionError, match=r"with 2 frames, the metadata given says 3: .*--restart"
    ):
        begin(tmp_path, 3, resume=True)
    assert not (tmp_path / "a.zip.partial.videos").exists()
    with begin(tmp_path, resume=True) as writer:
        assert writer.resumed == {PATH}
        writer.keep()
    with begin(tmp_path, 3, resume=False) as writer:
        writer.add_video(*WHERE, frames(3))


def test_what_no_submission_has_cannot_be_gone_on_with(tmp_path: Path) -> None:
    archive = Archive(
        tmp_path / "a.zip",
        {"task": "mono_flame_avatar", "compensate_reader_bias": False},
        resume=None,
    )
    archive.add_bytes({"393/FREE/cam_1.mp4": b"as an earlier version named it"})
    archive.keep()
    with pytest.raises(SubmissionError, match=r"cam_1\.mp4, which no submission to .*--restart"):
        begin(tmp_path, resume=True)


def test_closing_what_a_full_disk_ended_tells_of_the_disk_not_of_lacking_frames(
    tmp_path: Path,
) -> None:
    with begin(tmp_path, 1000) as writer:
        folder = tmp_path / "a.zip.partial.videos"
        folder.mkdir()
        (folder / PATH.replace("/", "_")).symlink_to("/dev/full")
        video = writer.open_video(*WHERE)
        noise = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)

        def write_all() -> None:
            for _ in range(1000):
                video.write(noise)

        with pytest.raises(DiskFullError):
            write_all()
        with pytest.raises(DiskFullError):
            video.close()
        writer.keep()
