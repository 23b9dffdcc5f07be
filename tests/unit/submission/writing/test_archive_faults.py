"""The zip on its way where something goes wrong: a torn journal, odd targets, ends amid writing."""

from __future__ import annotations

import errno
import os
import threading
import zipfile
from pathlib import Path

import pytest

from nersemble_async.errors import CacheError, DiskFullError, SubmissionError
from nersemble_async.submission.writing.archive import Archive

CONTENTS = {"task": "svfr"}


def begin(target: Path, *, resume: bool | None = None) -> Archive:
    return Archive(target, CONTENTS, resume=resume)


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return file.namelist()


def test_a_torn_line_does_not_spoil_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full amid a line, then at its first byte."""
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1"})
    real, room = os.write, [10, 0, 0]

    def write(descriptor: int, data: bytes) -> int:
        if not room:
            return real(descriptor, data)
        allowed = room.pop(0)
        if not allowed:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data[:allowed])

    monkeypatch.setattr(os, "write", write)
    for name in ("b", "b"):
        with pytest.raises(DiskFullError):
            archive.add_bytes({name: b"2"})
    archive.add_bytes({"c": b"3"})
    archive.keep()
    archive = begin(tmp_path / "a.zip", resume=True)
    assert list(archive.entries) == ["a", "c"]
    archive.finish()
    assert names_in(tmp_path / "a.zip") == ["a", "c"]


def test_what_could_not_be_synced_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1"})
    (tmp_path / "b.mp4").write_bytes(b"22")
    with monkeypatch.context() as patch:
        real, calls = os.fdatasync, [0]

        def fdatasync(descriptor: int) -> None:
            calls[0] += 1
            if calls[0] == 2:
                raise OSError(errno.EIO, "broken")
            real(descriptor)

        patch.setattr(os, "fdatasync", fdatasync)
        with pytest.raises(CacheError):
            archive.add_file("b", tmp_path / "b.mp4")
    archive.keep()
    archive = begin(tmp_path / "a.zip", resume=True)
    assert list(archive.entries) == ["a"]
    archive.keep()


def test_files_that_belong_together_still_do_after_two_crashes(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"mesh": b"mesh", "landmarks": b"landmarks"})
    archive.keep()
    begin(tmp_path / "a.zip", resume=True).keep()
    damaged = bytearray(archive.partial.read_bytes())
    damaged[-1] ^= 1
    archive.partial.write_bytes(damaged)
    again = begin(tmp_path / "a.zip", resume=True)
    assert again.entries == {}
    again.keep()


def test_nothing_is_added_after_the_end(tmp_path: Path) -> None:
    """Also not by a thread that was about to: the descriptor's number may be another file's."""
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1"})
    added: list[object] = []

    def add() -> None:
        try:
            archive.add_bytes({"b": b"2"})
            added.append("b")
        except SubmissionError as error:
            added.append(str(error))

    thread = threading.Thread(target=add)

    def check(_path: Path) -> None:
        thread.start()
        thread.join(0.2)  # it waits, or it adds where nothing may be added any more

    archive.finish(check)
    thread.join()
    assert added == [f"{tmp_path / 'a.zip'} is closed, nothing can be added"]
    assert names_in(tmp_path / "a.zip") == ["a"]
    with pytest.raises(SubmissionError, match="is closed"):
        archive.add_file("c", tmp_path / "a.zip")
    archive.keep()  # an end after the end is none
    archive.finish()
    assert names_in(tmp_path / "a.zip") == ["a"]


def test_entries_may_be_looked_at_while_others_are_added(tmp_path: Path) -> None:
    archive = begin(tmp_path / "a.zip")
    archive.add_bytes({"a": b"1", "b": b"2"})
    seen = []
    for name in archive.entries:
        seen.append(name)
        archive.add_bytes({f"{name}{name}": b"3"})
    assert seen == ["a", "b"]
    archive.keep()


def test_a_name_that_is_too_long_leaves_nothing(tmp_path: Path) -> None:
    for length in (230, 240, 247, 250, 256):
        target = tmp_path / ("n" * (length - 4) + ".zip")
        try:
            archive = begin(target)
        except CacheError as error:
            assert "too long" in str(error)  # noqa: PT017 -- some are short enough
        else:
            archive.add_bytes({"a": b"1"})
            archive.finish()
            target.unlink()
        assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for target in (tmp_path / "file" / "a.zip", tmp_path / "file" / "b" / "a.zip"):
        with pytest.raises(CacheError, match=r"(Not a directory|File exists)"):
            begin(target)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_relative_target_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    archive = begin(Path("a.zip"))
    archive.add_bytes({"a": b"1"})
    monkeypatch.chdir(tmp_path / "there")
    archive.finish()
    assert names_in(tmp_path / "here" / "a.zip") == ["a"]
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link_and_what_it_names_is_written(tmp_path: Path, *, exists: bool) -> None:
    (tmp_path / "large_disk").mkdir()
    target = tmp_path / "large_disk" / "real.zip"
    if exists:
        target.write_bytes(b"old")
    link = tmp_path / "a.zip"
    link.symlink_to("large_disk/real.zip")
    archive = begin(link)
    archive.add_bytes({"a": b"1"})
    with pytest.raises(CacheError, match="two cannot make one"):
        begin(target)
    archive.finish()
    assert link.is_symlink()
    assert not target.is_symlink()
    assert names_in(link) == ["a"]
    assert [path.name for path in (tmp_path / "large_disk").iterdir()] == ["real.zip"]


@pytest.mark.parametrize("name", ["a", "a.partial", "Größe übergroß 头.zip", "a b%20+'\".zip", "-"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    archive = begin(tmp_path / name)
    archive.add_bytes({"a": b"1"})
    archive.keep()
    archive = begin(tmp_path / name, resume=True)
    archive.finish()
    assert names_in(tmp_path / name) == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_whoever_may_read_other_files_may_read_the_zip(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        archive = begin(tmp_path / "a.zip")
        archive.add_bytes({"a": b"1"})
        archive.finish()
        (tmp_path / "other").write_bytes(b"")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o640}
