"""What an answer means for a file: go on, begin again, or ask for the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.errors import ProtocolError
from nersemble_async.fetch.answers import Accepted, Restart, accept_first, accept_next
from nersemble_async.fetch.headers import ContentRange
from nersemble_async.fetch.http import Answer

PATH = "nvs/a.pcd"
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
SIZE = 100
KNOWN = RemoteIdentity(SIZE, '"a"')
OTHER = RemoteIdentity(SIZE, '"b"')


def whole(identity: RemoteIdentity = KNOWN) -> Answer:
    return Answer(200, identity, None, None, encoded=False, body=cast("Any", None))


def part(start: int, stop: int, identity: RemoteIdentity = KNOWN) -> Answer:
    sent = ContentRange(ByteRange(start, stop), identity.size_bytes)
    return replace(whole(identity), status=206, content_range=sent)


def unsatisfiable(size: int | None) -> Answer:
    stated = ContentRange(None, size)
    return replace(whole(RemoteIdentity(size, '"a"')), status=416, content_range=stated)


def nonsense(answer: Answer) -> Answer:
    """Its Content-Range is missing or cannot be true: no size is known then."""
    identity = replace(answer.identity, size_bytes=None)
    return replace(answer, content_range=ContentRange(None, None), identity=identity)


def encoded(answer: Answer) -> Answer:
    return replace(answer, encoded=True, identity=RemoteIdentity(None))


# ---- the first answer ---------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [ByteRange(0, 50), ByteRange(0, 500), None])
@pytest.mark.parametrize(
    "identity",
    [KNOWN, RemoteIdentity(SIZE), RemoteIdentity(None), RemoteIdentity(0)],
    ids=["etag", "no validator", "no length", "empty"],
)
def test_the_whole_is_always_welcome(wanted: ByteRange | None, identity: RemoteIdentity) -> None:
    accepted = accept_first(PATH, whole(identity), wanted)
    assert accepted == Accepted(identity, identity.size_bytes)


def test_the_whole_compressed_has_no_length() -> None:
    accepted = accept_first(PATH, encoded(whole()), ByteRange(0, 50))
    assert accepted == Accepted(RemoteIdentity(None), None)


@pytest.mark.parametrize(
    ("answer", "stop"),
    [
        (part(0, 50), 50),
        (part(0, 20), 20),  # less than asked is allowed
        (part(0, 100), 50),  # more than asked: the rest is left alone
        (part(0, 50, RemoteIdentity(SIZE, None, DATE)), 50),
        (part(0, 100, RemoteIdentity(SIZE)), 50),  # the whole, so nothing has to be joined
    ],
)
def test_a_first_part(answer: Answer, stop: int) -> None:
    assert accept_first(PATH, answer, ByteRange(0, 50)) == Accepted(answer.identity, stop)


@pytest.mark.parametrize(
    "answer",
    [
        part(1, 50),
        part(50, 100),
        part(0, 50, RemoteIdentity(SIZE)),  # no validator: a second part could not be joined
        part(0, 50, RemoteIdentity(None, '"a"')),
        nonsense(part(0, 50)),
        replace(part(0, 50), content_range=None),
        encoded(part(0, 50)),
        unsatisfiable(SIZE),
        unsatisfiable(None),
    ],
)
def test_a_first_part_that_is_not_trusted(answer: Answer) -> None:
    with pytest.raises(Restart) as caught:
        accept_first(PATH, answer, ByteRange(0, 50))
    assert caught.value.plain, "the whole in one request settles it"


def test_an_empty_file_has_no_first_byte() -> None:
    accepted = accept_first(PATH, unsatisfiable(0), ByteRange(0, 50))
    assert accepted == Accepted(RemoteIdentity(0, '"a"'), 0)


@pytest.mark.parametrize("answer", [part(0, 50), part(0, SIZE), unsatisfiable(0)])
def test_a_part_where_the_whole_was_asked_for(answer: Answer) -> None:
    with pytest.raises(ProtocolError, match=f"^{PATH}: the server answered {answer.status} to"):
        accept_first(PATH, answer, None)


# ---- later answers ------------------------------------------------------------------------------

WANTED = ByteRange(40, 80)


@pytest.mark.parametrize(
    ("answer", "stop"), [(part(40, 80), 80), (part(40, 41), 41), (part(40, 100), 80)]
)
def test_a_next_part(answer: Answer, stop: int) -> None:
    assert accept_next(answer, WANTED, KNOWN) == Accepted(KNOWN, stop)


def test_a_date_joins_too() -> None:
    dated = RemoteIdentity(SIZE, None, DATE)
    assert accept_next(part(40, 80, dated), WANTED, dated) == Accepted(dated, 80)


@pytest.mark.parametrize(
    "answer",
    [
        part(40, 80, OTHER),  # If-Range was ignored: the ETag gives it away
        part(40, 80, RemoteIdentity(SIZE + 1, '"a"')),
        whole(OTHER),
        whole(RemoteIdentity(SIZE + 1, '"a"')),
        whole(RemoteIdentity(SIZE)),
        whole(RemoteIdentity(None, '"a"')),
        encoded(whole()),
    ],
)
def test_another_version(answer: Answer) -> None:
    with pytest.raises(Restart, match="it changed") as caught:
        accept_next(answer, WANTED, KNOWN)
    assert not caught.value.plain, "its ranges were in order"


def test_without_a_validator_nothing_shows_that_it_is_the_same() -> None:
    with pytest.raises(Restart) as caught:
        accept_next(part(40, 80, RemoteIdentity(SIZE)), WANTED, KNOWN)
    assert caught.value.plain


@pytest.mark.parametrize(
    "answer",
    [
        part(41, 80),
        part(39, 80),
        part(0, 100),
        whole(),  # the same file, but as a whole: no ranges after all
        unsatisfiable(SIZE),
        unsatisfiable(20),
        unsatisfiable(None),
        encoded(part(40, 80)),
    ],
)
def test_a_next_part_that_is_not_trusted(answer: Answer) -> None:
    with pytest.raises(Restart) as caught:
        accept_next(answer, WANTED, KNOWN)
    assert caught.value.plain


@pytest.mark.parametrize(
    "answer", [nonsense(part(40, 80)), replace(part(40, 80), content_range=None)]
)
def test_a_next_part_without_a_range_is_never_written(answer: Answer) -> None:
    with pytest.raises(Restart):
        accept_next(answer, WANTED, KNOWN)


@pytest.mark.parametrize("answer", [part(40, 80), whole()])
def test_without_a_validator_nothing_is_joined(answer: Answer) -> None:
    nothing = RemoteIdentity(SIZE)
    with pytest.raises(Restart):
        accept_next(replace(answer, identity=nothing), WANTED, nothing)
