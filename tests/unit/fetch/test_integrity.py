"""Evidence: checksums files, published digests that arrive, and the grade of a file."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.records import FileRecord
from nersemble_async.errors import ConfigurationError, IntegrityError
from nersemble_async.fetch.integrity import PublishedDigests, grade_file, parse_checksums
from nersemble_async.fetch.progress import EvidenceGrade
from tests.support import corpora
from tests.support.records import record

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAMES = st.from_regex(r"[A-Za-z0-9_+ äé.-]{1,8}(/[A-Za-z0-9_+-]{1,8}){0,3}", fullmatch=True).filter(
    lambda name: "." not in name.split("/") and not name.startswith("-")
)


# ---- checksums files ----------------------------------------------------------------------------


@given(st.dictionaries(NAMES, DIGESTS, max_size=5), st.sampled_from(["", "nvs/"]))
def test_what_is_written_is_read(digests: dict[str, str], prefix: str) -> None:
    """The form of the command ``checksums``, and of sha256sum for binary files."""
    for mark in (" ", "*"):
        text = "".join(f"{digest} {mark}{name}\n" for name, digest in digests.items())
        expected = {prefix + name: digest for name, digest in digests.items()}
        assert parse_checksums(text, "SHA256SUMS", prefix) == expected
        assert parse_checksums(text.upper(), "x") == {
            name.upper(): digest for name, digest in digests.items()
        }


def test_what_sha256sum_itself_writes(tmp_path: Path) -> None:
    bodies = {"nvs/a.pcd": b"a", "svfr/EXP-3-cheeks+nose_78/image.png": b"", "nvs/b ä.json": b"c"}
    for name, body in bodies.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    expected = corpora.digests(bodies)
    for command in (
        ["sha256sum", *bodies],
        ["sha256sum", "-b", *bodies],
        ["sha256sum", *(f"./{name}" for name in bodies)],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert parse_checksums(done.stdout, "x") == expected


def test_comments_empty_lines_and_other_line_ends() -> None:
    digest = "0" * 64
    text = f"# made by us\r\n\r\n   \n{digest}  nvs/a.pcd\r\n#\n{digest} *nvs/b.pcd"
    assert parse_checksums(text, "x") == {"nvs/a.pcd": digest, "nvs/b.pcd": digest}
    assert parse_checksums("", "x") == {}


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "0" * 63 + "  nvs/a.pcd",
        "0" * 65 + "  nvs/a.pcd",
        "g" * 64 + "  nvs/a.pcd",
        "0" * 64,
        "0" * 64 + "  ",
        "0" * 64 + " nvs/a.pcd",
        "0" * 64 + "\tnvs/a.pcd",
        "nvs/a.pcd  " + "0" * 64,
        "SHA256 (nvs/a.pcd) = " + "0" * 64,
        "<html>This is no list</html>",
    ],
)
def test_a_wrong_line_is_named_and_not_repeated(line: str) -> None:
    text = "0" * 64 + "  good\n\n" + line + "\n"
    with pytest.raises(ConfigurationError, match=r"^sums\.txt, line 3: not '<64 hex") as caught:
        parse_checksums(text, "sums.txt")
    assert line not in str(caught.value)


@given(st.text())
def test_garbage_ends_in_one_kind_of_error(text: str) -> None:
    try:
        digests = parse_checksums(text, "x")
    except ConfigurationError:
        return
    assert all(len(digest) == 64 for digest in digests.values())


# ---- digests that arrive ------------------------------------------------------------------------

FILE = corpora.planned_pointcloud(0)


@pytest.mark.asyncio
async def test_nobody_waits_for_a_list_that_was_not_asked_for() -> None:
    published = PublishedDigests()
    assert published.given(FILE.path) is None
    assert await published.sha256_of(FILE, None) is None
    assert await published.sha256_of(FILE, "header") == "header"


@pytest.mark.asyncio
async def test_what_the_user_gave_outweighs_the_list_and_the_list_the_header() -> None:
    published = PublishedDigests()
    assert published.expect("nvs")
    published.arrived("nvs", {FILE.path: "listed", "nvs/other": "listed"})
    assert await published.sha256_of(FILE, "header") == "listed"
    published.give({FILE.path: "given"})
    assert await published.sha256_of(FILE, "header") == "given"
    assert published.given("nvs/other") == "listed"
    published.give({})
    assert published.given(FILE.path) == "listed", "given for one run only"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("news", "digest", "asks_again"),
    [
        (lambda published: published.arrived("nvs", {FILE.path: "listed"}), "listed", False),
        (lambda published: published.arrived("nvs", {}), "header", False),
        (lambda published: published.failed("nvs"), "header", True),
    ],
    ids=["listed", "no list", "failed"],
)
async def test_files_wait_for_the_list(
    news: Callable[[PublishedDigests], None], digest: str, asks_again: bool
) -> None:
    published = PublishedDigests()
    assert published.expect("nvs")
    assert not published.expect("nvs"), "it is asked for once"
    found: list[str | None] = []

    async def wait() -> None:
        found.append(await published.sha256_of(FILE, "header"))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert found == []
            news(published)
    assert found == [digest]
    assert published.expect("nvs") is asks_again


# ---- grades -------------------------------------------------------------------------------------

BODY = corpora.pointcloud_bytes(2000, seed=1)
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = "f" * 64


@pytest.fixture
def location(tmp_path: Path) -> Path:
    """A pointcloud under the name of a part file."""
    path = tmp_path / "x.part"
    path.write_bytes(BODY)
    return path


def recorded(sha256: str) -> FileRecord:
    return replace(record(FILE.path), sha256=sha256)


@pytest.mark.parametrize(
    ("published", "known", "unchanged", "grade"),
    [
        (None, None, True, EvidenceGrade.CONTENT),
        (None, SHA256, True, EvidenceGrade.RECORDED),
        (None, SHA256, False, EvidenceGrade.RECORDED),
        (None, OTHER, False, EvidenceGrade.CONTENT),
        (SHA256, None, True, EvidenceGrade.PUBLISHED),
        (SHA256, SHA256, True, EvidenceGrade.PUBLISHED),
        (SHA256, OTHER, True, EvidenceGrade.PUBLISHED),
    ],
)
def test_the_best_evidence_counts(
    location: Path,
    published: str | None,
    known: str | None,
    unchanged: bool,
    grade: EvidenceGrade,
) -> None:
    earlier = None if known is None else recorded(known)
    found = grade_file(FILE, location, SHA256, published, earlier, server_says_unchanged=unchanged)
    assert found is grade


@pytest.mark.parametrize(
    ("published", "known", "reason"),
    [
        (OTHER, None, f"sha-256 is {SHA256}, published is {OTHER}"),
        (OTHER, SHA256, f"sha-256 is {SHA256}, published is {OTHER}"),
        (None, OTHER, f"sha-256 is {SHA256}, an earlier record says {OTHER}"),
    ],
)
def test_contradictions(
    location: Path, published: str | None, known: str | None, reason: str
) -> None:
    earlier = None if known is None else recorded(known)
    with pytest.raises(IntegrityError) as caught:
        grade_file(FILE, location, SHA256, published, earlier)
    assert (caught.value.path, caught.value.reason) == (FILE.path, reason)


@pytest.mark.parametrize("known", [None, SHA256])
def test_content_that_is_none_is_a_contradiction(location: Path, known: str | None) -> None:
    """Even where the same was recorded before: a record may be of the same damaged bytes."""
    location.write_bytes(BODY[:-1])
    earlier = None if known is None else recorded(known)
    with pytest.raises(IntegrityError, match="the content is not what it should be: "):
        grade_file(FILE, location, SHA256, None, earlier)


def test_published_bytes_are_right_whatever_they_look_like(location: Path) -> None:
    location.write_bytes(b"no pointcloud")
    assert grade_file(FILE, location, OTHER, OTHER, None) is EvidenceGrade.PUBLISHED
