"""A submission zip, read safely: whatever its bytes are, an error at worst.

`zip_directory` says what it holds, `entry_content` reads it: not the standard library's readers,
which share one file handle under a lock. Nothing is ever written to a path that a zip names.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from nersemble_async.cache.disk import disk_error, require_room
from nersemble_async.errors import DiskFullError
from nersemble_async.submission.zips.entry_content import (
    MOST_BYTES,
    EntryError,
    check_size,
    content_pieces,
    unreadable,
)
from nersemble_async.submission.zips.zip_directory import ZipEntry, read_directory

__all__ = ["EntryError", "SubmissionZip", "ZipEntry"]


class SubmissionZip:
    """An open zip; a context manager. Several threads may read at once.

    One that is forgotten is closed when it is collected.

    Args:
        path: the zip.
        temporary_folder: where entries are extracted to; None: where `tempfile` puts them.

    Raises:
        SubmissionError: not a zip, cut off, or with more than 100,000 entries.
        OSError: the file is not there or cannot be read.
    """

    def __init__(self, path: Path, *, temporary_folder: Path | None = None) -> None:
        self.path = path
        self._temporary_folder = temporary_folder
        # A pipe would block until somebody writes to it.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        try:
            self._directory = read_directory(path, self._descriptor)
        except BaseException:
            self.close()
            raise

    @property
    def entries(self) -> tuple[ZipEntry, ...]:
        """In the directory's order; duplicates and folders included."""
        return self._directory.entries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; again is no error, and what is being read is read to its end."""
        with self._lock:
            self._finalizer()

    def read(self, entry: ZipEntry, *, most_bytes: int | None = None) -> bytes:
        """The whole content; its CRC is right.

        Args:
            entry: of this zip's `entries`.
            most_bytes: refuse more than this; None: the limit for entries of its suffix.

        Raises:
            EntryError: encrypted, of an unusual compression, damaged or too large.
            OSError: the file cannot be read.
            ValueError: the zip is closed.
        """
        return b"".join(self._pieces(entry, most_bytes))

    def check(self, entry: ZipEntry) -> None:
        """Read all and compare the CRC, in pieces of 1 MiB; errors as in `read`."""
        for _ in self._pieces(entry):
            pass

    @contextmanager
    def extracted(self, entry: ZipEntry) -> Iterator[Path]:
        """The content as a file of its own, in a private folder that is deleted afterwards.

        The name is ours, with the entry's suffix where that is one of the benchmark's. The folder
        lies in ``temporary_folder``, else where `tempfile` puts it: the environment variable TMPDIR
        says where.

        Raises:
            EntryError, ValueError: as in `read`.
            DiskFullError: there is no room for it.
            OSError: the zip cannot be read, or the folder not be written to.
        """
        self._check_claims(entry)  # before there is looked for as much room
        suffix = PurePosixPath(entry.name).suffix
        name = f"entry{suffix if suffix in MOST_BYTES else ''}"
        place = self._temporary_folder
        hint = "" if place else "; set the environment variable TMPDIR to a folder with more room"
        with tempfile.TemporaryDirectory(prefix="nersemble_async-", dir=place) as folder:
            path = Path(folder, name)
            with path.open("xb", buffering=0) as file:
                _write(file, path, self._pieces(entry), entry.size_bytes, hint)
            yield path

    # ---- within -------------------------------------------------------------------------------

    def _check_claims(self, entry: ZipEntry, most_bytes: int | None = None) -> None:
        check_size(entry, most_bytes)
        reason = self._directory.misplaced.get(entry.position)
        if reason is not None:
            raise unreadable(entry, reason)

    def _pieces(self, entry: ZipEntry, most_bytes: int | None = None) -> Iterator[bytes]:
        self._check_claims(entry, most_bytes)
        with self._own_descriptor() as descriptor:
            yield from content_pieces(descriptor, entry, self._directory.infos[entry.position])

    @contextmanager
    def _own_descriptor(self) -> Iterator[int]:
        """One for each reading, so that closing takes the file from nobody."""
        with self._lock:
            if not self._finalizer.alive:
                raise ValueError(f"{self.path} was closed")
            descriptor = os.dup(self._descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _write(
    file: io.FileIO, path: Path, pieces: Iterable[bytes], size_bytes: int, hint: str
) -> None:
    try:
        require_room(file.fileno(), str(path), size_bytes)
    except DiskFullError as error:
        raise DiskFullError(f"{error}{hint}") from None
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[file.write(rest) or 0 :]
            except OSError as error:
                translated = disk_error(str(path), error)
                if isinstance(translated, DiskFullError):
                    raise DiskFullError(f"{translated}{hint}") from None
                raise
