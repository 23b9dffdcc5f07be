"""Whole writes, moves within and across file systems, room, and what errors are called."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.disk import (
    disk_error,
    move_file,
    require_room,
    sync_folder,
    write_all,
)
from nersemble_async.errors import CacheError, DiskFullError, NotCachedError

BODY = os.urandom(3_000_000)
HIDDEN = ".file.pcd.nersemble_async-partial"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than ``tmp_path``."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


# ---- moving -------------------------------------------------------------------------------------


def test_a_move_makes_folders_and_replaces(tmp_path: Path) -> None:
    source, target = tmp_path / "x.part", tmp_path / "nvs" / "388" / "file.pcd"
    for body in (b"first", b"second"):
        source.write_bytes(body)
        inode = source.stat().st_ino
        move_file(source, target)
        assert (target.read_bytes(), target.stat().st_ino) == (body, inode)
        assert not source.exists()


def test_a_move_across_file_systems(tmp_path: Path, elsewhere: Path) -> None:
    source, target = tmp_path / "x.part", elsewhere / "nvs" / "file.pcd"
    target.parent.mkdir()
    target.write_bytes(b"older")
    source.write_bytes(BODY)
    os.utime(source, ns=(1, 1_600_000_000_123_456_789))
    move_file(source, target)
    assert target.read_bytes() == BODY
    assert target.stat().st_mtime_ns == 1_600_000_000_123_456_789, "records go by it"
    assert not source.exists()
    assert [path.name for path in target.parent.iterdir()] == ["file.pcd"]


def test_across_file_systems_the_target_is_never_a_part(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "x.part", elsewhere / "file.pcd"
    source.write_bytes(BODY)
    target.write_bytes(b"older")
    real_copy = shutil.copyfileobj
    seen = []

    def watched_copy(reader: IO[bytes], writer: IO[bytes], length: int) -> None:
        real_copy(reader, writer, length)
        seen.append((target.read_bytes(), source.exists(), (elsewhere / HIDDEN).exists()))

    monkeypatch.setattr(shutil, "copyfileobj", watched_copy)
    move_file(source, target)
    assert seen == [(b"older", True, True)]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no room"), KeyboardInterrupt()])
def test_a_copy_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    source, target = tmp_path / "x.part", elsewhere / "file.pcd"
    source.write_bytes(BODY)
    target.write_bytes(b"older")

    def fail(reader: object, writer: object, length: int) -> None:
        raise error

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(type(error)):
        move_file(source, target)
    assert source.read_bytes() == BODY
    assert target.read_bytes() == b"older"
    assert [path.name for path in elsewhere.iterdir()] == ["file.pcd"]


def test_what_a_killed_copy_left_is_cleared_by_the_next(tmp_path: Path, elsewhere: Path) -> None:
    source, target = tmp_path / "x.part", elsewhere / "file.pcd"
    (elsewhere / HIDDEN).write_bytes(b"longer than the body that comes")
    source.write_bytes(b"body")
    move_file(source, target)
    assert target.read_bytes() == b"body"
    assert [path.name for path in elsewhere.iterdir()] == ["file.pcd"]


def test_other_errors_of_a_rename_go_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move_file(tmp_path / "nothing", tmp_path / "target")
    (tmp_path / "source").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        move_file(tmp_path / "source", tmp_path / "folder")
    assert (tmp_path / "source").read_bytes() == b"x"


# ---- writing ------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=50), st.integers(0, 20), st.data())
def test_write_all_goes_on_where_the_system_stopped(
    data: bytes, offset: int, drawn: st.DataObject
) -> None:
    real_pwrite = os.pwrite

    def short_pwrite(descriptor: int, piece: memoryview, position: int) -> int:
        return real_pwrite(descriptor, piece[: drawn.draw(st.integers(1, 10))], position)

    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", short_pwrite)
        write_all(file.fileno(), offset, data)
        assert file.read() == bytes(offset) + data


def test_a_folder_can_be_synced(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("number", "told"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)]
)
def test_a_file_system_that_cannot_sync_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: bool
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if told:
        with pytest.raises(OSError, match="Input/output error"):
            sync_folder(tmp_path)
    else:
        sync_folder(tmp_path)


def test_room_is_looked_for_beforehand(tmp_path: Path) -> None:
    with (tmp_path / "x.part").open("wb") as file:
        require_room(file.fileno(), "x.part", 0)
        require_room(file.fileno(), "x.part", 1)
        with pytest.raises(DiskFullError, match=r"^x\.part: 1,000,000,000,000,000,000 bytes are"):
            require_room(file.fileno(), "x.part", 10**18)
        assert file.tell() == 0


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EIO, CacheError),
        (errno.EACCES, CacheError),
        (errno.EROFS, CacheError),
        (errno.EMFILE, CacheError),
    ],
)
def test_an_error_of_the_system_is_named_with_its_file(number: int, kind: type[CacheError]) -> None:
    told = disk_error("nvs/a.pcd", OSError(number, "whatever", "/root/of/somebody/nvs/a.pcd"))
    assert type(told) is kind
    assert str(told) == f"nvs/a.pcd: {os.strerror(number)}"


def test_an_error_without_a_number_keeps_its_words() -> None:
    assert str(disk_error("nvs/a.pcd", OSError("odd"))) == "nvs/a.pcd: odd"


def test_our_own_errors_stay_what_they_are() -> None:
    error = NotCachedError("one of ours and a FileNotFoundError")
    assert disk_error("nvs/a.pcd", error) is error
