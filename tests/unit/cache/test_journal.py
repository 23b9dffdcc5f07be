"""The journal: what is read back of it, whole, torn, rotten or hostile."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.journal import (
    JournalExtent,
    RemoteIdentity,
    extent_line,
    header_line,
    read_journal,
    write_journal,
)

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
SIZE = 50 * BLOCK_BYTES
IDENTITY = RemoteIdentity(SIZE, '"abc"')
HEADER = header_line(IDENTITY)

CHECKSUMS = st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}")
IDENTITIES = st.builds(
    RemoteIdentity,
    st.none() | st.integers(SIZE, 2**40),
    st.none() | st.text(max_size=20).map(lambda text: f'"{text}"'),
    st.none() | st.just(DATE),
)
EXTENTS = st.builds(
    lambda start, length, checksum: JournalExtent(start, start + length, checksum),
    st.integers(0, SIZE - BLOCK_BYTES),
    st.integers(1, BLOCK_BYTES),
    CHECKSUMS,
)
JOURNALS = st.lists(EXTENTS, max_size=6)


def read(data: bytes) -> tuple[RemoteIdentity, list[JournalExtent]] | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.journal")
        path.write_bytes(data)
        return read_journal(path)


def written(identity: RemoteIdentity, extents: list[JournalExtent]) -> bytes:
    return header_line(identity) + b"".join(map(extent_line, extents))


@given(IDENTITIES, JOURNALS)
def test_what_was_written_is_read(identity: RemoteIdentity, extents: list[JournalExtent]) -> None:
    assert read(written(identity, extents)) == (identity, extents)


@settings(max_examples=20)  # each waits for the disk
@given(IDENTITIES, JOURNALS)
def test_written_at_once_is_the_same(
    identity: RemoteIdentity, extents: list[JournalExtent]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.journal")
        path.write_bytes(b"an older one")
        write_journal(path, identity, extents)
        assert path.read_bytes() == written(identity, extents)
        assert [p.name for p in Path(folder).iterdir()] == ["x.journal"]


def test_there_is_none(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "x.journal") is None


@given(JOURNALS, st.data())
def test_cut_anywhere_its_whole_lines_count(
    extents: list[JournalExtent], data: st.DataObject
) -> None:
    whole = written(IDENTITY, extents)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    found = read(cut)
    if cut.count(b"\n") == 0:
        # The header parses without its newline too; nothing stands behind it.
        assert found in (None, (IDENTITY, []))
    else:
        assert found == (IDENTITY, extents[: cut.count(b"\n") - 1])


@given(JOURNALS, JOURNALS, st.data())
def test_a_torn_line_costs_itself_alone(
    before: list[JournalExtent], after: list[JournalExtent], data: st.DataObject
) -> None:
    """A crash tore a line; the next process ended it with a newline and went on."""
    line = extent_line(data.draw(EXTENTS))
    torn = line[: data.draw(st.integers(0, len(line) - 2))]
    pieces = [written(IDENTITY, before), torn, b"\n", *map(extent_line, after)]
    assert read(b"".join(pieces)) == (IDENTITY, before + after)


@given(JOURNALS, st.data())
def test_a_page_that_was_never_written_costs_its_lines(
    extents: list[JournalExtent], data: st.DataObject
) -> None:
    """A power loss may leave zeros where a page of the journal should be."""
    whole = bytearray(written(IDENTITY, extents))
    start = data.draw(st.integers(len(HEADER), len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    whole[start:stop] = bytes(stop - start)
    found = read(bytes(whole))
    assert found is not None
    assert found[0] == IDENTITY
    assert all(extent in extents for extent in found[1])


@given(st.binary(max_size=200))
@example(b"")
@example(b"\n\n")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
def test_arbitrary_bytes_are_no_journal(data: bytes) -> None:
    assert read(data) is None


def hostile_header(**fields: str) -> bytes:
    named = {"version": "1", "size": "10", "etag": "null", "last_modified": "null", **fields}
    return ("{" + ",".join(f'"{k}":{v}' for k, v in named.items()) + "}\n").encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "2"},
        {"version": "null"},
        {"size": "-1"},
        {"size": "1.5"},
        {"size": "Infinity"},
        {"size": "NaN"},
        {"size": "1e400"},
        {"size": "true"},
        {"size": '"10"'},
        {"size": "9" * 5000},
        {"size": str(2**63)},
        {"size": "[]"},
        {"etag": "5"},
        {"etag": "{}"},
        {"last_modified": "5"},
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_is_no_journal(fields: dict[str, str]) -> None:
    assert read(hostile_header()) == (RemoteIdentity(10), [])
    assert read(hostile_header(**fields)) is None


@pytest.mark.parametrize("header", [b"[]", b"null", b"5", b'"x"', b"{}", b'{"version":1}'])
def test_other_json_is_no_journal(header: bytes) -> None:
    assert read(header + b"\n") is None


@pytest.mark.parametrize("size_bytes", [SIZE, None])
@pytest.mark.parametrize(
    "line",
    [
        b'[Infinity,1,"%s"]',
        b'[0,1e400,"%s"]',
        b'[0,NaN,"%s"]',
        b'[0,-1,"%s"]',
        b'[-1,2,"%s"]',
        b'[0,0,"%s"]',
        b'[0.0,1,"%s"]',
        b'[true,1,"%s"]',
        b'["0",1,"%s"]',
        b'{"0":1,"1":2,"2":3,"%s":4}',
        b"[0,1,5]",
        b"[0,1]",
        b'[0,1,"%s",1]',
        b"7",
        b"null",
        b'"abc"',
        b"[" * 100_000,
        b"[0," + b"9" * 5000 + b',"%s"]',
        b'[0,1048577,"%s"]',  # more than a block was never written at once
        b'[0,1000000000000,"%s"]',  # reading so much at once would take all memory
        b"[" + str(2**63).encode() + b',1,"%s"]',  # no offset that a file could have
        b"\xff\xfe",
    ],
)
def test_lines_that_cannot_be_are_passed_over(line: bytes, size_bytes: int | None) -> None:
    identity = RemoteIdentity(size_bytes, '"abc"')
    good = [JournalExtent(0, 5, "0" * 16), JournalExtent(5, 9, "f" * 16)]
    bad = line.replace(b"%s", b"0" * 16)
    data = header_line(identity) + extent_line(good[0]) + bad + b"\n" + extent_line(good[1])
    assert read(data) == (identity, good)


def test_nothing_lies_beyond_the_end() -> None:
    identity = RemoteIdentity(100)
    inside = [JournalExtent(0, 10, "0" * 16), JournalExtent(90, 100, "0" * 16)]
    outside = [JournalExtent(90, 101, "0" * 16), JournalExtent(100, 101, "0" * 16)]
    assert read(written(identity, [inside[0], *outside, inside[1]])) == (identity, inside)


# ---- identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (RemoteIdentity(5, '"a"'), RemoteIdentity(5, '"a"'), True),
        (RemoteIdentity(5, '"a"'), RemoteIdentity(5, '"b"'), False),
        (RemoteIdentity(5, '"a"'), RemoteIdentity(6, '"a"'), False),
        (RemoteIdentity(5, '"a"', DATE), RemoteIdentity(5, '"a"', None), True),
        (RemoteIdentity(5, '"a"', DATE), RemoteIdentity(5, '"b"', DATE), False),
        (RemoteIdentity(5, '"a"', DATE), RemoteIdentity(5, None, DATE), False),
        (RemoteIdentity(5, None, DATE), RemoteIdentity(5, '"a"', DATE), False),
        (RemoteIdentity(5, None, DATE), RemoteIdentity(5, None, DATE), True),
        (RemoteIdentity(5, None, DATE), RemoteIdentity(5, None, "x"), False),
        (RemoteIdentity(5), RemoteIdentity(5), False),
        (RemoteIdentity(None, '"a"'), RemoteIdentity(None, '"a"'), False),
        (RemoteIdentity(None), RemoteIdentity(None), False),
    ],
)
def test_parts_are_joined_under_one_strong_validator(
    one: RemoteIdentity, other: RemoteIdentity, same: bool
) -> None:
    assert one.same_representation(other) is same
    assert other.same_representation(one) is same


def test_the_etag_outweighs_the_date() -> None:
    assert RemoteIdentity(1, '"a"', DATE).validator == '"a"'
    assert RemoteIdentity(1, None, DATE).validator == DATE
    assert RemoteIdentity(1).validator is None
