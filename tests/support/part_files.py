"""Part files with tiny blocks, and crashes of them: copies at an instant, with damage."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from nersemble_async.cache import block_checksums, journal, partial_file
from nersemble_async.cache.block_checksums import block_checksum, pack_checksums
from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.partial_file import PartialFile

BLOCK_BYTES = 16


@contextmanager
def tiny_blocks() -> Iterator[None]:
    """Blocks of 16 bytes instead of a MiB, so that a few hundred bytes are many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (block_checksums, journal, partial_file):
            patch.setattr(module, "BLOCK_BYTES", BLOCK_BYTES)
        patch.setattr(partial_file, "MAX_STEP_BYTES", 2 * BLOCK_BYTES)
        yield


def open_part(folder: Path) -> PartialFile:
    """The part file that is tested, of ``folder``."""
    return PartialFile(folder / "x.part", folder / "x.journal")


def recheck(part: PartialFile) -> None:
    """All of it, step by step."""
    while part.unchecked:
        part.recheck()


def finish(part: PartialFile, size_bytes: int) -> tuple[str, str]:
    """Hash what is not hashed yet and complete."""
    while part.unhashed_bytes:
        part.hash_rest()
    return part.complete(size_bytes)


def evidence(body: bytes, block_bytes: int = BLOCK_BYTES) -> tuple[str, str]:
    """What `complete` has to say of these bytes."""
    blocks = [body[start : start + block_bytes] for start in range(0, len(body), block_bytes)]
    return hashlib.sha256(body).hexdigest(), pack_checksums(map(block_checksum, blocks))


def cut_at(gaps: Iterable[ByteRange], cuts: set[int]) -> list[ByteRange]:
    """The gaps in pieces that end at block boundaries and at ``cuts``."""
    pieces = []
    for gap in gaps:
        inside = (c for c in cuts if gap.start < c < gap.stop)
        blocks = range(gap.start - gap.start % BLOCK_BYTES + BLOCK_BYTES, gap.stop, BLOCK_BYTES)
        edges = sorted({gap.start, gap.stop, *inside, *blocks})
        pieces += [ByteRange(a, b) for a, b in pairwise(edges)]
    return pieces


def crashed_copy(folder: Path, copy: Path) -> Path:
    """The files as a process that died at this instant leaves them."""
    copy.mkdir()
    for name in ("x.journal", "x.part"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, copy / name)
    return copy
