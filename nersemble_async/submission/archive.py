"""Finished files into ``NAME.zip.partial``, one after another; ``NAME.zip`` when it is complete.

Beside the partial zip lie its journal and, in a folder, the videos that are being encoded. Whatever
happens, an older ``NAME.zip`` stays as it is until the new one takes its place in one rename.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from nersemble_async.cache.disk import disk_error, sync_folder, write_all
from nersemble_async.cache.locking import close_locked, open_locked
from nersemble_async.errors import CacheLockedError, SubmissionError
from nersemble_async.submission.archive_journal import (
    Contents,
    entries_line,
    header_line,
    read_journal,
)
from nersemble_async.submission.zip_records import StoredEntry, central_directory, local_header

_PIECE_BYTES = 1 << 20
_SYNC_BYTES = 1 << 26
"""So much may a power loss take of many small entries; of a kill nothing is lost."""


class Archive:
    """A zip on its way, of which only one process at a time can be the writer.

    Args:
        target: the zip that is to be; its folder is made.
        contents: what it is for; an unfinished one that is gone on with has to be for the same.
        resume: True: go on with an unfinished one, or begin where there is none; False: begin, an
            unfinished one is deleted; None: begin, and refuse where there is an unfinished one.

    Raises:
        SubmissionError: there is an unfinished one; its message says what to do.
        CacheLockedError: another process is writing it.
        DiskFullError, CacheError: it cannot be written.
    """

    def __init__(self, target: Path, contents: Contents, *, resume: bool | None) -> None:
        self.target = target
        self.partial = target.with_name(f"{target.name}.partial")
        self.journal = target.with_name(f"{target.name}.partial.journal")
        self.folder = target.with_name(f"{target.name}.partial.videos")
        """For files that are on their way; whatever lies in it is deleted."""
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._unsynced_bytes = 0
        self._entries: dict[str, StoredEntry] = {}
        self._end = 0
        if target.is_dir():
            raise SubmissionError(f"{target} is a folder; give the name of a zip in it")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._zip = open_locked(self.partial)
        except CacheLockedError as error:
            raise CacheLockedError(f"{error}: two writers cannot make one {target.name}") from None
        except OSError as error:
            raise disk_error(str(self.partial), error) from None
        try:
            self._begin(contents, resume=resume)
        except OSError as error:
            close_locked(self._zip, self._process)
            raise disk_error(str(self.partial), error) from None
        except BaseException:
            close_locked(self._zip, self._process)
            raise

    def _begin(self, contents: Contents, *, resume: bool | None) -> None:
        if resume is not False and os.fstat(self._zip).st_size:
            self._take_over(contents, resume=resume)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.ftruncate(self._zip, self._end)
        os.fsync(self._zip)
        self._journal = self._write_journal(contents)

    def _take_over(self, contents: Contents, *, resume: bool | None) -> None:
        """Believe what the journal claims where the bytes agree."""
        earlier = read_journal(self.journal)
        if earlier is None:
            raise SubmissionError(
                f"{self.partial} cannot be gone on with: its journal is not there or damaged; "
                "throw it away (resume=False, on the command line --restart)"
            )
        begun_for, groups = earlier
        if not groups:
            return
        if resume is None:
            raise SubmissionError(
                f"{self.partial} holds {sum(map(len, groups))} entries of an earlier run that did "
                "not end; go on with it (resume=True, on the command line --resume), or throw it "
                "away (resume=False, --restart)"
            )
        if dict(begun_for) != dict(contents):
            raise SubmissionError(
                f"{self.partial} was begun for {_in_words(begun_for)}, and this is for "
                f"{_in_words(contents)}; throw it away (resume=False, on the command line "
                "--restart), or take another name"
            )
        for group in groups:
            if all(map(self._is_whole, group)):
                self._add(group)

    def _add(self, group: Sequence[StoredEntry]) -> None:
        self._entries.update({entry.name: entry for entry in group})
        self._end = max(self._end, *(entry.end for entry in group))

    def _write_journal(self, contents: Contents) -> int:
        """Written anew as a whole, so that a torn line of an earlier run is gone."""
        fresh = self.journal.with_name(f"{self.journal.name}.new")
        with fresh.open("wb") as file:
            file.write(header_line(contents))
            for entry in self._entries.values():
                file.write(entries_line([entry]))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.journal)
        sync_folder(self.journal.parent)
        return os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _is_whole(self, entry: StoredEntry) -> bool:
        """Whether the entry lies in the partial zip as the journal says."""
        header = local_header(entry)
        if os.pread(self._zip, len(header), entry.offset) != header:
            return False
        crc32, position = 0, entry.data_offset
        while position < entry.end:
            piece = os.pread(self._zip, min(_PIECE_BYTES, entry.end - position), position)
            if not piece:
                return False
            crc32 = zlib.crc32(piece, crc32)
            position += len(piece)
        return crc32 == entry.crc32

    @property
    def entries(self) -> Mapping[str, StoredEntry]:
        """What is in it, by name."""
        return self._entries

    # ---- writing ------------------------------------------------------------------------------

    def add_bytes(self, files: Mapping[str, bytes]) -> None:
        """Append files that belong together: after a crash all of them are there, or none.

        Raises:
            SubmissionError: one of them is there already.
            DiskFullError, CacheError: they cannot be written; the archive is as before.
        """
        with self._lock:
            pieces: list[bytes] = []
            group: list[StoredEntry] = []
            start = offset = self._end
            for name, data in files.items():
                self._refuse_known(name)
                entry = StoredEntry(name, offset, len(data), zlib.crc32(data))
                pieces += [local_header(entry), data]
                group.append(entry)
                offset = entry.end
            try:
                write_all(self._zip, start, b"".join(pieces))
                self._unsynced_bytes += offset - start
                self._record(group, sync=self._unsynced_bytes > _SYNC_BYTES)
            except OSError as error:
                raise disk_error(str(self.partial), error) from None

    def add_file(self, name: str, path: Path) -> None:
        """Append a file's bytes, on to the disk, and delete it; errors as `add_bytes`."""
        with self._lock:
            self._refuse_known(name)
            try:
                with path.open("rb") as file:
                    entry = self._copy(name, file)
                self._record([entry], sync=True)
                path.unlink()
            except OSError as error:
                raise disk_error(str(self.partial), error) from None

    def _copy(self, name: str, file: BinaryIO) -> StoredEntry:
        size = os.fstat(file.fileno()).st_size
        start = StoredEntry(name, self._end, size, 0)
        crc32, position = 0, start.data_offset
        while piece := file.read(_PIECE_BYTES):
            crc32 = zlib.crc32(piece, crc32)
            write_all(self._zip, position, piece)
            position += len(piece)
        entry = StoredEntry(name, start.offset, size, crc32)
        if position != entry.end:
            raise SubmissionError(f"{name}: the file changed while it was copied")
        write_all(self._zip, entry.offset, local_header(entry))
        return entry

    def _record(self, group: Sequence[StoredEntry], *, sync: bool) -> None:
        if sync:
            os.fdatasync(self._zip)
            self._unsynced_bytes = 0
        line = entries_line(group)
        if os.write(self._journal, line) < len(line):
            os.write(self._journal, b"\n")  # the torn line ends here, and is passed over
            raise disk_error(str(self.journal), OSError(errno.ENOSPC, "no room"))
        if sync:
            os.fdatasync(self._journal)
        self._add(group)

    def _refuse_known(self, name: str) -> None:
        if name in self._entries:
            raise SubmissionError(f"{name} is in {self.partial.name} already")

    # ---- the end ------------------------------------------------------------------------------

    def finish(self, check: Callable[[Path], None] = lambda _: None) -> None:
        """Write the directory, look at the whole zip once more, and give it its name.

        Args:
            check: is called with the finished file under its partial name; what it raises keeps the
                partial zip, to be gone on with.

        Raises:
            DiskFullError, CacheError: it cannot be written; it can be gone on with.
        """
        try:
            end = self._end
            os.ftruncate(self._zip, end)
            in_order = sorted(self._entries.values(), key=lambda entry: entry.offset)
            write_all(self._zip, end, central_directory(in_order, end))
            os.fsync(self._zip)
            check(self.partial)
            self.partial.replace(self.target)
            sync_folder(self.target.parent)
            self.journal.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(str(self.partial), error) from None
        finally:
            self._close()

    def keep(self) -> None:
        """Close it unfinished; nothing is left where it holds no entry."""
        try:
            if self._entries:
                os.fsync(self._zip)
            else:
                self.partial.unlink(missing_ok=True)
                self.journal.unlink(missing_ok=True)
        finally:
            self._close()

    def _close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._journal)
        close_locked(self._zip, self._process)


def _in_words(contents: Contents) -> str:
    return ", ".join(f"{key} {value}" for key, value in contents.items())
