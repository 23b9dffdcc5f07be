"""An aborted video on a file system that tells of a full disk as late as it can."""

from __future__ import annotations

import errno
import io
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

from nersemble_async.formats.video.encoder import VideoEncoder


def test_an_abort_is_no_error_where_closing_tells_of_the_full_disk_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS does; it would hide why the video is aborted, and leave its file."""
    video = VideoEncoder(tmp_path / "video.mp4", (64, 48), Fraction(73))

    def close(file: io.FileIO) -> None:
        os.close(file.fileno())
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(type(video._file), "close", close)
        video.abort()
    with suppress(OSError):
        video._file.close()
    assert list(tmp_path.iterdir()) == []
