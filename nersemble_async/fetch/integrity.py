"""What speaks for a file's bytes: published digests, earlier records, content; and its grade."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import anyio

from nersemble_async.cache.records import FileRecord
from nersemble_async.errors import ConfigurationError, DecodeError, IntegrityError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.progress import EvidenceGrade
from nersemble_async.formats.content import check_content

CHECKSUMS_NAME = "SHA256SUMS"
"""Looked for at ``{task}/SHA256SUMS`` on the server; its paths are relative to the task."""

_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")


def parse_checksums(text: str, source: str, prefix: str = "") -> dict[str, str]:
    """A file in sha256sum's form → sha-256 (hex, lower case) by path.

    Args:
        text: the file's content; empty lines and lines that begin with ``#`` are passed over.
        source: what to call it in an error.
        prefix: put before every path, such as ``nvs/``.

    Raises:
        ConfigurationError: a line is not of that form; says which.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigurationError(
                f"{source}, line {number}: not '<64 hex digits>  <path>' as sha256sum writes it"
            )
        digest, name = match.groups()
        digests[prefix + str(PurePosixPath(name))] = digest.lower()
    return digests


class PublishedDigests:
    """sha-256 by path, from ``--checksums`` and from the server's SHA256SUMS while they arrive."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._listed: dict[str, str] = {}
        self._arrived: dict[str, anyio.Event] = {}

    def give(self, digests: Mapping[str, str]) -> None:
        """What the user gave; it outweighs what the server says."""
        self._given = dict(digests)

    def given(self, path: str) -> str | None:
        """The digest known now, without waiting for any list."""
        return self._given.get(path, self._listed.get(path))

    def expect(self, task: str) -> bool:
        """A task's SHA256SUMS is about to be asked for: `sha256_of` waits for `arrived`.

        Returns:
            Whether it has to be: False where it was asked for before.
        """
        if task in self._arrived:
            return False
        self._arrived[task] = anyio.Event()
        return True

    def arrived(self, task: str, digests: Mapping[str, str]) -> None:
        """Take in a task's list, or the news that there is none (an empty one)."""
        self._listed.update(digests)
        self._arrived[task].set()

    def failed(self, task: str) -> None:
        """The list could not be had: nobody waits for it any more, a later run asks again."""
        self._arrived.pop(task).set()

    async def sha256_of(self, file: PlannedFile, repr_digest: str | None) -> str | None:
        """The published digest; a list outweighs a header that came with the bytes."""
        if file.task in self._arrived:
            await self._arrived[file.task].wait()
        return self.given(file.path) or repr_digest


def grade_file(
    file: PlannedFile,
    location: Path,
    sha256: str,
    published_sha256: str | None,
    record: FileRecord | None,
    *,
    server_says_unchanged: bool = True,
) -> EvidenceGrade:
    """Compare a complete file with everything that speaks for or against it. Blocking.

    Args:
        file: the planned file.
        location: where its bytes lie now.
        sha256: of these bytes.
        published_sha256: what was published, or None.
        record: an earlier record of this path, or None.
        server_says_unchanged: False where size or validators differ from the record's: then a
            new digest is no contradiction but a new version of the file.

    Raises:
        IntegrityError: something contradicts the bytes; says what.
    """
    if published_sha256 is not None:
        if published_sha256 != sha256:
            raise IntegrityError(file.path, f"sha-256 is {sha256}, published is {published_sha256}")
        # Published bytes are the right ones, whatever we would think of their content.
        return EvidenceGrade.PUBLISHED
    problem: str | None = None
    try:
        check_content(location, file.kind, file.n_frames, file.path)
    except DecodeError as error:
        problem = f"the content is not what it should be: {error.reason}"
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - hostile bytes must fail one file, not the run
        problem = f"the content cannot be checked ({type(error).__name__})"
    if problem is not None:
        raise IntegrityError(file.path, problem)
    if record is not None:
        if record.sha256 == sha256:
            return EvidenceGrade.RECORDED
        if server_says_unchanged:
            raise IntegrityError(
                file.path, f"sha-256 is {sha256}, an earlier record says {record.sha256}"
            )
    return EvidenceGrade.CONTENT
