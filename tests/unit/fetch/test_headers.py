"""Headers: Content-Range, validators and digests, well-formed or not."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.fetch.headers import (
    ContentRange,
    parse_content_range,
    range_header,
    read_content_range,
    read_identity,
    read_repr_digest,
)

MODIFIED = "Wed, 21 Oct 2015 07:28:00 GMT"
LATER = "Wed, 21 Oct 2015 07:28:01 GMT"
NOTHING = ContentRange(None, None)


# ---- ranges -------------------------------------------------------------------------------------


@given(st.integers(0, 2**50), st.integers(1, 2**40), st.none() | st.integers(0, 2**40))
def test_content_range_round_trip(start: int, length: int, behind: int | None) -> None:
    sent = ByteRange(start, start + length)
    size = None if behind is None else sent.stop + behind
    text = f"bytes {sent.start}-{sent.stop - 1}/{'*' if size is None else size}"
    assert parse_content_range(text) == ContentRange(sent, size)
    assert read_content_range(text, length) == ContentRange(sent, size)
    assert read_content_range(text, None) == ContentRange(sent, size)
    assert read_content_range(text, length + 1) == NOTHING
    assert range_header(sent) == f"bytes={sent.start}-{sent.stop - 1}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes */100", ContentRange(None, 100)),
        ("bytes */0", ContentRange(None, 0)),
        ("bytes */*", NOTHING),
        ("Bytes  0-0/1 ", ContentRange(ByteRange(0, 1), 1)),
    ],
)
def test_other_content_ranges(text: str, expected: ContentRange) -> None:
    assert parse_content_range(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes 7",
        "bytes 0-9",
        "bytes=0-9/10",
        "bytes 0-9/",
        "bytes -9/10",
        "bytes 0-/10",
        "bytes 9-0/10",
        "bytes 0-10/10",
        "bytes 0-9/10, bytes 20-29/30",
        "bytes 0x0-9/10",
        "bytes -1-9/10",
        "bytes 0-9/-10",
        "items 0-9/10",
        "bytes 0-9/10\n",
        "bytes 0-" + "9" * 5000 + "/*",
    ],
)
def test_what_is_no_content_range(text: str) -> None:
    if text.strip() != text:
        assert parse_content_range(text)  # white space around a header's value means nothing
        return
    with pytest.raises(ValueError, match=r"range|Range|digits"):
        parse_content_range(text)
    assert read_content_range(text, None) == NOTHING


def test_a_missing_content_range() -> None:
    assert read_content_range(None, 10) == NOTHING


@given(st.text() | st.from_regex(r"bytes\s*[\d*-]{0,8}/[\d*]{0,5}", fullmatch=True))
def test_garbage_is_refused_or_consistent(text: str) -> None:
    found = read_content_range(text, None)
    if found.sent is not None and found.size_bytes is not None:
        assert found.sent.stop <= found.size_bytes


# ---- validators ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("etag", "kept"),
    [
        ('"a"', True),
        ('""', True),
        ('"a b"', True),
        ('W/"a"', False),
        ('w/"a"', False),
        ("a", False),
        ('"', False),
        ("", False),
        ('"a', False),
    ],
)
def test_only_strong_etags_are_kept(etag: str, kept: bool) -> None:
    headers = {"ETag": etag, "Last-Modified": MODIFIED, "Date": LATER}
    # A weak ETag says that the date is no better.
    assert read_identity(headers, 5) == RemoteIdentity(5, etag if kept else None)


@pytest.mark.parametrize(
    ("modified", "date", "strong"),
    [
        (MODIFIED, LATER, True),
        (MODIFIED, "Wed, 21 Oct 2015 08:28:01 GMT", True),
        (MODIFIED, MODIFIED, False),
        (LATER, MODIFIED, False),
        (MODIFIED, None, False),
        (None, LATER, False),
        ("yesterday", LATER, False),
        (MODIFIED, "today", False),
        ("", LATER, False),
    ],
)
def test_a_date_is_strong_where_it_is_older_than_the_answer(
    modified: str | None, date: str | None, strong: bool
) -> None:
    given = {"Last-Modified": modified, "Date": date}
    headers = {name: text for name, text in given.items() if text is not None}
    kept = modified if strong else None
    assert read_identity(headers, None) == RemoteIdentity(None, None, kept)


DATE_PIECES = st.lists(
    st.sampled_from(
        ["Wed,", "21", "Oct", "2015", "07:28:00", "GMT", "-0000", "+9999", "99", ":", "-"]
    ),
    max_size=7,
).map(" ".join)


@given(st.text(max_size=30) | DATE_PIECES, st.just(LATER) | DATE_PIECES)
def test_no_date_is_a_fault(modified: str, date: str) -> None:
    identity = read_identity({"Last-Modified": modified, "Date": date}, 1)
    assert identity.last_modified in (None, modified)


@pytest.mark.parametrize("place", ["21", "2015", "07"])
def test_a_date_of_no_age_is_no_validator(place: str) -> None:
    beyond = MODIFIED.replace(place, "9" * 30, 1)
    assert read_identity({"Last-Modified": beyond, "Date": LATER}, 1) == RemoteIdentity(1)
    assert read_identity({"Last-Modified": MODIFIED, "Date": beyond}, 1) == RemoteIdentity(1)


# ---- digests ------------------------------------------------------------------------------------


@given(st.binary(max_size=50))
def test_repr_digest(body: bytes) -> None:
    digest = hashlib.sha256(body)
    encoded = base64.b64encode(digest.digest()).decode()
    other = base64.b64encode(hashlib.sha512(body).digest()).decode()
    for text in (
        f"sha-256=:{encoded}:",
        f"SHA-256=:{encoded}:",
        f"sha-512=:{other}:, sha-256=:{encoded}:",
        f"sha-256=:{encoded}:,sha-512=:{other}:",
        f" sha-256 = :{encoded}: ",
    ):
        assert read_repr_digest(text) == digest.hexdigest()
    assert read_repr_digest(f"sha-512=:{other}:") is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "sha-256",
        "sha-256=abc",
        "sha-256=::",
        "sha-256=:AAAA:",
        "sha-256=:====:",
        "sha-256=:A:",
        "xsha-256=:" + "A" * 43 + "=:",
        "md5=:AAAA:",
    ],
)
def test_what_is_no_sha256(text: str | None) -> None:
    assert read_repr_digest(text) is None


@given(st.text())
def test_garbage_is_no_digest(text: str) -> None:
    assert read_repr_digest(text) is None
