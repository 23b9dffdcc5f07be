"""Part files that are set aside or made of a damaged file, and crashes on the way."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nersemble_async.cache import journal, partial_file
from nersemble_async.cache.block_checksums import BLOCK_BYTES, block_checksum
from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import JournalExtent, RemoteIdentity
from nersemble_async.cache.partial_file import PartialFile
from nersemble_async.errors import CacheLockedError
from tests.support.part_files import evidence, finish, open_part, recheck

BODY = random.Random(3).randbytes(2 * BLOCK_BYTES + 1000)
IDENTITY = RemoteIdentity(len(BODY), '"a"')
BLOCKS = [ByteRange(s, min(s + BLOCK_BYTES, len(BODY))) for s in range(0, len(BODY), BLOCK_BYTES)]
CLAIMS = [JournalExtent(b.start, b.stop, block_checksum(BODY[b.start : b.stop])) for b in BLOCKS]


@pytest.fixture
def part(tmp_path: Path) -> Iterator[PartialFile]:
    with open_part(tmp_path) as opened:
        yield opened


def write(part: PartialFile, piece: ByteRange) -> None:
    part.write(piece.start, memoryview(BODY)[piece.start : piece.stop])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_quarantine_starts_from_nothing(part: PartialFile, tmp_path: Path) -> None:
    part.begin(IDENTITY)
    write(part, BLOCKS[0])
    part.quarantine(tmp_path / "quarantine" / "x")
    assert (tmp_path / "quarantine" / "x").read_bytes() == BODY[:BLOCK_BYTES]
    assert (part.identity, part.present_bytes) == (None, 0)
    with pytest.raises(CacheLockedError):
        open_part(tmp_path)
    part.begin(RemoteIdentity(5))
    part.write(0, b"hello")
    assert finish(part, 5) == evidence(b"hello", BLOCK_BYTES)
    part.publish(tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"hello"
    assert (tmp_path / "quarantine" / "x").read_bytes() == BODY[:BLOCK_BYTES]


def test_a_damaged_file_is_taken_over(part: PartialFile, tmp_path: Path) -> None:
    source = tmp_path / "final"
    damaged = bytearray(BODY)
    damaged[BLOCK_BYTES + 5] ^= 1
    source.write_bytes(damaged + b"surplus")
    part.take_over(source, IDENTITY, CLAIMS)
    part.close()
    assert names(tmp_path) == ["x.journal", "x.part"]
    with open_part(tmp_path) as again:
        recheck(again)
        assert again.missing() == [BLOCKS[1]]
        write(again, BLOCKS[1])
        assert finish(again, len(BODY)) == evidence(BODY, BLOCK_BYTES)
        again.sync(len(BODY))
        again.publish(source)
    assert source.read_bytes() == BODY


class Killed(BaseException):
    """The process is no more."""


def kill_at(part: PartialFile, step: str, call: Callable[[], None]) -> None:
    """The process dies before a step: its files are closed, and nothing else happens."""

    def die(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial_file, step, die)
        with pytest.raises(Killed):
            call()
    for descriptor in (part._descriptor, part._journal_descriptor):
        if descriptor is not None and descriptor >= 0:
            os.close(descriptor)


@pytest.mark.parametrize("step", ["write_journal", "move_file", "open_locked"])
def test_killed_while_it_takes_over_no_good_block_is_lost(tmp_path: Path, step: str) -> None:
    """The file is at its final name still, or what is good of it is found again."""
    source = tmp_path / "final"
    source.write_bytes(BODY)
    part = open_part(tmp_path)
    kill_at(part, step, lambda: part.take_over(source, IDENTITY, CLAIMS[:2]))
    if source.exists():
        assert step != "open_locked"
        assert source.read_bytes() == BODY
        return
    with open_part(tmp_path) as again:
        recheck(again)
        assert again.present_bytes == 2 * BLOCK_BYTES


@pytest.mark.parametrize("step", ["move_file", "open_locked"])
def test_killed_while_it_is_set_aside_nothing_wrong_is_believed(tmp_path: Path, step: str) -> None:
    part = open_part(tmp_path)
    part.begin(IDENTITY)
    write(part, BLOCKS[0])
    kill_at(part, step, lambda: part.quarantine(tmp_path / "aside"))
    with open_part(tmp_path) as again:
        recheck(again)
        # Not set aside yet, or gone: then nothing is left to believe.
        assert again.present_bytes == (0 if (tmp_path / "aside").exists() else BLOCK_BYTES)


@pytest.mark.parametrize("step", ["move_file", "sync_folder"])
def test_killed_while_it_is_published_it_is_whole_somewhere(tmp_path: Path, step: str) -> None:
    part = open_part(tmp_path)
    part.begin(IDENTITY)
    for piece in BLOCKS:
        write(part, piece)
    part.sync(len(BODY))
    kill_at(part, step, lambda: part.publish(tmp_path / "final"))
    if step == "sync_folder":
        assert (tmp_path / "final").read_bytes() == BODY
        return
    with open_part(tmp_path) as again:
        recheck(again)
        assert finish(again, len(BODY)) == evidence(BODY, BLOCK_BYTES)


def test_a_journal_that_could_not_be_begun_is_begun_again(
    part: PartialFile, tmp_path: Path
) -> None:
    """No room for its first line, then there is: what is written now must be found later."""

    def no_room(identity: RemoteIdentity) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    part.begin(IDENTITY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "header_line", no_room)
        with pytest.raises(OSError, match="No space"):
            write(part, BLOCKS[0])
    assert part.present_bytes == 0
    write(part, BLOCKS[1])
    part.close()
    with open_part(tmp_path) as again:
        recheck(again)
        assert again.present_bytes == BLOCK_BYTES
