"""Where a shuffled stream stands: a small dict that JSON can hold, and its check. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nersemble_async.errors import SelectionError
from nersemble_async.loaders.shuffle_layout import ShuffleLayout
from nersemble_async.loaders.shuffle_plan import Mixing, Shard, ShufflePlan, plan_shuffle

_VERSION = 1


@dataclass(frozen=True, slots=True)
class ShuffleState:
    """Everything that the order depends on besides the frames, and how many were given out."""

    seed: int
    epoch: int
    shard: Shard
    mixing: Mixing
    position: int = 0
    """Frames of this part of this epoch that the user has had."""

    def plan(self, layout: ShuffleLayout) -> ShufflePlan:
        """The order; errors as in `plan_shuffle`."""
        return plan_shuffle(
            layout, seed=self.seed, epoch=self.epoch, shard=self.shard, mixing=self.mixing
        )

    def moved(self, position: int) -> ShuffleState:
        """The same after so many frames."""
        return replace(self, position=position)

    def to_dict(self, layout: ShuffleLayout) -> dict[str, int | str]:
        """For `restored`; integers and a string."""
        return {
            "version": _VERSION,
            "seed": self.seed,
            "epoch": self.epoch,
            "rank": self.shard.rank,
            "world_size": self.shard.world_size,
            "worker": self.shard.worker,
            "n_workers": self.shard.n_workers,
            "n_lanes": self.mixing.n_lanes,
            "buffer_frames": self.mixing.buffer_frames,
            "layout": layout.digest,
            "position": self.position,
        }

    def restored(self, state: Mapping[str, Any], layout: ShuffleLayout) -> ShuffleState:
        """This stream where that one stood: its seed, epoch, mixing and position.

        The mixing comes along, since the order depends on it: a stream that is resumed takes as
        much memory as the one that stopped.

        Args:
            state: of `to_dict`.
            layout: of this stream.

        Raises:
            SelectionError: the state is of other frames, another rank or worker, or damaged.
        """
        try:
            numbers = {key: int(value) for key, value in state.items() if key != "layout"}
            restored = replace(
                self,
                seed=numbers["seed"],
                epoch=numbers["epoch"],
                mixing=Mixing(numbers["n_lanes"], numbers["buffer_frames"]),
                position=numbers["position"],
            )
            given = restored.to_dict(layout)
            differing = [key for key in given if str(given[key]) != str(state[key])]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SelectionError(f"not the state of a shuffled stream: {error!r}") from None
        if differing == ["layout"]:
            raise SelectionError(
                "the state is of other frames: give the same cameras in the same order, the same "
                "timesteps and the same videos, or begin a new epoch"
            )
        if differing:
            raise SelectionError(
                "the state is of another stream: "
                + ", ".join(f"{key} is {state[key]} there, {given[key]} here" for key in differing)
            )
        if not 0 <= restored.position <= len(layout):
            raise SelectionError(f"the state's position {restored.position} is not in the epoch")
        return restored
