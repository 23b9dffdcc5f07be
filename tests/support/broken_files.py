"""The zoo of `broken_zips` goes on: videos and meshes that are broken themselves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from tests.support.broken_zips import MONO, NVS, POSED, BrokenZip, marks, neutral
from tests.support.submission_files import (
    N_FRAMES,
    Faces,
    Points,
    ascii_ply,
    encode,
    good_video,
    head,
    landmarks,
    npy,
    plain_video,
    ply,
    rate_of,
    small_head,
    with_zeroed_frames,
)
from tests.support.submissions import RgbImage, picture

_SIZE = BENCHMARKS["mono_flame_avatar"].frame_size


def _images(size: tuple[int, int] = _SIZE, n_frames: int = N_FRAMES) -> list[RgbImage]:
    return [picture(size, 0, index) for index in range(n_frames)]


def _encoded(
    *,
    images: Callable[[], list[RgbImage]] = _images,
    rate: Fraction | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    **container_options: str,
) -> Callable[[], bytes]:
    return lambda: encode(
        images(),
        rate=rate or rate_of("mono_flame_avatar"),
        codec=codec,
        pixel_format=pixel_format,
        container_options=container_options,
    )


def _plain(level: int) -> Callable[[], bytes]:
    image = np.full((_SIZE[1], _SIZE[0], 3), level, np.uint8)
    return lambda: plain_video("mono_flame_avatar", image)


def _on_grey() -> bytes:
    images = [np.minimum(image, 128) for image in _images()]
    return encode(images, rate=rate_of("mono_flame_avatar"))


def _video(
    name: str,
    rule: str,
    video: Callable[[], bytes],
    task: Task = "mono_flame_avatar",
    *,
    crashes: bool = False,
) -> BrokenZip:
    path = (NVS if task == "nvs" else MONO)[0]
    return BrokenZip(name, task, rule, path, lambda: [(path, video())], official_crashes=crashes)


VIDEOS: tuple[BrokenZip, ...] = (
    _video("no video", "unreadable-video", lambda: b"", crashes=True),
    _video(
        "half a video",
        "unreadable-video",
        lambda: good_video("mono_flame_avatar")[:2000],
        crashes=True,
    ),
    _video("a text", "unreadable-video", lambda: b"no video" * 100, crashes=True),
    _video("a small video", "wrong-resolution", _encoded(images=lambda: _images((256, 128)))),
    _video("turned", "wrong-resolution", lambda: good_video("mono_flame_avatar"), "nvs"),
    _video("too short", "wrong-frame-count", lambda: good_video("mono_flame_avatar", 0, 2)),
    _video("too long", "wrong-frame-count", lambda: good_video("nvs", 0, 4), "nvs"),
    _video("25 fps", "wrong-frame-rate", _encoded(rate=Fraction(25))),
    _video("HEVC", "wrong-codec", _encoded(codec="libx265")),
    _video("4:2:2", "wrong-pixel-format", _encoded(pixel_format="yuv422p")),
    _video(
        "fragmented",
        "fragmented-video",
        _encoded(movflags="frag_keyframe+empty_moov+default_base_moof"),
    ),
    _video(
        "zeros", "undecodable-video", lambda: with_zeroed_frames(good_video("mono_flame_avatar"))
    ),
    _video("black", "black-video", _plain(0)),
    _video("grey", "constant-video", _plain(128)),
    _video("frozen", "frozen-video", lambda: plain_video("mono_flame_avatar", _images()[0], 3)),
    _video("on grey", "wrong-background", _on_grey),
    BrokenZip(
        "one video twice",
        "mono_flame_avatar",
        "identical-videos",
        MONO[1],
        lambda: [(path, good_video("mono_flame_avatar")) for path in MONO],
    ),
)


# ---- meshes -------------------------------------------------------------------------------------


def _changed(index: int, value: float) -> tuple[Points, Faces]:
    vertices, faces = head()
    changed = vertices.copy()
    changed[index] = value
    return changed, faces


def _faces(value: int) -> tuple[Points, Faces]:
    vertices, faces = head()
    changed = faces.copy()
    changed[3, 1] = value
    return vertices, changed


def _with_equal_vertices() -> tuple[Points, Faces]:
    vertices, faces = head()
    changed = vertices.copy()
    changed[17] = changed[4000]
    return changed, faces


def _mesh(
    name: str,
    rule: str,
    mesh: Callable[[], bytes],
    given: Callable[[], bytes] | None = None,
    *,
    path: str = POSED[0],
    crashes: bool = False,
) -> BrokenZip:
    """Beside one that is right; ``given`` are landmarks."""
    at_landmarks = rule.endswith("-landmarks")
    return BrokenZip(
        name,
        "svfr",
        rule,
        marks(path) if at_landmarks else path,
        lambda: [
            (path, mesh()),
            *([] if given is None else [(marks(path), given())]),
            (POSED[1], ply(*head())),
        ],
        official_crashes=crashes,
    )


def _signalling_nan() -> bytes:
    """One that NumPy warns of when it is made a float64."""
    end = b"end_header\n"
    header, vertices = ply(*head()).split(end, 1)
    return header + end + b"\x01\x00\x80\x7f" + vertices[4:]


def _small() -> bytes:
    return ply(*small_head())


def _pickled() -> bytes:
    return npy(np.array([{"a": 1}], dtype=object))


def _one_nan() -> bytes:
    given = landmarks().copy()
    given[3, 2] = np.nan
    return npy(given)


MESHES: tuple[BrokenZip, ...] = (
    _mesh("no mesh in it", "unreadable-mesh", lambda: b"", crashes=True),
    _mesh("half a mesh", "unreadable-mesh", lambda: ply(*head())[:50_000], crashes=True),
    _mesh("a text for a mesh", "unreadable-mesh", lambda: b"no mesh\n" * 9, crashes=True),
    _mesh(
        "no vertices",
        "empty-mesh",
        lambda: ply(np.empty((0, 3)), np.empty((0, 3), np.int64)),
        lambda: npy(landmarks()),
    ),
    _mesh("no faces", "empty-mesh", lambda: ply(head()[0], np.empty((0, 3), np.int64))),
    _mesh("NaN", "not-finite-mesh", lambda: ply(*_changed(7, np.nan))),
    _mesh("a signalling NaN", "not-finite-mesh", _signalling_nan),
    _mesh("infinite", "not-finite-mesh", lambda: ply(*_changed(7, np.inf))),
    _mesh("a face too far", "wrong-face-index", lambda: ply(*_faces(5023)), crashes=True),
    _mesh("a negative face", "wrong-face-index", lambda: ply(*_faces(-1))),
    _mesh("letters", "ascii-mesh", lambda: ascii_ply(*head())),
    _mesh("no landmarks", "missing-landmarks", _small),
    _mesh("no landmarks of neutral", "missing-landmarks", _small, path=neutral(POSED[0])),
    _mesh("equal vertices", "merged-vertices", lambda: ply(*_with_equal_vertices())),
    _mesh("six landmarks", "wrong-landmarks", _small, lambda: npy(landmarks()[:6])),
    _mesh("flat landmarks", "wrong-landmarks", _small, lambda: npy(landmarks().ravel())),
    _mesh("a landmark is NaN", "wrong-landmarks", _small, _one_nan),
    _mesh("pickled landmarks", "wrong-landmarks", _small, _pickled, crashes=True),
    _mesh("no npy", "wrong-landmarks", _small, lambda: b"no npy", crashes=True),
    _mesh("landmarks far off", "far-landmarks", _small, lambda: npy(landmarks() + 3.0)),
    _mesh("as large as a house", "unusual-scale", lambda: ply(head()[0] * 40, head()[1])),
)
