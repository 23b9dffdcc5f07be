"""Entries of a zip: read as everybody reads them, and never written where the zip says."""

from __future__ import annotations

import gc
import io
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nersemble_async.errors import DiskFullError
from nersemble_async.submission.zips.zip_entries import EntryError, SubmissionZip, _write
from tests.support.zips import make_zip, noise, stored

MIB = 1 << 20
MESH, VIDEO = "017/a_078_1/mesh_posed.ply", "388/GLASSES/cam_222200042.mp4"


def read_all(path: Path) -> dict[str, bytes]:
    with SubmissionZip(path) as archive:
        return {entry.name: archive.read(entry) for entry in archive.entries}


def n_descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


# ---- what is in order ---------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_are_read_as_zipfile_reads_them(tmp_path: Path, compression: int) -> None:
    files = [("e.npy", b""), (MESH, noise(3 * MIB + 1, levels=5)), (VIDEO, noise(MIB))]
    path = stored(tmp_path / "a.zip", make_zip(files, compression))
    assert read_all(path) == dict(files)
    with SubmissionZip(path) as archive, zipfile.ZipFile(path) as standard:
        for entry, info in zip(archive.entries, standard.infolist(), strict=True):
            assert (entry.size_bytes, entry.compressed_bytes) == (
                info.file_size,
                info.compress_size,
            )
            assert (entry.crc32, entry.header_offset) == (info.CRC, info.header_offset)
            assert entry.is_stored == (compression == zipfile.ZIP_STORED)
            archive.check(entry)
            with archive.extracted(entry) as extracted:
                assert extracted.read_bytes() == dict(files)[entry.name]


@pytest.mark.parametrize("run_bytes", [1, 255, 256, 257, 258, 259, 300, 516])
def test_a_piece_may_end_amid_a_repetition(tmp_path: Path, run_bytes: int) -> None:
    """The decoder may hold the rest of the content when it has all of the input."""
    data = noise(MIB - 100) + bytes(100 + run_bytes)
    path = stored(tmp_path / "a.zip", make_zip([(MESH, data)], zipfile.ZIP_DEFLATED, 9))
    assert read_all(path) == {MESH: data}


def test_folders_duplicates_and_bytes_before_the_zip_are_kept_apart(tmp_path: Path) -> None:
    data = make_zip([("017/", b""), (MESH, b"first"), (MESH, b"second")])
    path = stored(tmp_path / "a.zip", b"#!/bin/sh\n" + data)
    with SubmissionZip(path) as archive:
        assert [e.name for e in archive.entries] == ["017/", MESH, MESH]
        assert [e.is_folder for e in archive.entries] == [True, False, False]
        assert [archive.read(e) for e in archive.entries] == [b"", b"first", b"second"]


def test_what_was_streamed_has_its_sizes_behind_the_content(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        tell = seek

    written = Pipe()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MESH, b"abc" * 100)
    assert read_all(stored(tmp_path / "a.zip", written.getvalue())) == {MESH: b"abc" * 100}


def test_zip64_entries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open(VIDEO, "w", force_zip64=True) as writer,
    ):
        writer.write(b"abc")
    assert read_all(path) == {VIDEO: b"abc"}


def test_several_threads_read_at_once(tmp_path: Path) -> None:
    files = [(f"{n}.ply", noise(MIB // 2 + n, n, 7)) for n in range(12)]
    path = stored(tmp_path / "a.zip", make_zip(files, zipfile.ZIP_DEFLATED))
    with SubmissionZip(path) as archive, ThreadPoolExecutor(6) as pool:
        read = list(pool.map(archive.read, archive.entries * 3))
    assert read == [data for _, data in files] * 3


def test_a_video_that_is_being_read_outlives_the_zip(tmp_path: Path) -> None:
    data = noise(3 * MIB)
    archive = SubmissionZip(stored(tmp_path / "a.zip", make_zip([(VIDEO, data)])))
    pieces = archive._pieces(archive.entries[0])
    first = next(pieces)
    archive.close()
    archive.close()
    assert first + b"".join(pieces) == data
    with pytest.raises(ValueError, match="was closed"):
        archive.read(archive.entries[0])


def test_a_forgotten_zip_is_closed(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.zip", make_zip([(VIDEO, b"abc")]))
    descriptors = n_descriptors()
    archive = SubmissionZip(path)
    assert n_descriptors() == descriptors + 1
    del archive
    assert n_descriptors() == descriptors


# ---- what is extracted --------------------------------------------------------------------------

ESCAPES = ["../../evil.mp4", "/etc/evil.mp4", "a/../../evil.mp4", "..\\evil.mp4", "C:\\evil.mp4"]


@pytest.mark.parametrize("name", [*ESCAPES, "017/" + "x" * 5000 + ".mp4", "e\0vil.mp4", "x.sh"])
def test_no_path_of_the_zip_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    placeholder = name.replace("\0", "~")
    data = make_zip([(placeholder, b"evil")]).replace(placeholder.encode(), name.encode())
    path = stored(tmp_path / "a.zip", data)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(temporary))
    with SubmissionZip(path) as archive:
        assert [entry.name for entry in archive.entries] == [name]
        with archive.extracted(archive.entries[0]) as extracted:
            assert extracted.read_bytes() == b"evil"
            assert extracted.parent.parent == temporary
            assert extracted.parent.stat().st_mode & 0o777 == 0o700
            assert extracted.name == ("entry.mp4" if name.endswith(".mp4") else "entry")
        assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.zip", "tmp"]


def test_nothing_is_left_of_an_extraction_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_zip([(VIDEO, noise(2 * MIB)), (MESH, b"abc")])
    data[MIB] ^= 1
    path = stored(tmp_path / "a.zip", data)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with SubmissionZip(path) as archive:
        with pytest.raises(EntryError, match="bytes with the CRC"):
            archive.extracted(archive.entries[0]).__enter__()
        for attempt in range(2):
            with pytest.raises(ZeroDivisionError), archive.extracted(archive.entries[1]):
                _ = attempt / 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_says_how_to_choose_another() -> None:
    with (
        io.FileIO("/dev/full", "w") as full,
        pytest.raises(DiskFullError, match=r"No space left.*TMPDIR"),
    ):
        _write(full, Path("/dev/full"), [b"abc"], 3, "; set TMPDIR")


def test_room_is_looked_for_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with (
        io.FileIO(path, "w") as file,
        pytest.raises(DiskFullError, match=f"{1 << 60:,} bytes are needed.*TMPDIR"),
    ):
        _write(file, path, [b"abc"], 1 << 60, "; set TMPDIR")
    assert path.read_bytes() == b""
