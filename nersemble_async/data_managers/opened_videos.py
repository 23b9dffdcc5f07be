"""Several cameras' videos held on disk while a stream reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from nersemble_async.data_managers.asset_access import AssetAccess
from nersemble_async.errors import SelectionError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.formats.video.source import VideoSource

Stream = TypeVar("Stream")


@dataclass(frozen=True, slots=True)
class ChosenVideos:
    """What loaders are told of the videos that were chosen."""

    images: dict[str, VideoSource]
    """By serial."""
    alphas: dict[str, VideoSource] | None
    """By serial; None where they are not wanted."""
    steps: list[tuple[int, int]]
    """Timesteps and their frame indices."""
    files: tuple[PlannedFile, ...]
    """Of images and alpha maps."""


class OpenedVideos:
    """A base of the streams of several cameras."""

    _access: AssetAccess

    @asynccontextmanager
    async def _open_videos(
        self,
        sequence_name: str,
        serials: Iterable[str] | None,
        timesteps: Iterable[int] | None,
        *,
        with_alpha: bool,
    ) -> AsyncIterator[ChosenVideos]:
        """Image videos and alpha videos by serial, held on disk; and which frames are wanted."""
        access = self._access
        if serials is not None:
            chosen = list(dict.fromkeys(serials))
        elif access.fetches:
            chosen = access.files.serials_of("images", sequence_name)
        else:
            chosen = await access.run(access.assets.list_serials, sequence_name)
        if not chosen:
            raise SelectionError(
                f"no camera was asked for; {sequence_name} has "
                f"{', '.join(access.files.serials_of('images', sequence_name))}"
            )
        images = {s: access.files.video("images", sequence_name, s) for s in chosen}
        alphas: dict[str, PlannedFile] = {}
        if with_alpha:
            alphas = {s: access.files.video("alpha_maps", sequence_name, s) for s in chosen}
        wanted = None if timesteps is None else list(timesteps)
        if access.fetches:
            (await access.timeline(sequence_name)).checked(wanted)
        async with access.open_files([*images.values(), *alphas.values()]):
            steps = await access.run(access.assets.steps, sequence_name, wanted)
            source = access.assets.video_source
            alpha_sources = {serial: source(file) for serial, file in alphas.items()}
            yield ChosenVideos(
                images={serial: source(file) for serial, file in images.items()},
                alphas=alpha_sources if with_alpha else None,
                steps=steps,
                files=(*images.values(), *alphas.values()),
            )

    async def _enter(
        self,
        stack: AsyncExitStack,
        stream: AbstractAsyncContextManager[Stream],
        files: Iterable[PlannedFile],
        timesteps: Iterable[int],
    ) -> Stream:
        """Enter a loader's stream of these videos.

        Raises:
            DecodeError: a video has fewer frames than metadata.json lists; the loader, which does
                not know of timesteps, finds that frames were asked for that do not exist.
        """
        try:
            return await stack.enter_async_context(stream)
        except SelectionError as error:
            refused = error
        last = max(timesteps, default=None)
        for file in files:
            if last is not None:
                await self._access.run(self._access.assets.frame_index, file, last)
        raise refused
