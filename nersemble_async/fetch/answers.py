"""What an answer means for a file of which something may already be here; no I/O.

The rules are RFC 9110's: parts are joined only under one strong validator (§15.3.7.3), a failed
If-Range answers 200 with the whole new file (§13.1.5), and nothing that a server says about its
ranges is believed before it has been compared with what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.errors import ProtocolError
from nersemble_async.fetch.http import Answer

_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416


class Restart(Exception):  # noqa: N818 - a decision, not an error; it never leaves `fetch`
    """What is here of the file is void; begin again.

    Attributes:
        reason: one line.
        plain: from now on without ranges: the whole file in one request.
    """

    def __init__(self, reason: str, *, plain: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.plain = plain


@dataclass(frozen=True, slots=True)
class Accepted:
    """The body may be written from where it was asked for."""

    identity: RemoteIdentity
    stop: int | None
    """Where the body ends in the file; None where the server does not say."""


def accept_first(path: str, answer: Answer, wanted: ByteRange | None) -> Accepted:
    """The first answer for a file of which nothing is here; ``wanted`` starts at 0.

    Raises:
        Restart: with ``plain``, the server cannot be trusted with ranges of this file.
        ProtocolError: no way to go on.
    """
    if answer.status == _OK:
        return Accepted(answer.identity, answer.identity.size_bytes)
    if wanted is None:
        raise ProtocolError(path, f"the server answered {answer.status} to a request for the whole")
    sent = None if answer.content_range is None else answer.content_range.sent
    size = answer.identity.size_bytes
    if answer.status == _UNSATISFIABLE:
        if size == 0:
            return Accepted(answer.identity, 0)
        _go_plain("the server refuses a range that exists")
    if answer.encoded:
        _go_plain("the server compresses ranges")
    if sent is None or size is None or sent.start != wanted.start:
        _go_plain("the server's Content-Range is not what was asked for")
    if sent.stop < size and not answer.identity.resumable:
        _go_plain("the server sends no strong validator, so ranges cannot be joined")
    return Accepted(answer.identity, min(sent.stop, wanted.stop))


def accept_next(answer: Answer, wanted: ByteRange, known: RemoteIdentity) -> Accepted:
    """An answer for bytes of a file of which others are here or on their way.

    Raises:
        Restart: the file is no longer the same, or the server cannot be trusted with ranges.
    """
    if answer.status == _OK:
        if known.same_representation(answer.identity):
            _go_plain("the server answers a range with the whole file")
        raise Restart("it changed on the server", plain=False)
    if answer.status == _UNSATISFIABLE:
        # Shorter now, or the total was a lie: the whole in one request settles both.
        _go_plain("the server refuses a range that should exist")
    sent = None if answer.content_range is None else answer.content_range.sent
    if answer.encoded:
        _go_plain("the server compresses ranges")
    if sent is None or sent.start != wanted.start or not answer.identity.resumable:
        _go_plain("the server answers with other bytes than it was asked for, or cannot say which")
    if not known.same_representation(answer.identity):
        raise Restart("it changed on the server", plain=False)
    return Accepted(known, min(sent.stop, wanted.stop))


def _go_plain(reason: str) -> NoReturn:
    raise Restart(reason, plain=True)
