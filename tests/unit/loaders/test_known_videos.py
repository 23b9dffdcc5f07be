"""Which videos the frame cache goes on knowing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders import known_videos
from nersemble_async.loaders.known_videos import KnownVideos, identity_of
from tests.support.videos import write_video


def test_those_that_were_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_videos, "_VIDEOS_KNOWN", 2)
    first = write_video(tmp_path / "0.mp4", 2)
    sources = [VideoSource(first), VideoSource(tmp_path / "1.mp4"), VideoSource(tmp_path / "2.mp4")]
    for source in sources[1:]:
        shutil.copy2(first, source.path)
    videos = KnownVideos()

    def find(number: int) -> object:
        return videos.find(sources[number], identity_of(sources[number]))

    zero, one = find(0), find(1)
    assert find(0) is zero
    find(2)
    assert find(0) is zero, "it was used after 1"
    assert find(1) is not one
