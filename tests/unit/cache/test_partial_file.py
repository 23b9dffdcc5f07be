"""A part file's life: begun, written, resumed, hashed, published, quarantined, taken over."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.block_checksums import BLOCK_BYTES, block_checksum
from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import JournalExtent, RemoteIdentity, read_journal
from nersemble_async.cache.partial_file import MAX_STEP_BYTES, PartialFile
from nersemble_async.errors import CacheLockedError, DiskFullError
from tests.support import part_files
from tests.support.part_files import cut_at, evidence, finish, open_part, recheck

BODY = random.Random(3).randbytes(2 * BLOCK_BYTES + 1000)
IDENTITY = RemoteIdentity(len(BODY), '"a"')
BLOCKS = [ByteRange(s, min(s + BLOCK_BYTES, len(BODY))) for s in range(0, len(BODY), BLOCK_BYTES)]


@pytest.fixture
def part(tmp_path: Path) -> Iterator[PartialFile]:
    with open_part(tmp_path) as opened:
        yield opened


def write(part: PartialFile, piece: ByteRange) -> None:
    part.write(piece.start, memoryview(BODY)[piece.start : piece.stop])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(st.binary(max_size=200), st.data())
def test_any_pieces_in_any_order_come_to_the_same(body: bytes, data: st.DataObject) -> None:
    with part_files.tiny_blocks(), tempfile.TemporaryDirectory() as folder:
        with open_part(Path(folder)) as part:
            part.begin(RemoteIdentity(len(body)))
            cuts = data.draw(st.sets(st.integers(0, len(body)), max_size=6))
            for piece in data.draw(st.permutations(cut_at(part.missing(), cuts))):
                part.write(piece.start, body[piece.start : piece.stop])
            assert (part.missing(), part.present_bytes) == ([], len(body))
            assert finish(part, len(body)) == evidence(body)
            part.sync(len(body))
            part.publish(Path(folder, "final"))
        assert names(Path(folder)) == ["final"]
        assert Path(folder, "final").read_bytes() == body


def test_nothing_received_leaves_no_trace(tmp_path: Path) -> None:
    with open_part(tmp_path):
        assert names(tmp_path) == ["x.part"]
    with open_part(tmp_path) as part:
        part.begin(IDENTITY)
    assert names(tmp_path) == []


def test_what_was_received_stays(tmp_path: Path) -> None:
    with open_part(tmp_path) as part:
        part.begin(IDENTITY)
        write(part, BLOCKS[1])
    assert names(tmp_path) == ["x.journal", "x.part"]
    with open_part(tmp_path) as part:
        assert part.identity == IDENTITY
        assert part.unchecked
        assert part.present_bytes == 0, "nothing is believed unread"
        recheck(part)
        assert part.missing() == [BLOCKS[0], BLOCKS[2]]
    assert names(tmp_path) == ["x.journal", "x.part"]


def test_opened_and_closed_unchecked_it_stays(tmp_path: Path) -> None:
    with open_part(tmp_path) as part:
        part.begin(IDENTITY)
        write(part, BLOCKS[0])
    with open_part(tmp_path):
        pass
    with open_part(tmp_path) as part:
        recheck(part)
        assert part.present_bytes == BLOCK_BYTES


def test_a_torn_line_costs_nothing_that_is_written_later(tmp_path: Path) -> None:
    for piece in (BLOCKS[0], BLOCKS[1]):
        with open_part(tmp_path) as part:
            recheck(part)
            if part.identity is None:
                part.begin(IDENTITY)
            write(part, piece)
        with (tmp_path / "x.journal").open("ab") as journal:
            journal.write(b'[1048576,1048576,"01')
    with open_part(tmp_path) as part:
        recheck(part)
        assert part.missing() == [BLOCKS[2]]


def test_bytes_without_a_journal_are_void(tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"leftovers")
    with open_part(tmp_path) as part:
        assert part.identity is None
        assert (tmp_path / "x.part").stat().st_size == 0


def test_only_one_at_a_time(part: PartialFile, tmp_path: Path) -> None:
    with pytest.raises(CacheLockedError, match=r"x\.part"):
        open_part(tmp_path)
    part.close()
    assert part.closed
    part.close()
    open_part(tmp_path).close()


def test_the_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "parts"
    with PartialFile(folder / "a.part", folder / "a.journal") as part:
        assert part.location == folder / "a.part"


# ---- writing ------------------------------------------------------------------------------------


def test_a_write_stays_in_its_block(part: PartialFile) -> None:
    part.begin(IDENTITY)
    with pytest.raises(ValueError, match="inside one block"):
        part.write(BLOCK_BYTES - 1, b"xx")
    part.write(BLOCK_BYTES, b"")
    assert part.present_bytes == 0
    part.write(BLOCK_BYTES - 1, b"x")
    assert part.present_bytes == 1


def test_writing_before_it_began_is_a_mistake(part: PartialFile) -> None:
    with pytest.raises(ValueError, match="write before begin"):
        part.write(0, b"x")
    assert part.present_bytes == 0


def test_an_extent_counts_when_its_journal_line_is_written(
    part: PartialFile, tmp_path: Path
) -> None:
    """No room for the line: the bytes do not count, the file goes on where there is room."""
    part.begin(IDENTITY)
    (tmp_path / "x.journal").mkdir()
    with pytest.raises(IsADirectoryError):
        write(part, BLOCKS[0])
    assert part.present_bytes == 0
    (tmp_path / "x.journal").rmdir()
    write(part, BLOCKS[0])
    assert part.present_bytes == BLOCK_BYTES
    assert read_journal(tmp_path / "x.journal") == (
        IDENTITY,
        [JournalExtent(0, BLOCK_BYTES, block_checksum(BODY[:BLOCK_BYTES]))],
    )


def test_a_file_that_cannot_fit_is_refused(part: PartialFile) -> None:
    with pytest.raises(DiskFullError, match=r"x\.part"):
        part.begin(RemoteIdentity(10**18))
    part.begin(RemoteIdentity(None))


def test_beginning_again_forgets(part: PartialFile, tmp_path: Path) -> None:
    part.begin(IDENTITY)
    write(part, BLOCKS[0])
    part.begin(RemoteIdentity(5, '"b"'))
    assert (part.present_bytes, part.unhashed_bytes) == (0, 0)
    assert names(tmp_path) == ["x.part"]
    part.write(0, b"hello")
    assert finish(part, 5) == evidence(b"hello", BLOCK_BYTES)
    claimed = read_journal(tmp_path / "x.journal")
    assert claimed is not None
    assert claimed[0] == RemoteIdentity(5, '"b"')


def test_reset_voids_claims_too(tmp_path: Path) -> None:
    with open_part(tmp_path) as part:
        part.begin(IDENTITY)
        write(part, BLOCKS[0])
    with open_part(tmp_path) as part:
        part.reset()
        assert (part.identity, part.unchecked) == (None, False)
    assert names(tmp_path) == []


# ---- finishing ----------------------------------------------------------------------------------


def test_complete_wants_everything(part: PartialFile) -> None:
    part.begin(IDENTITY)
    for piece in (BLOCKS[0], BLOCKS[2]):
        write(part, piece)
    part.hash_rest()
    assert part.unhashed_bytes == 1000, "behind the gap"
    with pytest.raises(ValueError, match="not complete"):
        part.complete(len(BODY))
    write(part, BLOCKS[1])
    assert part.unhashed_bytes == 0, "hashing catches up while it is written"
    with pytest.raises(ValueError, match="not complete"):
        part.complete(len(BODY) + 1)
    assert part.complete(len(BODY)) == evidence(BODY, BLOCK_BYTES)


def test_hashing_goes_in_steps(tmp_path: Path) -> None:
    body = random.Random(4).randbytes(MAX_STEP_BYTES + 2 * BLOCK_BYTES)
    with open_part(tmp_path) as part:
        part.begin(RemoteIdentity(len(body)))
        for start in range(len(body) - BLOCK_BYTES, -1, -BLOCK_BYTES):
            part.write(start, body[start : start + BLOCK_BYTES])
        assert 0 < part.unhashed_bytes < len(body), "a write hashes a bounded amount"
        assert finish(part, len(body)) == evidence(body, BLOCK_BYTES)


def test_an_empty_file(part: PartialFile, tmp_path: Path) -> None:
    part.begin(RemoteIdentity(0, '"a"'))
    assert part.missing() == []
    assert finish(part, 0) == evidence(b"")
    part.sync(0)
    part.publish(tmp_path / "final")
    assert names(tmp_path) == ["final"]


def test_a_file_of_unknown_size(part: PartialFile, tmp_path: Path) -> None:
    part.begin(RemoteIdentity(None, '"a"'))
    for piece in BLOCKS:
        write(part, piece)
    with pytest.raises(ValueError, match="size of the file is not known"):
        part.missing()
    assert finish(part, part.present_bytes) == evidence(BODY, BLOCK_BYTES)


def test_sync_cuts_and_tells_the_stat_of_the_final_file(part: PartialFile, tmp_path: Path) -> None:
    part.begin(IDENTITY)
    for piece in BLOCKS:
        write(part, piece)
    os.truncate(tmp_path / "x.part", len(BODY) + 7)  # as a longer, earlier version may leave it
    stat = part.sync(len(BODY))
    part.publish(tmp_path / "nvs" / "final")
    final = (tmp_path / "nvs" / "final").stat()
    assert (final.st_size, final.st_mtime_ns, final.st_ino) == (
        len(BODY),
        stat.st_mtime_ns,
        stat.st_ino,
    )
    assert part.closed
    assert names(tmp_path) == ["nvs"]


def test_published_it_is_no_longer_locked(part: PartialFile, tmp_path: Path) -> None:
    part.begin(RemoteIdentity(0))
    part.publish(tmp_path / "final")
    with open_part(tmp_path) as other:
        assert other.identity is None
    assert names(tmp_path) == ["final"]


def test_where_it_cannot_be_renamed_it_is_kept(part: PartialFile, tmp_path: Path) -> None:
    part.begin(IDENTITY)
    for piece in BLOCKS:
        write(part, piece)
    (tmp_path / "final").mkdir()
    with pytest.raises(IsADirectoryError):
        part.publish(tmp_path / "final")
    part.close()
    with open_part(tmp_path) as again:
        recheck(again)
        assert finish(again, len(BODY)) == evidence(BODY, BLOCK_BYTES)
