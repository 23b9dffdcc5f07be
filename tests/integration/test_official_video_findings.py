"""What the official validator would say of a video is what the issues carry, flaw by flaw."""

from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path

from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.validation.video_checks import check_video
from tests.support.head_videos import SMALL_SPEC, head, write_frames, write_heads
from tests.support.official import run_official

_N_FRAMES = 8

_LOOK = """
import zipfile
import imageio.v3 as iio
result = []
archive = zipfile.ZipFile(argument)
for name in archive.namelist():
    with archive.open(name) as file:
        properties = iio.improps(file, plugin="pyav")
    result.append([properties.n_images, properties.shape[2], properties.shape[1]])
"""


def _zoo(folder: Path) -> list[Path]:
    fragmented = {"movflags": "frag_keyframe+empty_moov"}
    with_head = {"movflags": "frag_keyframe"}
    cut = write_heads(folder / "cut.mp4", 9, container_options={"movflags": "faststart"})
    cut.write_bytes(cut.read_bytes()[:-50])
    return [
        cut,
        write_heads(folder / "good.mp4", 8),
        write_heads(folder / "short.mp4", 7),
        write_heads(folder / "long.mp4", 9),
        write_frames(folder / "wide.mp4", (head(i, (66, 96)) for i in range(8))),
        write_frames(folder / "wide_and_long.mp4", (head(i, (66, 98)) for i in range(9))),
        write_heads(folder / "fragmented.mp4", 8, gop=4, container_options=fragmented),
        write_heads(folder / "fragmented_and_short.mp4", 7, container_options=fragmented),
        write_heads(folder / "fragmented_with_head.mp4", 8, gop=4, container_options=with_head),
        write_heads(folder / "hevc.mp4", 8, codec="libx265"),
        write_heads(folder / "vp9.mp4", 9, codec="libvpx-vp9"),
        write_heads(folder / "mpeg4.mp4", 9, codec="mpeg4"),
        write_heads(folder / "deep_color.mp4", 8, pixel_format="yuv420p10le"),
        write_heads(folder / "slow.mp4", 8, rate=Fraction(25)),
    ]


def test_official_findings_are_carried_exactly(tmp_path: Path) -> None:
    entry = next(iter(expected_entries("nvs").values()))
    paths = _zoo(tmp_path)
    width, height = SMALL_SPEC.frame_size
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    seen = run_official(_LOOK, str(tmp_path / "a.zip"))
    for path, (n_found, w, h) in zip(paths, seen, strict=True):
        official: list[tuple[str, object]] = []
        if n_found != _N_FRAMES:
            official.append(("wrong_frame_counts", (entry.path, n_found, _N_FRAMES)))
        if (w, h) != (width, height):
            official.append(("wrong_resolutions", (entry.path, (w, h), (width, height))))
        issues = check_video(path, entry, SMALL_SPEC, _N_FRAMES, deep=True).issues
        carried = [issue.official for issue in issues if issue.official is not None]
        assert sorted(carried) == sorted(official), path.name
