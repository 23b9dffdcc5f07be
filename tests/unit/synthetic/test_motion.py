"""Motion: Euler angles mean what FLAME trackings say they mean, and sequences move."""

from __future__ import annotations

import numpy as np
import pytest

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.synthetic.motion import HeadState, head_motion
from nersemble_async.synthetic.scene import sequence_scene


def test_rotation_is_intrinsic_xyz() -> None:
    # Turned by 90° about x, then about its own new y: the nose (z) goes to the world's x, the
    # head's own x, carried along, ends along -z turned by the first rotation: world y.
    matrix = HeadState(rotation=(np.pi / 2, np.pi / 2, 0)).rotation_matrix
    assert np.allclose(matrix @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(matrix @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(HeadState().rotation_matrix, np.eye(3))


@pytest.mark.parametrize("name", BENCHMARKS["mono_flame_avatar"].sequence_names)
def test_states_stay_in_range_and_change(name: str) -> None:
    motion = head_motion(name, np.random.default_rng(3))
    states = [motion(seconds) for seconds in np.arange(0, 12, 0.25)]
    for state in states:
        assert 0 <= state.blink <= 1
        assert -1 <= state.smile <= 1
        assert 0 <= state.jaw < 0.6
        assert max(map(abs, state.rotation)) < 0.8
        assert max(map(abs, state.translation)) < 0.02
    assert len({state.rotation for state in states}) == len(states)


def test_names_say_what_moves() -> None:
    def largest(name: str, index: int) -> float:
        motion = head_motion(name, np.random.default_rng(1))
        return max(abs(motion(s).rotation[index]) for s in np.arange(0, 20, 0.1))

    assert largest("EXP-1-head", 1) > 3 * largest("EXP-2-eyes", 1)
    jaws = [head_motion("EXP-5-mouth", np.random.default_rng(1))(s).jaw for s in range(20)]
    assert max(jaws) > 0.2


@pytest.mark.parametrize("n_frames", [1, 5])
def test_tracking_follows_the_head(n_frames: int) -> None:
    key = SequenceKey(393, "EXP-1-head")
    scene = sequence_scene("mono_flame_avatar", key, n_frames, seed=0)
    tracking = scene.flame_tracking(n_frames, np.random.default_rng(0), noise=0.0)
    for index in range(n_frames):
        state = scene.state(index)
        assert np.allclose(tracking.rotation[index], state.rotation, atol=1e-6)
        assert np.allclose(tracking.translation[index], state.translation, atol=1e-6)
        assert np.allclose(tracking.rotation_matrices[index], state.rotation_matrix, atol=1e-5)
    assert tracking.scale.tolist() == [[1.0]]
    assert tracking.frames.tolist() == list(range(n_frames))
