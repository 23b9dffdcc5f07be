"""Where assets lie, under the official getters' names; both faces inherit them. Pure."""

from __future__ import annotations

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_CURRENT_VERSION
from nersemble_async.data_managers.participant_files import ParticipantFiles, flame_tracking_key


class VideoPaths:
    """Paths of benchmarks with videos, as text, below the folder as it was given.

    Nothing is looked at on disk, and names are not checked, except that they may hold only
    letters, digits, ``_``, ``+`` and ``-`` (else `SelectionError`).
    """

    _files: ParticipantFiles

    def get_camera_calibration_path(self) -> str:
        """Of camera_params.json."""
        return self._files.official_path("calibration")

    def get_images_path(self, sequence_name: str, serial: str) -> str:
        """Of the video of images that one camera saw."""
        return self._files.official_path("images", sequence_name, serial)

    def get_alpha_maps_path(self, sequence_name: str, serial: str) -> str:
        """Of the video of alpha maps that belongs to it."""
        return self._files.official_path("alpha_maps", sequence_name, serial)


class NVSPaths(VideoPaths):
    """Those of the NVS benchmark."""

    def get_pointcloud_path(self, sequence_name: str, timestep: int) -> str:
        """Of the PCD of one timestep."""
        return self._files.official_path("pointclouds", sequence_name, timestep=timestep)


class MonoFlameAvatarPaths(VideoPaths):
    """Those of the monocular FLAME avatar benchmark."""

    def get_flame_tracking_path(
        self, sequence_name: str, version: int = FLAME_TRACKING_CURRENT_VERSION
    ) -> str:
        """Of the npz of one sequence."""
        return self._files.official_path(flame_tracking_key(version), sequence_name)


class SVFRPaths:
    """Those of the single-view face reconstruction benchmark."""

    _files: ParticipantFiles

    def get_asset_folder(self, image_key: ImageKey) -> str:
        """The folder of one image; its timestep is not padded, unlike in a submission."""
        path = self._files.official_path(
            "images", image_key.sequence_name, image_key.serial, image_key.timestep
        )
        return path.rpartition("/")[0]
