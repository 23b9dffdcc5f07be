"""Finished files into ``NAME.zip.partial``, one after another; ``NAME.zip`` when it is complete.

Beside the partial zip lie its journal and, in a folder, the videos that are being encoded. Whatever
happens, an older ``NAME.zip`` stays as it is until the new one takes its place in one rename.
"""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nersemble_async.cache.disk import disk_error, sync_folder, write_all
from nersemble_async.cache.forking import reset_on_fork
from nersemble_async.cache.locking import close_locked, open_locked
from nersemble_async.errors import CacheLockedError, SubmissionError
from nersemble_async.submission.writing.archive_journal import (
    Contents,
    Journal,
    lies_whole,
    pieces_of,
    read_journal,
)
from nersemble_async.submission.zips.zip_records import StoredEntry, central_directory, local_header

_PIECE_BYTES = 1 << 20
_SYNC_BYTES = 1 << 28
"""So much may a power loss take of many small entries; of a kill nothing is lost."""


class Archive:
    """A zip on its way, of which only one process at a time can be the writer.

    Args:
        target: the zip that is to be; its folder is made.
        contents: what it is for; an unfinished one that is gone on with has to be for the same.
        resume: True: go on with an unfinished one, or begin where there is none; False: begin, an
            unfinished one is deleted; None: begin, and refuse where there is an unfinished one.
        check: is called with the name of each entry that is gone on with, and what makes a file of
            it that is deleted afterwards; what it raises leaves the unfinished one as it is.

    Raises:
        SubmissionError: there is an unfinished one; its message says what to do.
        CacheLockedError: another process, or another writer in this one, is writing it.
        DiskFullError, CacheError: it cannot be written.
    """

    def __init__(
        self,
        target: Path,
        contents: Contents,
        *,
        resume: bool | None,
        check: Callable[[str, Callable[[], Path]], None] = lambda _, __: None,
    ) -> None:
        # As it is now: the working folder may change, and a link stays a link.
        self.target = target = Path(os.path.realpath(target))
        self.partial = target.with_name(f"{target.name}.partial")
        self.journal = target.with_name(f"{target.name}.partial.journal")
        self.folder = target.with_name(f"{target.name}.partial.videos")
        """For files that are on their way; whatever lies in it is deleted."""
        self._check = check
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._why_closed: str | None = None
        self._unsynced_bytes = 0
        self._groups: list[Sequence[StoredEntry]] = []
        self._entries: dict[str, StoredEntry] = {}
        self._end = 0
        try:
            if target.is_dir():
                raise SubmissionError(f"{target} is a folder; give the name of a zip in it")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._zip = open_locked(self.partial)
        except CacheLockedError:
            raise CacheLockedError(
                f"{self.partial} is being written, by another process or by a writer in this one "
                f"that was not closed (writer.keep() closes it): two cannot make one {target.name}"
            ) from None
        except OSError as error:
            raise disk_error(str(self.partial), error) from None
        try:
            self._begin(contents, resume=resume)
        except OSError as error:
            self._let_go()
            raise disk_error(str(self.partial), error) from None
        except BaseException:
            self._let_go()
            raise
        reset_on_fork(self)

    def _let_go(self) -> None:
        if not os.fstat(self._zip).st_size:
            self.partial.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        close_locked(self._zip, self._process)

    def _begin(self, contents: Contents, *, resume: bool | None) -> None:
        if resume is not False and os.fstat(self._zip).st_size:
            self._take_over(contents, resume=resume)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.ftruncate(self._zip, self._end)
        os.fsync(self._zip)
        self._journal = Journal(self.journal, contents, self._groups)

    def reset_in_child(self) -> None:
        """The parent goes on with it, and its lock ends with the parent: keep no copy of it."""
        if self._why_closed is None:
            self._why_closed = "is written by the process that opened it"
            self._journal.close()
            close_locked(self._zip, self._process)
        self._lock = threading.Lock()

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
            if all(lies_whole(self._zip, entry) for entry in group):
                self._add(group)
        for entry in self._entries.values():
            self._check(entry.name, partial(self._copied, entry))

    def _copied(self, entry: StoredEntry) -> Path:
        """An entry as a file, until the next one is asked for."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "of_an_earlier_run"
        with path.open("wb") as file:
            file.writelines(pieces_of(self._zip, entry))
        return path

    def _add(self, group: Sequence[StoredEntry]) -> None:
        self._groups.append(group)
        self._entries.update({entry.name: entry for entry in group})
        self._end = max(self._end, *(entry.end for entry in group))

    @property
    def entries(self) -> Mapping[str, StoredEntry]:
        """What is in it now, by name; stays as it is while other threads go on."""
        return self._entries.copy()

    # ---- writing ------------------------------------------------------------------------------

    def add_bytes(self, files: Mapping[str, bytes]) -> None:
        """Append files that belong together: after a crash all of them are there, or none.

        Raises:
            SubmissionError: one of them is there already.
            DiskFullError, CacheError: they cannot be written; the archive is as before.
        """
        with self._lock:
            self._refuse_closed()
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

    def add_file(self, name: str, path: Path, *, keep: bool = False) -> None:
        """Append a file's bytes, on to the disk; delete it unless ``keep``. Errors: `add_bytes`."""
        with self._lock:
            self._refuse_closed()
            self._refuse_known(name)
            try:
                with path.open("rb") as file:
                    entry = self._copy(name, file)
                self._record([entry], sync=True)
                if not keep:
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
        self._journal.append(group, sync=sync)
        self._add(group)

    def _refuse_closed(self) -> None:
        if self._why_closed is not None:
            raise SubmissionError(f"{self.target} {self._why_closed}, nothing can be added")

    def _refuse_known(self, name: str) -> None:
        if name in self._entries:
            raise SubmissionError(f"{name} is in {self.partial.name} already")

    # ---- the end ------------------------------------------------------------------------------

    def finish(self, check: Callable[[Path], None] = lambda _: None) -> None:
        """Write the directory, look at the whole zip once more, and give it its name.

        Nothing happens where it is closed already.

        Args:
            check: is called with the finished file under its partial name; what it raises keeps the
                partial zip, to be gone on with.

        Raises:
            DiskFullError, CacheError: it cannot be written; it can be gone on with.
        """
        with self._lock:
            if self._why_closed is not None:
                return
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
        with self._lock:
            if self._why_closed is not None:
                return
            try:
                if self._entries:
                    os.fsync(self._zip)
                    self._journal.sync()
                else:
                    self.partial.unlink(missing_ok=True)
                    self.journal.unlink(missing_ok=True)
            except OSError as error:
                raise disk_error(str(self.partial), error) from None
            finally:
                self._close()

    def _close(self) -> None:
        self._why_closed = "is closed"
        shutil.rmtree(self.folder, ignore_errors=True)
        self._journal.close()
        close_locked(self._zip, self._process)


def _in_words(contents: Contents) -> str:
    return ", ".join(f"{key} {value}" for key, value in contents.items())
