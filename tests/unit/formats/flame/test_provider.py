"""FlameProvider: one by one and in batches, timesteps that exist and others, one model for all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import pytest

from nersemble_async.errors import SelectionError
from nersemble_async.formats.flame.provider import FlameProvider, shared_flame_model
from tests.support.flame import random_tracking

N_FRAMES = 21


@pytest.fixture(scope="module")
def provider(flame_folder: Path) -> FlameProvider:
    return FlameProvider(random_tracking(N_FRAMES), flame_folder)


def test_batches_hold_what_single_calls_give(provider: FlameProvider) -> None:
    vertices, landmarks = provider.get_all_vertices(), provider.get_all_landmarks()
    poses = provider.get_all_model_to_world_transformations()
    assert (vertices.shape, landmarks.shape) == ((N_FRAMES, 5023, 3), (N_FRAMES, 68, 3))
    assert poses.shape == (N_FRAMES, 4, 4)
    assert {vertices.dtype, landmarks.dtype, poses.dtype} == {np.dtype(np.float32)}
    for timestep in (0, 7, N_FRAMES - 1):
        np.testing.assert_allclose(provider.get_vertices(timestep), vertices[timestep], atol=5e-7)
        np.testing.assert_allclose(provider.get_landmarks(timestep), landmarks[timestep], atol=5e-7)
        np.testing.assert_array_equal(
            provider.get_model_to_world_transformation(timestep), poses[timestep]
        )


def test_batches_come_in_the_order_that_was_asked_for(provider: FlameProvider) -> None:
    timesteps: list[SupportsIndex] = [5, 2, 2, np.int64(20)]
    every = provider.get_all_vertices()
    some = provider.get_all_vertices(iter(timesteps))
    np.testing.assert_allclose(some, every[[5, 2, 2, 20]], atol=5e-7)
    assert provider.get_all_landmarks([]).shape == (0, 68, 3)


def test_the_mesh_keeps_every_vertex_and_face(provider: FlameProvider) -> None:
    mesh = provider.get_mesh(3)
    np.testing.assert_array_equal(mesh.vertices, provider.get_vertices(3))
    np.testing.assert_array_equal(mesh.faces, provider.faces)
    duplicated = np.zeros((5023, 3))
    assert len(provider.create_mesh(duplicated).vertices) == 5023


def test_points_of_model_space_go_where_vertices_go(provider: FlameProvider) -> None:
    t = provider.tracking
    local = provider.flame_model.evaluate(
        t.shape, t.expression[[4]], t.jaw[[4]], t.neck[[4]], t.eyes[[4]]
    )
    for points in (local, local[0]):
        in_world = provider.apply_model_to_world_transformation(points, 4)
        assert in_world.shape == points.shape
        assert in_world.dtype == np.float32
        np.testing.assert_allclose(in_world.reshape(-1, 3), provider.get_vertices(4), atol=5e-7)


@pytest.mark.parametrize("timestep", [-1, N_FRAMES, 10_000])
def test_a_timestep_that_is_not_there(provider: FlameProvider, timestep: int) -> None:
    assert not provider.has_mesh(timestep)
    for call in (
        provider.get_vertices,
        provider.get_landmarks,
        provider.get_mesh,
        provider.get_model_to_world_transformation,
        lambda t: provider.get_all_vertices([0, t]),
        lambda t: provider.get_all_landmarks([0, t]),
        lambda t: provider.apply_model_to_world_transformation(np.zeros((1, 3)), t),
    ):
        with pytest.raises(SelectionError, match=rf"no timestep {timestep}; it has 0 to 20"):
            call(timestep)


def test_a_timestep_is_an_integer(provider: FlameProvider) -> None:
    with pytest.raises(TypeError):
        provider.get_vertices(1.5)  # type: ignore[arg-type]


def test_timesteps_count_the_tracking_s_frames_whatever_it_calls_them(
    flame_folder: Path,
) -> None:
    tracking = random_tracking(3)
    renamed = replace(tracking, frames=np.array([30, 33, 36]))
    provider = FlameProvider(renamed, flame_folder)
    assert len(provider) == 3
    assert provider.has_mesh(2)
    assert not provider.has_mesh(30)
    np.testing.assert_array_equal(
        provider.get_all_vertices(), FlameProvider(tracking, flame_folder).get_all_vertices()
    )


def test_an_empty_tracking(flame_folder: Path) -> None:
    provider = FlameProvider(random_tracking(0), flame_folder)
    assert not provider.has_mesh(0)
    assert provider.get_all_vertices().shape == (0, 5023, 3)
    with pytest.raises(SelectionError, match="it is empty"):
        provider.get_vertices(0)


def test_providers_share_a_model_until_its_files_change(flame_folder: Path, tmp_path: Path) -> None:
    for path in flame_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first = FlameProvider(random_tracking(1), tmp_path)
    assert FlameProvider(random_tracking(2), str(tmp_path)).flame_model is first.flame_model
    assert FlameProvider(random_tracking(2), model=first.flame_model).flame_model is (
        first.flame_model
    )
    os.utime(tmp_path / "flame2023.pkl", ns=(1, 1))
    assert shared_flame_model(tmp_path) is not first.flame_model
