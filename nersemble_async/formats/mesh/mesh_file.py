"""Triangle meshes: PLY and OBJ with every vertex and face where the file has it, by trimesh.

Everything is as with trimesh's ``process=False``: no vertex is merged, dropped or moved. With
its default a FLAME mesh that holds one duplicate has 5,022 vertices instead of 5,023.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.obj_text import parse_obj
from nersemble_async.formats.mesh.ply import ply_bytes

if TYPE_CHECKING:
    import trimesh

_AXES = 3


def read_mesh(path: Path) -> trimesh.Trimesh:
    """Read a .ply or .obj; vertices are float64 (V, 3), faces int64 (F, 3), in the file's order.

    Polygons become triangles. Of an OBJ only vertices and faces are read; of a PLY trimesh also
    keeps vertex colours.

    Raises:
        ValueError: the name ends neither in .ply nor in .obj.
        DecodeError: it does not parse, has no vertex, a vertex that is not finite or a face that
            refers to none.
        OSError: the file cannot be read.
    """
    import trimesh  # noqa: PLC0415 -- 0.2 s
    from trimesh.exchange.ply import load_ply  # noqa: PLC0415

    suffix = path.suffix.lower()
    if suffix not in {".ply", ".obj"}:
        raise ValueError(f"{path}: a mesh is a .ply or .obj file")
    with path.open("rb") as file:
        try:
            if suffix == ".obj":
                vertices, faces = parse_obj(file.read().decode("utf-8", "replace"))
                mesh = trimesh.Trimesh(vertices, faces, process=False)
            else:
                content = load_ply(file, fix_texture=False, skip_materials=True)
                mesh = trimesh.Trimesh(**content, process=False)
            check_mesh(mesh.vertices, mesh.faces)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 -- of broken bytes trimesh raises whatever comes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DecodeError(str(path), f"the mesh does not parse: {reason}") from None
    return mesh


def write_mesh(
    path: Path, vertices: npt.NDArray[np.floating], faces: npt.NDArray[np.integer]
) -> None:
    """Write a binary PLY that `read_mesh` and trimesh with ``process=False`` read unchanged.

    Args:
        path: overwritten if it exists.
        vertices: (V, 3), finite; float32 or smaller is written as float, everything else as double.
        faces: (F, 3) integers in 0 … V - 1.

    Raises:
        ValueError: another shape, a vertex that is not finite, a face that refers to none.
    """
    check_mesh(vertices, faces)
    path.write_bytes(ply_bytes(vertices, faces))


def check_mesh(vertices: npt.NDArray[np.floating], faces: npt.NDArray[np.integer]) -> None:
    """Vertices (V, 3), V > 0, all finite; faces (F, 3) integers that all refer to a vertex.

    Raises:
        ValueError: otherwise; names the first vertex or face.
    """
    for name, array in (("vertices", vertices), ("faces", faces)):
        if array.ndim != 2 or array.shape[1] != _AXES:  # noqa: PLR2004 -- a list of triples
            raise ValueError(f"{name} are (N, 3), not {array.shape}")
    if len(vertices) == 0:
        raise ValueError("a mesh has at least one vertex")
    if faces.dtype.kind not in "iu":
        raise ValueError(f"faces are integers, not {faces.dtype}")
    is_finite = np.isfinite(vertices).all(axis=1)
    if not is_finite.all():
        first = int(np.argmin(is_finite))
        raise ValueError(f"vertex {first} is not finite: {vertices[first].tolist()}")
    is_known = ((faces >= 0) & (faces < len(vertices))).all(axis=1)
    if not is_known.all():
        first = int(np.argmin(is_known))
        raise ValueError(
            f"face {first} refers to {faces[first].tolist()}, there are {len(vertices)} vertices"
        )
