"""Part files under crashes: what a next process believes is exactly what is intact."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity, read_journal
from nersemble_async.cache.partial_file import PartialFile
from tests.support import part_files
from tests.support.part_files import (
    crashed_copy,
    cut_at,
    evidence,
    finish,
    open_part,
    recheck,
)


@pytest.fixture
def tiny_blocks() -> Iterator[None]:
    with part_files.tiny_blocks():
        yield


def missing_offsets(part: PartialFile) -> set[int]:
    return {offset for gap in part.missing() for offset in range(gap.start, gap.stop)}


def write_some(part: PartialFile, body: bytes, data: st.DataObject) -> None:
    """Some of what is missing, in any order, in any pieces."""
    cuts = data.draw(st.sets(st.integers(0, len(body)), max_size=6))
    pieces = data.draw(st.permutations(cut_at(part.missing(), cuts)))
    for piece in pieces[: data.draw(st.integers(0, len(pieces)))]:
        part.write(piece.start, body[piece.start : piece.stop])


def damage(folder: Path, data: st.DataObject) -> None:
    """What a crash does: a torn last line; pages of data that never reached the disk."""
    journal, part = folder / "x.journal", folder / "x.part"
    if not journal.exists():
        return
    torn_bytes = data.draw(st.integers(0, 40))
    os.truncate(journal, max(journal.stat().st_size - torn_bytes, 0))
    size = part.stat().st_size
    if data.draw(st.booleans()):
        os.truncate(part, data.draw(st.integers(0, size)))
    with part.open("r+b") as file:
        for _ in range(data.draw(st.integers(0, 2))):
            start = data.draw(st.integers(0, size))
            file.seek(start)
            file.write(bytes(min(data.draw(st.integers(0, 30)), size - start)))


def intact_offsets(folder: Path, body: bytes) -> set[int] | None:
    """Bytes whose journal line is whole and whose data is right; None where no header is."""
    claimed = read_journal(folder / "x.journal")
    if claimed is None:
        return None
    data = (folder / "x.part").read_bytes()
    return {
        offset
        for extent in claimed[1]
        if data[extent.start : extent.stop] == body[extent.start : extent.stop]
        for offset in range(extent.start, extent.stop)
    }


@settings(max_examples=80)
@given(st.binary(max_size=150), st.integers(1, 3), st.data())
@pytest.mark.usefixtures("tiny_blocks")
def test_after_any_crash_the_intact_is_believed_and_nothing_else(
    body: bytes, crashes: int, data: st.DataObject
) -> None:
    identity = RemoteIdentity(len(body), '"a"')
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "0")
        folder.mkdir()
        part = open_part(folder)
        part.begin(identity)
        for number in range(1, crashes + 1):
            write_some(part, body, data)
            folder = crashed_copy(folder, Path(scratch, str(number)))
            part.close()
            damage(folder, data)
            intact = intact_offsets(folder, body)
            part = open_part(folder)
            recheck(part)
            if intact is None:
                assert (part.identity, part.present_bytes) == (None, 0)
                part.begin(identity)
            else:
                assert part.identity == identity
                assert missing_offsets(part) == set(range(len(body))) - intact
                assert part.present_bytes == len(intact)
        for piece in cut_at(part.missing(), set()):
            part.write(piece.start, body[piece.start : piece.stop])
        assert finish(part, len(body)) == evidence(body)
        part.sync(len(body))
        part.publish(folder / "final")
        assert (folder / "final").read_bytes() == body


# No zeros: a hole in the part file is a run of zeros, too.
@given(st.lists(st.integers(1, 255), min_size=1, max_size=100).map(bytes), st.data())
@pytest.mark.usefixtures("tiny_blocks")
def test_a_rotten_journal_makes_nobody_believe_wrong_bytes(
    body: bytes, data: st.DataObject
) -> None:
    """Whatever the journal's bytes become, what is believed is in the file."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with open_part(folder) as part:
            part.begin(RemoteIdentity(len(body), '"a"'))
            write_some(part, body, data)
        journal = folder / "x.journal"
        if journal.exists():
            rotten = bytearray(journal.read_bytes())
            for _ in range(data.draw(st.integers(1, 3))):
                at = data.draw(st.integers(0, len(rotten) - 1))
                rotten[at] = data.draw(st.sampled_from(b'0123456789abcdef,"[]\n\x00\xff'))
            journal.write_bytes(rotten)
        with open_part(folder) as part:
            recheck(part)
            if part.identity is None or part.identity.size_bytes is None:
                assert part.present_bytes == 0
                return
            there = (folder / "x.part").read_bytes()
            believed = set(range(part.identity.size_bytes)) - missing_offsets(part)
            assert all(there[offset] == body[offset] for offset in believed)


