"""Frames as PyTorch has them (extra ``torch``), and what of PyTorch the datasets stand on."""

from __future__ import annotations

from typing import Any

from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.loaders.frame import Frame

try:
    import torch  # type: ignore[import-not-found, unused-ignore]
    from torch.utils.data import (  # type: ignore[import-not-found, unused-ignore]
        Dataset,
        IterableDataset,
        get_worker_info,
    )
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing}; PyTorch comes with the extra: pip install 'nersemble-async[torch]'",
        name=missing.name,
    ) from None

__all__ = ["Dataset", "IterableDataset", "Sample", "get_worker_info", "make_sample", "torch"]

Sample = dict[str, Any]
"""``image`` (and ``alpha_map``): tensors in the `FrameFormat`; ``timestep``, ``frame_index``,
``serial_index`` (position among the serials): int; ``serial``: str."""


def make_sample(frame: Frame, serial_index: int) -> Sample:
    """The frame as a sample; its tensors share the arrays' memory.

    Args:
        frame: image, alpha map or none, and which they are.
        serial_index: position of its serial among the serials.
    """
    sample = {
        "image": _tensor(frame.image),
        "timestep": frame.timestep,
        "frame_index": frame.frame_index,
        "serial_index": serial_index,
        "serial": frame.serial,
    }
    if frame.alpha_map is not None:
        sample["alpha_map"] = _tensor(frame.alpha_map)
    return sample


def _tensor(array: FrameArray) -> torch.Tensor:
    return torch.from_numpy(array)
