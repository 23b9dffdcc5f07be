"""The zip on its way: what is in it, what a crash leaves, how it gets its name."""

from __future__ import annotations

import os
import random
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nersemble_async.errors import CacheLockedError, SubmissionError
from nersemble_async.submission.writing.archive import Archive
from nersemble_async.submission.writing.archive_journal import read_journal
from nersemble_async.submission.zips import zip_records

CONTENTS = {"task": "svfr"}


def begin(target: Path, *, resume: bool | None = None) -> Archive:
    return Archive(target, CONTENTS, resume=resume)


def some_file(folder: Path, n_bytes: int) -> Path:
    path = folder / "some.mp4"
    path.write_bytes(random.Random(n_bytes).randbytes(n_bytes))
    return path


def test_a_finished_archive_is_a_zip_for_everybody(tmp_path: Path) -> None:
    target = tmp_path / "made" / "a.zip"
    archive = begin(target)
    large = some_file(tmp_path, 3_000_000)
    data = large.read_bytes()
    archive.add_file("388/GLASSES/cam_1.mp4", large)
    archive.add_bytes({"a/b.ply": b"mesh", "a/empty": b""})
    archive.finish()
    assert sorted(target.parent.iterdir()) == [target]
    assert not large.exists()
    with zipfile.ZipFile(target) as file:
        assert file.testzip() is None
        assert file.namelist() == ["388/GLASSES/cam_1.mp4", "a/b.ply", "a/empty"]
        assert file.read("388/GLASSES/cam_1.mp4") == data
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
    listed = subprocess.run(
        ["python3", "-m", "zipfile", "-t", target], capture_output=True, text=True, check=True
    )
    assert "Done testing" in listed.stdout


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("a.zip", "b.zip"):
        archive = begin(tmp_path / name)
        archive.add_bytes({"a": b"1", "b": b"2"})
        archive.finish()
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]


def test_numbers_above_the_limit_are_written_as_zip64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_records, "ZIP64_FROM", 10)
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"small": b"1", "large": b"12345678901", "small too": b"2"})
    archive.finish()
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.testzip() is None
        assert [info.extract_version for info in file.infolist()] == [20, 45, 45]
        assert file.read("large") == b"12345678901"
        assert file.read("small too") == b"2"


def test_a_sparse_file_of_five_gigabytes_is_written_as_zip64(tmp_path: Path) -> None:
    """The records alone: the bytes themselves would take a while."""
    size = 5 << 30
    entries = [
        zip_records.StoredEntry("large", 0, size, 0),
        zip_records.StoredEntry("behind", zip_records.StoredEntry("large", 0, size, 0).end, 0, 0),
    ]
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        for entry in entries:
            file.seek(entry.offset)
            file.write(zip_records.local_header(entry))
        file.seek(entries[-1].end)
        file.write(zip_records.central_directory(entries, entries[-1].end))
    with zipfile.ZipFile(path) as zipped:
        assert [(i.filename, i.file_size, i.header_offset) for i in zipped.infolist()] == [
            (entry.name, entry.size_bytes, entry.offset) for entry in entries
        ]
        with zipped.open("large") as opened:
            assert opened.read(10) == bytes(10)


def test_the_old_zip_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    archive = begin(target)
    archive.add_bytes({"a": b"1"})
    assert target.read_bytes() == b"old"

    def refuse(path: Path) -> None:
        assert zipfile.ZipFile(path).namelist() == ["a"]
        assert target.read_bytes() == b"old"
        raise SubmissionError("no")

    with pytest.raises(SubmissionError, match="no"):
        archive.finish(refuse)
    assert target.read_bytes() == b"old"
    begin(target, resume=True).finish()
    assert zipfile.ZipFile(target).namelist() == ["a"]