# ---- several threads ----------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.binary(min_size=200, max_size=600), st.randoms(use_true_random=False))
@pytest.mark.usefixtures("tiny_blocks")
def test_threads_write_while_it_crashes(body: bytes, draw: random.Random) -> None:
    identity = RemoteIdentity(len(body), '"a"')
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "0")
        folder.mkdir()
        cuts = {draw.randrange(len(body)) for _ in range(20)}
        pieces = cut_at([ByteRange(0, len(body))], cuts)
        draw.shuffle(pieces)
        with open_part(folder) as part:
            part.begin(identity)

            def write(mine: list[ByteRange]) -> None:
                for piece in mine:
                    part.write(piece.start, body[piece.start : piece.stop])

            threads = [threading.Thread(target=write, args=(pieces[n::3],)) for n in range(3)]
            for thread in threads:
                thread.start()
            copies = [crashed_copy(folder, Path(scratch, str(n))) for n in range(1, 4)]
            for thread in threads:
                thread.join()
            assert finish(part, len(body)) == evidence(body)
        for copy in copies:
            intact = intact_offsets(copy, body)
            with open_part(copy) as part:
                recheck(part)
                if intact is None:
                    part.begin(identity)
                else:
                    assert missing_offsets(part) == set(range(len(body))) - intact
                for piece in cut_at(part.missing(), set()):
                    part.write(piece.start, body[piece.start : piece.stop])
                assert finish(part, len(body)) == evidence(body)


# ---- a process that is killed -------------------------------------------------------------------

PIECE = 1 << 16
WRITER = """
import random, sys, threading
from pathlib import Path
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.partial_file import PartialFile

folder, size, step = Path(sys.argv[1]), int(sys.argv[2]), 65536
body = random.Random(1).randbytes(size)
part = PartialFile(folder / "x.part", folder / "x.journal")
if part.identity is None:
    part.begin(RemoteIdentity(size, '"a"'))
while part.unchecked:
    part.recheck()
allowed = threading.Semaphore(int(sys.argv[3]))
starts = [s for gap in part.missing() for s in range(gap.start, gap.stop, step)]
random.Random(2).shuffle(starts)

def write(mine):
    for number, start in enumerate(mine):
        allowed.acquire()  # for ever, when it is time to be killed
        part.write(start, body[start : start + step])
        print(number, flush=True)

threads = [threading.Thread(target=write, args=(starts[n::3],)) for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_killed_again_and_again(tmp_path: Path) -> None:
    size = 6 * BLOCK_BYTES + 12_345
    body = random.Random(1).randbytes(size)
    present_bytes = 0
    for sure_writes in (1, 13, 30):
        # A few more are on their way, or done, when it dies.
        arguments = [sys.executable, "-c", WRITER, str(tmp_path), str(size), str(sure_writes + 4)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(sure_writes):
                assert process.stdout.readline()
            process.kill()
        assert process.returncode == -signal.SIGKILL
        with open_part(tmp_path) as part:
            recheck(part)
            written_bytes = part.present_bytes - present_bytes
            # Of the pieces, one is smaller than the others.
            assert (sure_writes - 1) * PIECE < written_bytes <= (sure_writes + 4) * PIECE
            present_bytes = part.present_bytes
    with open_part(tmp_path) as part:
        recheck(part)
        for gap in part.missing():
            for start in range(gap.start, gap.stop, PIECE):
                part.write(start, body[start : min(start + PIECE, gap.stop)])
        assert finish(part, size) == evidence(body, BLOCK_BYTES)
        part.sync(size)
        part.publish(tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == body
