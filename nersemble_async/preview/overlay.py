"""Pointclouds and meshes as a camera sees them, drawn over its image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nersemble_async.formats.cameras import project
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
from nersemble_async.preview.sheet import RgbImage

_PIXELS_PER_POINT = 5.0
_LARGEST_SPLAT_PIXELS = 4
_MESH_COLOR = np.array([70, 130, 230])
_MESH_OPACITY = 0.6
_FADED = 0.35
"""What is left of an image's contrast under points."""
_DARKEST = 0.35
"""Of a face seen from the side."""


def fade(image: RgbImage) -> RgbImage:
    """Towards white, so that what is drawn on it stands out."""
    return (255 - (255 - image.astype(np.float32)) * _FADED).astype(np.uint8)


def draw_pointcloud(
    image: RgbImage,
    cloud: Pointcloud,
    world_2_cam: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float64],
) -> RgbImage:
    """Points as squares in their colours, the nearest on top, over a copy of ``image``.

    Args:
        image: (H, W, 3), as the camera sees it or white.
        cloud: world coordinates in metres; grey where it has no colours.
        world_2_cam: (4, 4), OpenCV convention.
        intrinsics: (3, 3) for an image of that size.
    """
    height, width = image.shape[:2]
    drawn = image.copy()
    pixels, depth = project(cloud.points, world_2_cam, intrinsics)
    seen = np.flatnonzero(np.isfinite(pixels).all(axis=1))
    order = seen[np.argsort(-depth[seen], kind="stable")]
    colors = np.full((len(cloud.points), 3), 128, np.uint8)
    if len(cloud.colors):
        colors = np.rint(cloud.colors * 255).astype(np.uint8)
    # Squares large enough to close the surface where points are few.
    side = np.sqrt(_PIXELS_PER_POINT * width * height / max(1, len(order)))
    n_across = int(np.clip(side, 1, _LARGEST_SPLAT_PIXELS))
    for offset_y in range(n_across):
        for offset_x in range(n_across):
            x = np.rint(pixels[order, 0] - (n_across - 1) / 2 + offset_x)
            y = np.rint(pixels[order, 1] - (n_across - 1) / 2 + offset_y)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            drawn[y[inside].astype(int), x[inside].astype(int)] = colors[order[inside]]
    return drawn


def draw_mesh(
    image: RgbImage,
    vertices: npt.NDArray[np.floating],
    faces: npt.NDArray[np.integer],
    world_2_cam: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float64],
) -> RgbImage:
    """A mesh with light from the camera, half transparent over a copy of ``image``.

    Args:
        image: (H, W, 3), as the camera sees it.
        vertices: (V, 3) world coordinates in metres.
        faces: (F, 3); drawn from both sides.
        world_2_cam: (4, 4), OpenCV convention.
        intrinsics: (3, 3) for an image of that size.
    """
    pixels, depth = project(vertices, world_2_cam, intrinsics)
    in_camera = vertices @ world_2_cam[:3, :3].T + world_2_cam[:3, 3]
    corners = in_camera[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    facing = np.abs(normals[:, 2]) / np.maximum(lengths, np.finfo(np.float64).tiny)
    shades = np.rint(_MESH_COLOR * (_DARKEST + (1 - _DARKEST) * facing[:, None])).astype(int)
    there = (depth[faces] > 0).all(axis=1) & (lengths > 0)
    order = np.argsort(-depth[faces].mean(axis=1), kind="stable")
    layer = Image.fromarray(image)
    painter = ImageDraw.Draw(layer)
    for face in order[there[order]].tolist():
        outline = [tuple(point) for point in pixels[faces[face]].tolist()]
        painter.polygon(outline, fill=tuple(shades[face].tolist()))
    blended = Image.blend(Image.fromarray(image), layer, _MESH_OPACITY)
    return np.array(blended)
