"""The vertices and faces of a Wavefront OBJ, each where the file has it.

trimesh's own reader doubles vertices at seams of the texture, sorts faces by material and drops
what no face refers to; a mesh that follows FLAME's topology does not survive that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def parse_obj(text: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Vertices (V, 3) float64 and faces (F, 3) int64 in the file's order.

    Polygons become fans of triangles; texture coordinates, normals, colours, materials and
    groups are passed over. The indices are not checked against the vertices.

    Raises:
        ValueError: a line that is no vertex or face although it begins as one; names the line.
    """
    vertices: list[tuple[float, float, float]] = []
    faces: list[tuple[int, int, int]] = []
    for number, line in enumerate(text.replace("\\\n", " ").split("\n"), start=1):
        keyword, *words = line.split() or [""]
        try:
            if keyword == "v":
                x, y, z = map(float, words[:3])
                vertices.append((x, y, z))
            elif keyword == "f":
                first, second, *others = [_index(word, len(vertices)) for word in words]
                if not others:
                    raise ValueError("a face of two")  # noqa: TRY301 -- told as the other faults
                for third in others:
                    faces.append((first, second, third))
                    second = third
        except ValueError:
            raise ValueError(f"line {number} is no vertex or face: {line[:60]!r}") from None
    return (
        np.array(vertices, np.float64).reshape(-1, 3),
        np.array(faces, np.int64).reshape(-1, 3),
    )


def _index(word: str, n_vertices: int) -> int:
    """From ``v``, ``v/vt``, ``v//vn`` or ``v/vt/vn``: 1 is the first, -1 the latest vertex."""
    index = int(word.split("/", 1)[0])
    return index - 1 if index > 0 else n_vertices + index if index < 0 else -1
