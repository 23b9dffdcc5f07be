"""A sequence of the stand-in: one person moving, as pictures, pointclouds and FLAME tracking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
from nersemble_async.synthetic.anatomy import Anatomy
from nersemble_async.synthetic.head_shape import HeadShape
from nersemble_async.synthetic.head_texture import Appearance
from nersemble_async.synthetic.motion import HeadState, Motion, head_motion
from nersemble_async.synthetic.people import meet, seeded
from nersemble_async.synthetic.point_sampler import color_points, sample_points
from nersemble_async.synthetic.ray_marching import Camera
from nersemble_async.synthetic.renderer import Rendering, render
from nersemble_async.synthetic.scale import documented_lengths

_IMAGE_RATE = 73.0
"""Frames per second of what single images were taken from."""
_GAZE_RADIANS = 0.45


@dataclass(frozen=True, slots=True)
class Scene:
    """Who moves how; what a frame shows follows from its index alone."""

    anatomy: Anatomy
    appearance: Appearance
    motion: Motion
    seconds_per_frame: float

    def state(self, frame_index: int) -> HeadState:
        """The head at that frame."""
        return self.motion(frame_index * self.seconds_per_frame)

    def render(self, frame_index: int, camera: Camera) -> Rendering:
        """What a camera sees at that frame."""
        state = self.state(frame_index)
        return render(HeadShape(self.anatomy, state), self.appearance, state, camera)

    def pointcloud(
        self,
        frame_index: int,
        cameras: Iterable[Camera],
        n_points: int,
        rng: np.random.Generator,
    ) -> Pointcloud:
        """Points on the head at that frame; see `point_sampler.sample_points`."""
        state = self.state(frame_index)
        shape = HeadShape(self.anatomy, state)
        points = sample_points(shape, list(cameras), n_points, rng)
        return color_points(shape, self.appearance, state, points)

    def flame_tracking(
        self, n_frames: int, rng: np.random.Generator, noise: float
    ) -> FlameTracking:
        """A tracking whose pose is the head's; shape and expression are numbers of a fair size.

        Args:
            n_frames: T.
            rng: of this participant, for the identity, and of the noise.
            noise: radians and tens of millimetres that the tracking is off by, one sigma.
        """
        states = [self.state(index) for index in range(n_frames)]
        identity = rng.normal(size=300) * np.exp(-np.arange(300) / 40)
        expression = np.zeros((n_frames, 100))
        expression[:, 0] = [2 * s.smile for s in states]
        expression[:, 1] = [2 * s.brow for s in states]
        expression[:, 2] = [2 * s.pucker for s in states]
        expression += rng.normal(0, 0.02, expression.shape)
        rotation = np.array([s.rotation for s in states]) + rng.normal(0, noise, (n_frames, 3))
        matrices = [HeadState(rotation=(x, y, z)).rotation_matrix for x, y, z in rotation.tolist()]
        translation = np.array([s.translation for s in states])
        look = np.array([(-s.gaze[1], s.gaze[0], 0.0) for s in states]) * _GAZE_RADIANS
        return FlameTracking(
            shape=identity[None].astype(np.float32),
            expression=expression.astype(np.float32),
            rotation=rotation.astype(np.float32),
            rotation_matrices=np.array(matrices, np.float32),
            translation=(translation + rng.normal(0, noise / 100, (n_frames, 3))).astype(
                np.float32
            ),
            jaw=np.array([(s.jaw, 0, 0) for s in states], np.float32),
            frames=np.arange(n_frames),
            scale=np.ones((1, 1), np.float32),
            neck=np.zeros((n_frames, 3), np.float32),
            eyes=np.concatenate([look, look], axis=1).astype(np.float32),
        )


def sequence_scene(task: Task, key: SequenceKey, n_frames: int, seed: int) -> Scene:
    """The scene of a video sequence: however few frames there are, they span its real duration."""
    rate = BENCHMARKS[task].submission_rate
    if rate is None:
        raise ValueError(f"{task} has no videos")
    seconds = documented_lengths(task)[key] / float(rate)
    return _scene(key, seconds / n_frames, seed)


def image_scene(key: SequenceKey, seed: int) -> Scene:
    """The scene that single images are taken from; frames are the images' timesteps."""
    return _scene(key, 1 / _IMAGE_RATE, seed)


def _scene(key: SequenceKey, seconds_per_frame: float, seed: int) -> Scene:
    anatomy, appearance = meet(key.participant_id, seed)
    rng = seeded(seed, "motion", key.participant_id, key.sequence_name)
    return Scene(anatomy, appearance, head_motion(key.sequence_name, rng), seconds_per_frame)
