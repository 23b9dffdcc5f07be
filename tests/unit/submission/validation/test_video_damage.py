"""Damaged and hostile videos: found by their rule where they can be, and never an exception."""

from __future__ import annotations

import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nersemble_async.submission.rules import RULES
from tests.support.head_videos import head, write_frames, write_heads
from tests.support.video_checking import ENTRY, check, issues_of


@cache
def good_video() -> bytes:
    """The bytes of a good video of eight frames, its index at the end."""
    with tempfile.TemporaryDirectory() as folder:
        return write_heads(Path(folder) / "good.mp4", 8, gop=4).read_bytes()


# ---- cut off ------------------------------------------------------------------------------------


def test_a_truncation_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for movflags in ("", "faststart"):
        options = {"movflags": movflags} if movflags else {}
        data = write_heads(path, 8, container_options=options).read_bytes()
        for length in [*range(0, len(data) - 1, 97), len(data) - 1]:
            path.write_bytes(data[:length])
            rules = issues_of(path)
            assert "unreadable-video" in rules, (movflags, length)


def test_a_truncated_videos_header_is_read_as_the_official_validator_does(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    frames = (head(index, (66, 96)) for index in range(9))
    data = write_frames(path, frames, container_options={"movflags": "faststart"}).read_bytes()
    path.write_bytes(data[:-100])
    issues = check(path).issues
    assert [(issue.rule, issue.official) for issue in issues] == [
        ("unreadable-video", None),
        ("wrong-resolution", ("wrong_resolutions", (ENTRY.path, (66, 96), (64, 96)))),
        ("wrong-frame-count", ("wrong_frame_counts", (ENTRY.path, 9, 8))),
    ]


# ---- decoding -----------------------------------------------------------------------------------


def _damage(path: Path, frame: int) -> None:
    """Overwrite the middle of a frame's bytes."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        packet = sorted(packets, key=lambda packet: packet.pts or 0)[frame]
        offset, size = packet.pos, packet.size
    assert offset is not None
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, size - size // 3 - 5, np.uint8).tobytes()
    data[offset + size // 3 : offset + size // 3 + len(noise)] = noise
    path.write_bytes(data)


def _lively(path: Path, n_frames: int, gop: int) -> Path:
    """Noisy frames: packets large enough to be damaged in many ways."""
    rng = np.random.default_rng(1)

    def noisy(index: int) -> Any:
        image = head(index).astype(np.int16)
        return np.clip(image + rng.integers(-25, 26, image.shape), 0, 255).astype(np.uint8)

    return write_frames(path, (noisy(index) for index in range(n_frames)), gop=gop)


def test_deep_finds_the_first_frame_that_does_not_decode(tmp_path: Path) -> None:
    path = _lively(tmp_path / "a.mp4", 40, gop=10)
    assert issues_of(path, 40, deep=True) == []
    _damage(path, 20)
    issue = next(i for i in check(path, 40, deep=True).issues if i.rule == "undecodable-video")
    assert issue.found.startswith("frame 20 of 40: ")
    assert issue.found.endswith("20 frames before it are fine")


def test_an_undecodable_first_frame_is_found_without_deep(tmp_path: Path) -> None:
    path = _lively(tmp_path / "a.mp4", 20, gop=250)
    _damage(path, 0)
    findings = check(path, 20)
    assert [issue.rule for issue in findings.issues] == ["undecodable-video"]
    assert findings.samples == ()
    assert findings.n_frames == 20


# ---- hostile ------------------------------------------------------------------------------------


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6)),
        min_size=1,
        max_size=4,
    ),
    deep=st.booleans(),
)
def test_no_change_of_bytes_ends_in_an_exception(
    tmp_path: Path, changes: list[tuple[float, bytes]], deep: bool
) -> None:
    data = bytearray(good_video())
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new[: len(data) - start]
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    findings = check(path, deep=deep)
    assert all(issue.rule in RULES for issue in findings.issues)


def test_each_damaged_byte_of_the_index_ends_in_findings(tmp_path: Path) -> None:
    data = good_video()
    index = data.index(b"moov")
    path = tmp_path / "a.mp4"
    look = partial(check, path)
    for place in range(index, len(data), 7):
        path.write_bytes(data[:place] + bytes((data[place] ^ 0xFF,)) + data[place + 1 :])
        assert all(issue.rule in RULES for issue in look().issues)