def test_what_is_kept_is_gone_on_with(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    archive = begin(target)
    archive.add_bytes({"a": b"1", "a too": b"1"})
    archive.add_file("b", some_file(tmp_path, 2_000_000))
    archive.keep()
    with pytest.raises(SubmissionError, match=r"holds 3 entries .*resume=True"):
        begin(target)
    archive = begin(target, resume=True)
    assert list(archive.entries) == ["a", "a too", "b"]
    archive.add_bytes({"c": b"3"})
    archive.finish()
    with zipfile.ZipFile(target) as file:
        assert file.testzip() is None
        assert file.namelist() == ["a", "a too", "b", "c"]


def test_nothing_is_left_of_an_archive_without_entries(tmp_path: Path) -> None:
    begin(tmp_path / "a.zip").keep()
    assert list(tmp_path.iterdir()) == []


def test_thrown_away_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    archive = begin(target)
    archive.add_bytes({"a": b"1"})
    archive.keep()
    archive = begin(target, resume=False)
    archive.add_bytes({"b": b"1"})
    archive.finish()
    assert zipfile.ZipFile(target).namelist() == ["b"]


def test_one_for_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1"})
    archive.keep()
    with pytest.raises(SubmissionError, match="was begun for task svfr, and this is for task nvs"):
        Archive(tmp_path / "a.zip", {"task": "nvs"}, resume=True)


def test_two_writers_cannot_make_one_zip(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    with pytest.raises(CacheLockedError, match="two cannot make one"):
        begin(tmp_path / "a.zip")
    archive.keep()
    begin(tmp_path / "a.zip").keep()


def test_an_entry_is_added_once(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1"})
    with pytest.raises(SubmissionError, match=r"a is in a\.zip\.partial already"):
        archive.add_bytes({"b": b"2", "a": b"2"})
    assert list(archive.entries) == ["a"]
    archive.finish()


def test_whatever_a_crash_leaves_of_it_is_either_gone_on_with_or_refused(tmp_path: Path) -> None:
    """The partial zip and its journal cut off anywhere, and with bytes turned over."""
    target = tmp_path / "a.zip"
    archive = begin(target)
    contents = {f"{i}/m.ply": random.Random(i).randbytes(50 + i) for i in range(8)}
    for name, data in contents.items():
        archive.add_bytes({name: data, f"{name}.npy": data[:7]})
    archive.keep()
    partial, journal = archive.partial.read_bytes(), archive.journal.read_bytes()
    draw = random.Random(0)
    outcomes: set[object] = set()
    for _ in range(150):
        cut_zip, cut_journal = bytearray(partial), bytearray(journal)
        kind = draw.randrange(4)
        if kind in (0, 2):
            del cut_zip[draw.randrange(len(partial) + 1) :]
        if kind in (1, 2):
            del cut_journal[draw.randrange(len(journal) + 1) :]
        if kind == 3:
            cut_zip[draw.randrange(len(partial))] ^= 1 << draw.randrange(8)
            cut_journal[draw.randrange(len(journal))] ^= 1 << draw.randrange(8)
        archive.partial.write_bytes(cut_zip)
        archive.journal.write_bytes(cut_journal)
        try:
            resumed = begin(target, resume=True)
        except SubmissionError:
            outcomes.add("refused")
            resumed = begin(target, resume=False)
        outcomes.add(len(resumed.entries))
        for name in resumed.entries:
            pair = {name.removesuffix(".npy"), f"{name.removesuffix('.npy')}.npy"}
            assert pair <= set(resumed.entries), "a mesh without its landmarks"
        for name, data in contents.items():
            if name not in resumed.entries:
                resumed.add_bytes({name: data, f"{name}.npy": data[:7]})
        resumed.finish()
        with zipfile.ZipFile(target) as file:
            assert file.testzip() is None
            assert len(file.namelist()) == 16
            assert {name: file.read(name) for name in contents} == contents
        target.unlink()
    assert {"refused", 0, 14, 16} <= outcomes


def test_a_journal_without_its_zip_is_of_one_that_was_finished(tmp_path: Path) -> None:
    """The instant between the rename and the journal's end."""
    target = tmp_path / "a.zip"
    archive = begin(target)
    archive.add_bytes({"a": b"1"})
    journal = archive.journal.read_bytes()
    archive.finish()
    archive.journal.write_bytes(journal)
    again = begin(target)
    assert again.entries == {}
    again.keep()
    assert list(tmp_path.iterdir()) == [target]


def test_a_journal_of_garbage_is_none(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for data in (b"", b"\n", b"{}\n", b"[" * 100_000, b'{"version": 2}\n', b"\xff\n"):
        path.write_bytes(data)
        assert read_journal(path) is None
    path.write_bytes(b'{"version": 1}\n[["a", 0, -1, 0]]\n[["a", 0, true, 0]]\n{"a": 1}\n[1]\n')
    assert read_journal(path) == ({}, [])


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="is a folder"):
        begin(tmp_path)


def test_leftover_videos_are_deleted(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1"})
    archive.keep()
    archive.folder.mkdir()
    (archive.folder / "388.mp4").write_bytes(b"cut off")
    begin(tmp_path / "a.zip", resume=True).keep()
    assert not archive.folder.exists()


def test_the_crc_is_that_of_the_bytes(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"123"})
    assert archive.entries["a"].crc32 == zlib.crc32(b"123")
    assert archive.partial.stat().st_size == archive.entries["a"].end
    archive.keep()


def test_what_is_kept_is_on_the_disk_and_so_is_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small entries are not each: a power loss after a regular end is to take none of them."""
    synced: list[str] = []

    def recorded(sync: Callable[[int], None], descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a.ply": b"mesh"})
    with monkeypatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, partial(recorded, getattr(os, name)))
        archive.keep()
    assert synced == ["a.zip.partial", "a.zip.partial.journal"]


@pytest.mark.parametrize(
    "damaged",
    [
        '["a", 0, 1, 4294967296]',
        '["a", 0, 1, -1]',
        f'["{"a" * 65536}", 0, 1, 1]',
        '["a", 0, 1, 9e9]',
    ],
)
def test_numbers_that_no_zip_can_hold_are_no_claim(tmp_path: Path, damaged: str) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a.ply": b"mesh"})
    archive.keep()
    with archive.journal.open("a") as file:
        file.write(f"[{damaged}]\n")
    again = begin(tmp_path / "a.zip", resume=True)
    assert set(again.entries) == {"a.ply"}
    again.keep()
