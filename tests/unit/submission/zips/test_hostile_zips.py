"""Hostile zips: of whatever bytes nothing but our errors comes, and no more than was promised."""

from __future__ import annotations

import contextlib
import gc
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import SubmissionError
from nersemble_async.submission.rules import RULES
from nersemble_async.submission.zips.zip_entries import EntryError, SubmissionZip
from tests.support import zips
from tests.support.zips import CENTRAL, END, LOCAL, changed, make_zip, noise, stored

MIB = 1 << 20
MESH, VIDEO = "017/a_078_1/mesh_posed.ply", "388/GLASSES/cam_222200042.mp4"


def error_of(path: Path, position: int = 0) -> EntryError:
    """What reading an entry raises; checking and extracting raise the same."""
    with SubmissionZip(path) as archive:
        entry = archive.entries[position]
        errors = []
        for attempt in (archive.read, archive.check, lambda e: archive.extracted(e).__enter__()):
            with pytest.raises(EntryError) as caught:
                attempt(entry)
            errors.append(caught.value)
    assert len({str(error) for error in errors}) == 1
    assert errors[0].rule in RULES
    assert errors[0].entry == entry.name
    return errors[0]


def n_descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


# ---- what is broken -----------------------------------------------------------------------------


def test_what_is_no_zip_is_told_in_words(tmp_path: Path) -> None:
    for number, data in enumerate([b"", b"abc", noise(5000), b"Rar!\x1a\x07\x00" * 100]):
        with pytest.raises(SubmissionError, match="is not a readable zip: File is not a zip file"):
            SubmissionZip(stored(tmp_path / f"{number}.zip", data))
    with pytest.raises(SubmissionError, match="is no file"):
        SubmissionZip(tmp_path)
    with pytest.raises(FileNotFoundError):
        SubmissionZip(tmp_path / "none.zip")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(SubmissionError, match="is no file"):
        SubmissionZip(tmp_path / "pipe.zip")


def test_a_refused_zip_leaves_no_file_open(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zip", noise(500))
    descriptors = n_descriptors()
    with pytest.raises(SubmissionError):
        SubmissionZip(path)
    assert n_descriptors() == descriptors


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_entry_is_told_and_the_others_are_read(tmp_path: Path, compression: int) -> None:
    data = make_zip([(VIDEO, noise(2 * MIB, levels=99)), (MESH, b"abc")], compression)
    data[MIB] ^= 1
    path = stored(tmp_path / "a.zip", data)
    assert error_of(path).rule == "crc-error"
    with SubmissionZip(path) as archive:
        assert archive.read(archive.entries[1]) == b"abc"


PLAIN = make_zip([(MESH, noise(500))])
DEFLATED = make_zip([(MESH, noise(500, levels=3))], zipfile.ZIP_DEFLATED)
BOMB = make_zip([(MESH, bytes(30 * MIB))], zipfile.ZIP_DEFLATED, 9)
UNREADABLE: dict[str, bytes | bytearray] = {
    "encrypted": changed(PLAIN, CENTRAL, zips.FLAGS, b"\x01\0"),
    "encrypted by its own header": changed(PLAIN, LOCAL, zips.LOCAL_FLAGS, b"\x01\0"),
    "strongly encrypted": changed(PLAIN, CENTRAL, zips.FLAGS, b"\x41\0"),
    "patched": changed(PLAIN, CENTRAL, zips.FLAGS, b"\x20\0"),
    "bzip2": make_zip([(MESH, b"abc")], zipfile.ZIP_BZIP2),
    "lzma": make_zip([(MESH, b"abc")], zipfile.ZIP_LZMA),
    "method 99": changed(PLAIN, CENTRAL, zips.METHOD, b"\x63\0"),
    "another method in its own header": changed(PLAIN, LOCAL, zips.LOCAL_METHOD, b"\x08\0"),
    "another name in its own header": changed(PLAIN, LOCAL, zips.LOCAL_NAME, b"x"),
    "another CRC in its own header": changed(PLAIN, LOCAL, zips.LOCAL_CRC, 5),
    "another size in its own header": changed(PLAIN, LOCAL, zips.LOCAL_SIZE_BYTES, 5),
    "no header of its own": changed(PLAIN, LOCAL, 0, b"XX"),
    "beyond the end": changed(PLAIN, CENTRAL, zips.OFFSET, 1 << 31),
    "longer than the file": changed(PLAIN, CENTRAL, zips.COMPRESSED_BYTES, 1 << 20),
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_an_unreadable_entry_is_told(tmp_path: Path, how: str) -> None:
    assert error_of(stored(tmp_path / "a.zip", UNREADABLE[how])).rule == "unreadable-entry"


DAMAGED: dict[str, bytes | bytearray] = {
    "more content than said": changed(
        changed(DEFLATED, CENTRAL, zips.SIZE_BYTES, 99), LOCAL, zips.LOCAL_SIZE_BYTES, 99
    ),
    "less content than said": changed(
        changed(DEFLATED, CENTRAL, zips.SIZE_BYTES, 999), LOCAL, zips.LOCAL_SIZE_BYTES, 999
    ),
    "a bomb that says it is small": changed(
        changed(BOMB, CENTRAL, zips.SIZE_BYTES, 99), LOCAL, zips.LOCAL_SIZE_BYTES, 99
    ),
    "a stored entry of two sizes": changed(
        changed(PLAIN, CENTRAL, zips.SIZE_BYTES, 99), LOCAL, zips.LOCAL_SIZE_BYTES, 99
    ),
    "not deflated": changed(
        changed(PLAIN, CENTRAL, zips.METHOD, b"\x08\0"), LOCAL, zips.LOCAL_METHOD, b"\x08\0"
    ),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_content_that_is_not_what_was_promised_is_told(tmp_path: Path, how: str) -> None:
    assert error_of(stored(tmp_path / "a.zip", DAMAGED[how])).rule == "crc-error"


def test_content_that_ends_early_or_late_is_told(tmp_path: Path) -> None:
    deflated = zlib.compress(noise(500, levels=3), 1, -15)
    for data in (deflated[:-1], deflated + b"more"):
        written = make_zip([(MESH, data)])
        for signature, method, size in (
            (CENTRAL, zips.METHOD, zips.SIZE_BYTES),
            (LOCAL, zips.LOCAL_METHOD, zips.LOCAL_SIZE_BYTES),
        ):
            written = changed(written, signature, method, b"\x08\0")
            written = changed(written, signature, size, 500)
        assert error_of(stored(tmp_path / "a.zip", written)).rule == "crc-error"


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    error = error_of(stored(tmp_path / "a.zip", BOMB))
    assert (error.rule, error.found) == ("too-large", f"{30 * MIB:,} bytes made of {_deflated():,}")


def _deflated() -> int:
    (size,) = struct.unpack_from("<I", BOMB, BOMB.index(CENTRAL) + zips.COMPRESSED_BYTES)
    return int(size)


def test_size_limits_depend_on_the_kind(tmp_path: Path) -> None:
    data = make_zip([("a.npy", bytes(MIB + 1)), ("b.ply", bytes(MIB + 1))])
    path = stored(tmp_path / "a.zip", data)
    assert error_of(path).rule == "too-large"
    with SubmissionZip(path) as archive:
        mesh = archive.entries[1]
        assert archive.read(mesh) == bytes(MIB + 1)
        with pytest.raises(EntryError, match=r"expected is at most 1,048,576 bytes"):
            archive.read(mesh, most_bytes=MIB)


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """As a bomb is made of one file that many entries are made of."""
    twice = make_zip([(MESH, noise(500)), (MESH, noise(500)), (VIDEO, b"abc")])
    path = stored(tmp_path / "a.zip", changed(twice, CENTRAL, zips.OFFSET, 0, nth=1))
    for position in (0, 1):
        error = error_of(path, position)
        assert error.rule == "unreadable-entry"
        assert "another entry's too" in error.found
    with SubmissionZip(path) as archive:
        assert archive.read(archive.entries[2]) == b"abc"


def test_zip64_sizes_beyond_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MESH, b"abc")
        archive.infolist()[0].file_size = archive.infolist()[0].compress_size = 1 << 40
    error = error_of(path)
    assert (error.rule, error.found) == ("too-large", f"{1 << 40:,} bytes")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MESH, b"abc")
        archive.infolist()[0].compress_size = 1 << 40
    assert error_of(path).rule == "unreadable-entry"


def test_there_may_not_be_any_number_of_entries(tmp_path: Path) -> None:
    record = struct.pack("<4s6H3L5H2L", CENTRAL, *[0] * 9, 1, *[0] * 6) + b"a"
    n = 100_001
    end = struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, n * len(record), 0, 0)
    with pytest.raises(SubmissionError, match="has 100,001 entries"):
        SubmissionZip(stored(tmp_path / "a.zip", record * n + end))


