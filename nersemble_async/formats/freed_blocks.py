"""Memory of freed frames and pointclouds, used again instead of cleared anew."""

from __future__ import annotations

import numpy as np

_ADAPTING_BYTES = 31 << 20


def reuse_freed_blocks() -> None:
    """Have glibc keep the memory of freed large blocks for the next ones, as it learns to itself.

    It maps a large block anew each time, so that the kernel clears every page of it, until a
    block of about that size was freed once: then it keeps such sizes (mallopt(3),
    M_MMAP_THRESHOLD: the threshold is dynamic, up to 32 MiB). A frame of 1100 x 1604 and its RGB
    take 8 MB: converting the first ones took 7 ms each, later ones 0.6 ms. The block that
    teaches it is never touched, so this costs nothing. Another allocator is left as it is.
    """
    np.empty(_ADAPTING_BYTES, np.uint8)
