"""A selection applied to the benchmarks: which sequences, cameras and assets are left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.spec import BENCHMARKS, Asset, BenchmarkSpec, Scope, Task
from nersemble_async.errors import SelectionError
from nersemble_async.fetch.selection import FILTERS, Selection


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is left of one benchmark; everything in the spec's order."""

    spec: BenchmarkSpec
    assets: tuple[Asset, ...]
    sequences: Mapping[int, tuple[str, ...]]
    """By participant; participants without any are left out."""
    serials: tuple[str, ...]

    def assets_of(self, scope: Scope) -> tuple[Asset, ...]:
        """The assets of one scope."""
        return tuple(asset for asset in self.assets if asset.scope is scope)

    def recordings(self, scope: Scope) -> Iterator[tuple[int, str, tuple[Asset, ...]]]:
        """Participant, sequence, and which assets of ``scope`` it has; none without any."""
        everywhere = self.assets_of(scope)
        in_test = tuple(asset for asset in everywhere if asset.in_test_sequences)
        for participant_id, sequence_names in self.sequences.items():
            train = self.spec.train_sequences.get(participant_id, ())
            test = self.spec.test_sequences.get(participant_id, ())
            for name in sequence_names:
                if name in train and everywhere:
                    yield participant_id, name, everywhere
                elif name in test and in_test:
                    yield participant_id, name, in_test

    def images(self) -> Iterator[tuple[int, ImageKey]]:
        """Participant and key of every single image; none without an asset per image."""
        if not self.assets_of(Scope.PER_IMAGE):
            return
        for participant_id, sequence_names in self.sequences.items():
            for key in self.spec.image_keys.get(participant_id, ()):
                if key.sequence_name in sequence_names and key.serial in self.serials:
                    yield participant_id, key

    @property
    def is_empty(self) -> bool:
        """Whether no file is left. A camera filter that fits none leaves none of any asset."""
        if not self.sequences or not self.serials:
            return True
        scopes = (Scope.PER_SEQUENCE, Scope.PER_CAM, Scope.PER_TIMESTEP)
        return (
            not self.assets_of(Scope.PER_PERSON)
            and not any(True for scope in scopes for _ in self.recordings(scope))
            and not any(True for _ in self.images())
        )


def narrow(selection: Selection) -> list[Narrowed]:
    """What the selection leaves of each of its tasks; tasks without any file are left out.

    Raises:
        SelectionError: nothing is left at all.
    """
    result = [
        left for task in selection.tasks if not (left := _narrow_task(task, selection)).is_empty
    ]
    if not result:
        filters = ", ".join(
            f"{name} {' '.join(map(str, values))}"
            for name in FILTERS
            if (values := getattr(selection, name)) is not None
        )
        raise SelectionError(
            f"no file matches {filters} at once, though each of them exists by itself"
        )
    return result


def _narrow_task(task: Task, selection: Selection) -> Narrowed:
    spec = BENCHMARKS[task]
    sequences = {
        participant_id: tuple(
            name
            for name in spec.sequences(participant_id)
            if selection.sequences is None or name in selection.sequences
        )
        for participant_id in spec.participants
        if selection.participants is None or participant_id in selection.participants
    }
    if selection.assets is None:
        assets = tuple(asset for asset in spec.assets if not asset.optional)
    else:
        assets = tuple(asset for asset in spec.assets if asset.key in selection.assets)
    return Narrowed(
        spec,
        assets,
        {participant_id: names for participant_id, names in sequences.items() if names},
        tuple(s for s in spec.serials if selection.serials is None or s in selection.serials),
    )