def test_a_huge_directory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.truncate(1 << 32)
        file.seek(0, os.SEEK_END)
        file.write(struct.pack("<4s4H2LH", END, 0, 0, 9, 9, 0xFFFFFFF0, 0, 0))
    with pytest.raises(SubmissionError, match="directory is larger than that of any submission"):
        SubmissionZip(path)


@pytest.mark.parametrize("n_bytes", range(0, len(DEFLATED), 7))
def test_a_cut_off_zip_is_none(tmp_path: Path, n_bytes: int) -> None:
    with pytest.raises(SubmissionError, match="is not a readable zip"):
        SubmissionZip(stored(tmp_path / "a.zip", DEFLATED[:n_bytes]))


FULL = make_zip(
    [("017/", b""), (MESH, noise(300, 1, 4)), (VIDEO, noise(300, 2)), ("é.npy", b"abc")],
    zipfile.ZIP_DEFLATED,
)

MUTATIONS: st.SearchStrategy[Callable[[bytearray], bytearray]] = st.one_of(
    st.builds(
        lambda place, value: (
            lambda d: d[: place % len(d)] + value + d[place % len(d) + len(value) :]
        ),
        st.integers(0, 1 << 16),
        st.binary(min_size=1, max_size=8),
    ),
    st.builds(lambda n: lambda d: d[n % len(d) :] or d, st.integers(0, 1 << 16)),
    st.builds(lambda n: lambda d: d[: n % len(d)] or d, st.integers(0, 1 << 16)),
    st.builds(
        lambda place, value: lambda d: d[: place % len(d)] + value + d[place % len(d) :],
        st.integers(0, 1 << 16),
        st.sampled_from([b"\0", b"\xff" * 4, CENTRAL, LOCAL, END, b"PK\x06\x06", b"PK\x06\x07"]),
    ),
)


@given(st.lists(MUTATIONS, min_size=1, max_size=5), st.sampled_from([FULL, PLAIN, DEFLATED]))
def test_of_changed_bytes_nothing_but_our_errors_comes(
    tmp_path_factory: pytest.TempPathFactory,
    mutations: list[Callable[[bytearray], bytearray]],
    data: bytearray,
) -> None:
    for mutate in mutations:
        data = bytearray(mutate(data))
    path = stored(tmp_path_factory.getbasetemp() / "mutated.zip", data)
    try:
        archive = SubmissionZip(path)
    except SubmissionError:
        return
    with archive:
        for entry in archive.entries:
            with contextlib.suppress(EntryError):
                read = archive.read(entry)
                assert (len(read), zlib.crc32(read)) == (entry.size_bytes, entry.crc32)
