"""FLAME's mathematics in float32 NumPy: blend shapes and linear blend skinning of many frames.

Source: Li, Bolkart, Black, Li, Romero, "Learning a model of facial shape and expression from 4D
scans" (2017), after SMPL (Loper et al. 2015): vertices are the template plus identity, expression
and pose offsets, then moved by a weighted mean of their joints' transformations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_FRAMES_AT_ONCE, _NUMBERS_AT_ONCE, _VERTICES_AT_ONCE = 16, 120, 3072
"""Each product has less than 2¹⁸ multiplications, so that OpenBLAS does it in the calling thread:
waking its threads gains little on idle cores, and where others keep the cores busy each call waits
for a time slice. Sixteen frames also stay in the second level cache between the two steps."""


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """N vertices and what moves them, mostly in the order that the products want: all x, y, z."""

    template: Float32
    """(3 N,)."""
    identity: Float32
    """(3 N, 300), the only one in the order x, y, z of each vertex: it is large and a view."""
    offsets: Float32
    """(136, 3 N): 100 expression components, then 36 of the pose."""
    weights: Float32
    """(5, N) of the joints."""

    def shaped(self, identity: Float32) -> Float32:
        """(3 N,) the template with the identity's offsets; ``identity`` is (300,)."""
        # einsum, because BLAS would wake its threads.
        offset = np.einsum("nk,k->n", self.identity, identity).reshape(-1, 3)
        shaped: Float32 = self.template + offset.T.ravel()
        return shaped

    def move(self, shaped: Float32, factors: Float32, transforms: Float32) -> Float32:
        """Vertices of T frames.

        Args:
            shaped: of the identity, see `shaped`.
            factors: (T, 136) of `offsets`.
            transforms: (T, 21, 3), see `skinning_transforms`.

        Returns:
            (T, N, 3).
        """
        n_frames, n_vertices = len(factors), self.weights.shape[1]
        moved = np.empty((n_frames, n_vertices, 3), np.float32)
        blocks = [
            slice(start, min(start + _VERTICES_AT_ONCE, n_vertices))
            for start in range(0, n_vertices, _VERTICES_AT_ONCE)
        ]
        # Each vertex is weighted before it is moved, so that a frame is one product of a row for
        # every joint and axis: (w_j x, w_j y, w_j z of each joint, w_j of each joint, 1).
        rows = [np.empty((21, block.stop - block.start), np.float32) for block in blocks]
        for row, block in zip(rows, blocks, strict=True):
            row[15:20] = self.weights[:, block]
            row[20] = 1
        offsets = np.empty((min(n_frames, _FRAMES_AT_ONCE), 3 * n_vertices), np.float32)
        for first in range(0, n_frames, _FRAMES_AT_ONCE):
            some = factors[first : first + _FRAMES_AT_ONCE]
            offsets = offsets[: len(some)]
            for start in range(0, 3 * n_vertices, _NUMBERS_AT_ONCE):
                columns = slice(start, start + _NUMBERS_AT_ONCE)
                np.matmul(some, self.offsets[:, columns], out=offsets[:, columns])
            for index, offset in enumerate(offsets, first):
                axes = np.add(offset, shaped, out=offset).reshape(3, 1, n_vertices)
                for row, block in zip(rows, blocks, strict=True):
                    weighted = row[:15].reshape(3, 5, -1)
                    np.multiply(axes[:, :, block], self.weights[:, block], out=weighted)
                    np.matmul(row.T, transforms[index], out=moved[index, block])
        return moved


def rotation_matrices(axis_angles: npt.NDArray[np.floating]) -> Float64:
    """(…, 3, 3) rotations about (…, 3) axes, by as many radians as those are long (Rodrigues)."""
    vectors = axis_angles.astype(np.float64)
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    # sin(a)/a and (1 - cos a)/a², which are finite where a is 0.
    sine, versine = np.sinc(angle / np.pi), np.sinc(angle / (2 * np.pi)) ** 2 / 2
    rotations: Float64 = np.eye(3) + sine * cross + versine * (cross @ cross)
    return rotations


def euler_rotations(angles: npt.NDArray[np.floating]) -> Float64:
    """(T, 3, 3) of Euler angles (T, 3) in radians, intrinsic XYZ: X · Y · Z."""
    x, y, z = (
        rotation_matrices(angles[:, [axis]] * np.eye(3)[axis]) for axis in range(angles.shape[1])
    )
    return x @ y @ z


def skinning_transforms(
    joints: Float64,
    rotations: Float64,
    parents: tuple[int, ...],
    model_to_world: Float64 | None,
) -> Float32:
    """What `Skin.move` multiplies its rows with.

    Args:
        joints: (T, 5, 3) at rest.
        rotations: (T, 5, 3, 3) of each joint against its parent.
        parents: of each joint, before it in the order; -1 for the root.
        model_to_world: (T, 4, 4), applied after the skinning.

    Returns:
        (T, 21, 3): 15 rows for (axis, joint), 5 for the joints' translations, 1 for the world's.
    """
    n_frames, n_joints = rotations.shape[:2]
    turned, posed = np.empty_like(rotations), np.empty_like(joints)
    for joint, parent in enumerate(parents):
        if parent < 0:
            turned[:, joint], posed[:, joint] = rotations[:, joint], joints[:, joint]
            continue
        bone = joints[:, joint] - joints[:, parent]
        turned[:, joint] = turned[:, parent] @ rotations[:, joint]
        posed[:, joint] = posed[:, parent] + np.einsum("tij,tj->ti", turned[:, parent], bone)
    shift = posed - np.einsum("tjik,tjk->tji", turned, joints)
    moved = np.zeros((n_frames, 3))
    if model_to_world is not None:
        linear = model_to_world[:, None, :3, :3]
        turned = linear @ turned
        shift = np.einsum("tik,tjk->tji", linear[:, 0], shift)
        moved = model_to_world[:, :3, 3]
    by_axis = turned.transpose(0, 3, 1, 2).reshape(n_frames, 3 * n_joints, 3)
    return np.concatenate([by_axis, shift, moved[:, None]], axis=1).astype(np.float32)
