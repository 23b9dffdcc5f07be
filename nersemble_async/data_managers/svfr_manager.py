"""`SVFRDataManager`: the official one, its loads awaited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.data_managers.asset_access import AssetAccess, HoldsAccess
from nersemble_async.data_managers.official_paths import SVFRPaths

if TYPE_CHECKING:
    from nersemble_async.fetch.fetcher import Fetcher


class SVFRDataManager(HoldsAccess, SVFRPaths):
    """One participant of the single-view face reconstruction benchmark; see `NVSDataManager`."""

    def __init__(
        self,
        benchmark_folder: str | Path | None,
        participant_id: int,
        *,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._access = AssetAccess(
            benchmark_folder, "svfr", participant_id, fetcher=fetcher, frame_cache=None
        )
        self._files = self._access.files

    async def list_image_keys(self) -> list[ImageKey]:
        """The images that are on disk (with a fetcher: all), sorted by their folders' names."""
        if self._access.fetches:
            return await self._access.run(self._files.list_image_keys)
        return await self._access.run(self._access.assets.list_image_keys)

    async def load_image(self, image_key: ImageKey) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        file = await self._access.run(self._files.image, image_key)
        return await self._access.load(file, self._access.assets.read_image, image_key)
