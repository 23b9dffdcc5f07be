"""Every exception of the package, in one tree.

::

    NersembleError
    ├── ConfigurationError
    │   └── MissingBenchmarkUrlError      says where to put the URL
    ├── SelectionError (ValueError)       unknown participant, sequence, serial, timestep, asset
    ├── MetadataError (ValueError)        metadata.json or camera_params.json: names file and field
    ├── FetchError                        carries the relative path, never the URL
    │   ├── TransientFetchError           the only class that is retried
    │   │   └── ServerUnreachableError    no connection at all: the whole run may give up on it
    │   ├── AccessDeniedError             401, 403
    │   ├── RemoteFileMissingError        404, 410
    │   ├── RemoteFileChangedError        the file changed on the server while it was fetched
    │   ├── ProtocolError                 the server broke HTTP in a way that no retry mends
    │   └── IntegrityError                bytes differ from the evidence for them
    ├── CacheError
    │   ├── NotCachedError (FileNotFoundError)
    │   ├── CacheLockedError              another process holds this file
    │   └── DiskFullError
    ├── DecodeError                       path, and the frame where there is one
    └── SubmissionError
        ├── InvalidPredictionError (ValueError)   a frame, video or mesh that cannot be submitted
        └── IncompleteSubmissionError             lists the entries that are missing

The base URL is a credential: no message here ever holds a URL, only paths relative to the
root. Findings of a verification or validation are data, not exceptions. A reader's SubmissionError
about one entry of a zip is an EntryError of `nersemble_async.submission.zips.entry_content`.
"""

from __future__ import annotations

from typing import Self


class NersembleError(Exception):
    """Base class of everything this package raises on purpose."""


class ConfigurationError(NersembleError):
    """A setting is missing or unusable; the message says which and how to mend it."""


class MissingBenchmarkUrlError(ConfigurationError):
    """No base URL is configured."""

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()  # its message is its own: copies and other processes make it anew

    def __init__(self) -> None:
        super().__init__(
            "The benchmark's base URL is not configured. Put the line\n"
            '    NERSEMBLE_BENCHMARK_URL = "<the URL from your access mail>"\n'
            "into ~/.config/nersemble_benchmark/.env, or set the environment variable "
            "NERSEMBLE_BENCHMARK_URL. Access is requested with the form at "
            "https://forms.gle/rYRoGNh2ed51TDWX9"
        )


class SelectionError(NersembleError, ValueError):
    """Something was asked for that does not exist; the message lists what does."""


class MetadataError(NersembleError, ValueError):
    """A metadata.json or camera_params.json breaks its schema; names the file and the field."""


class FetchError(NersembleError):
    """A file could not be fetched.

    Attributes:
        path: the file's path relative to the root, such as ``nvs/388/…`` (never a URL).
        reason: one line that says what happened.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class TransientFetchError(FetchError):
    """A fault that may pass: timeout, reset, truncation, stall, 429, 5xx.

    Attributes:
        retry_after_seconds: what the server asked for in ``Retry-After``, if it did.
    """

    def __init__(self, path: str, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(path, reason)
        self.retry_after_seconds = retry_after_seconds


class ServerUnreachableError(TransientFetchError):
    """No connection to the server came about (name resolution, refused, TLS, connect timeout)."""


class AccessDeniedError(FetchError):
    """The server answered 401 or 403: the URL is wrong or access was withdrawn."""


class RemoteFileMissingError(FetchError):
    """The server answered 404 or 410."""


class RemoteFileChangedError(FetchError):
    """The file on the server is no longer the one whose bytes are already here."""


class ProtocolError(FetchError):
    """The server's answer contradicts HTTP or itself in a way that retrying does not mend."""


class IntegrityError(FetchError):
    """The bytes differ from published, recorded or structural evidence."""


class CacheError(NersembleError):
    """The on-disk cache cannot do what was asked."""


class NotCachedError(CacheError, FileNotFoundError):
    """A file that was asked for is not on disk; the message holds the fetch command for it."""


class CacheLockedError(CacheError):
    """Another live process, or another writer in this one, is writing this file."""


class DiskFullError(CacheError):
    """The file system has no room (ENOSPC or a quota), or would not have."""


class DecodeError(NersembleError):
    """A file's bytes do not parse as what they should be.

    Attributes:
        path: the file.
        reason: one line.
        frame: the frame index or timestep, where there is one.
    """

    def __init__(self, path: str, reason: str, frame: int | None = None) -> None:
        super().__init__(path, reason, frame)
        self.path = path
        self.reason = reason
        self.frame = frame

    def __str__(self) -> str:
        where = self.path if self.frame is None else f"{self.path}, frame {self.frame}"
        return f"{where}: {self.reason}"


class SubmissionError(NersembleError):
    """A submission cannot be written or read."""


class InvalidPredictionError(SubmissionError, ValueError):
    """A frame, a video or a mesh cannot be submitted as it is; says why and what would do."""


_MOST_LISTED = 10


class IncompleteSubmissionError(SubmissionError):
    """A submission lacks entries; what was written so far stays, to be gone on with.

    Attributes:
        path: the zip that would have been written.
        missing: the paths inside the zip that are missing, in the benchmark's order.
    """

    def __init__(self, path: str, missing: tuple[str, ...], kept_as: str | None = None) -> None:
        super().__init__(path, missing, kept_as)
        self.path = path
        self.missing = missing
        self.kept_as = kept_as

    def __str__(self) -> str:
        listed = ", ".join(self.missing[:_MOST_LISTED])
        more = len(self.missing) - _MOST_LISTED
        kept = "" if self.kept_as is None else f"; {self.kept_as} can be gone on with (resume=True)"
        return (
            f"{self.path} was not written: {len(self.missing)} entries are missing: {listed}"
            f"{f' and {more} more' if more > 0 else ''}{kept}"
        )
