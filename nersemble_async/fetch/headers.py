"""What headers say of a file: identity, digest, range (pure)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\s*", re.IGNORECASE)
_DIGEST = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]+):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """A parsed Content-Range header."""

    sent: ByteRange | None
    """The bytes in the body; None for ``bytes */N`` (with status 416)."""
    size_bytes: int | None
    """Of the whole representation; None where the server does not say (``/*``)."""


def parse_content_range(text: str) -> ContentRange:
    """``bytes 0-9/100`` → bytes 0 to 10 of 100 (RFC 9110 §14.4).

    Raises:
        ValueError: not a Content-Range, or one that contradicts itself.
    """
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise ValueError("not a Content-Range in bytes")
    first, last, total = match.groups()
    size = None if total == "*" else int(total)
    if first is None:
        return ContentRange(None, size)
    sent = ByteRange(int(first), int(last) + 1)
    if size is not None and sent.stop > size:
        raise ValueError("a range beyond the size it states")
    return ContentRange(sent, size)


def range_header(wanted: ByteRange) -> str:
    """The Range header that asks for it."""
    return f"bytes={wanted.start}-{wanted.stop - 1}"


def read_content_range(text: str | None, length: int | None) -> ContentRange:
    """What the header says; nothing where it is missing, or contradicts itself or the length."""
    try:
        stated = parse_content_range(text or "")
    except ValueError:
        return ContentRange(None, None)
    if stated.sent is not None and length not in (None, len(stated.sent)):
        return ContentRange(None, None)
    return stated


def read_identity(headers: Mapping[str, str], size: int | None) -> RemoteIdentity:
    """Size and strong validators: the ETag; a date only where there is no ETag at all."""
    etag = headers.get("ETag")
    if etag is not None:
        strong = etag.startswith('"') and etag.endswith('"') and len(etag) > 1
        return RemoteIdentity(size, etag=etag if strong else None)
    return RemoteIdentity(size, last_modified=_strong_date(headers))


def _strong_date(headers: Mapping[str, str]) -> str | None:
    """Last-Modified where the answer's Date is at least a second later (RFC 9110 §8.8.2.2)."""
    modified, date = headers.get("Last-Modified"), headers.get("Date")
    if modified is None or date is None:
        return None
    try:
        apart = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError, OverflowError):
        return None
    return modified if apart.total_seconds() >= 1 else None


def read_repr_digest(text: str | None) -> str | None:
    """sha-256 of the whole representation from a Repr-Digest header (RFC 9530), as hex."""
    match = _DIGEST.search(text) if text else None
    if match is None:
        return None
    try:
        digest = base64.b64decode(match.group(1), validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None  # noqa: PLR2004 - sha-256
