"""Every exception: its place in the tree, its message, and that it survives a pickle."""

from __future__ import annotations

import copy
import pickle

import pytest

from nersemble_async import errors
from nersemble_async.errors import (
    AccessDeniedError,
    CacheError,
    CacheLockedError,
    ConfigurationError,
    DecodeError,
    DiskFullError,
    FetchError,
    IncompleteSubmissionError,
    IntegrityError,
    InvalidPredictionError,
    MetadataError,
    MissingBenchmarkUrlError,
    NersembleError,
    NotCachedError,
    ProtocolError,
    RemoteFileChangedError,
    RemoteFileMissingError,
    SelectionError,
    ServerUnreachableError,
    SubmissionError,
    TransientFetchError,
)

PATH = "nvs/388/a.pcd"
EVERY: list[NersembleError] = [
    NersembleError("x"),
    ConfigurationError("x"),
    MissingBenchmarkUrlError(),
    SelectionError("x"),
    MetadataError("x"),
    FetchError(PATH, "x"),
    TransientFetchError(PATH, "x", 5.0),
    ServerUnreachableError(PATH, "x"),
    AccessDeniedError(PATH, "x"),
    RemoteFileMissingError(PATH, "x"),
    RemoteFileChangedError(PATH, "x"),
    ProtocolError(PATH, "x"),
    IntegrityError(PATH, "x"),
    CacheError("x"),
    NotCachedError("x"),
    CacheLockedError("x"),
    DiskFullError("x"),
    DecodeError("a.mp4", "x", 7),
    SubmissionError("x"),
    InvalidPredictionError("x"),
    IncompleteSubmissionError("a.zip", ("388/GLASSES/cam_222200046.mp4",), "a.zip.partial"),
]


def test_all_of_them_are_here() -> None:
    public = {value for value in vars(errors).values() if isinstance(value, type)}
    assert public == {type(error) for error in EVERY}


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_it_survives_a_pickle_and_a_copy(error: NersembleError) -> None:
    """Loaders run in other processes; their errors come back pickled."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (SelectionError, ValueError),
        (MetadataError, ValueError),
        (NotCachedError, FileNotFoundError),
        (ServerUnreachableError, TransientFetchError),
        (MissingBenchmarkUrlError, ConfigurationError),
        (DiskFullError, CacheError),
        (InvalidPredictionError, ValueError),
        (InvalidPredictionError, SubmissionError),
        (IncompleteSubmissionError, SubmissionError),
    ],
)
def test_kinds_that_are_two_things(kind: type[Exception], also: type[Exception]) -> None:
    assert issubclass(kind, also)
    assert issubclass(kind, NersembleError)


def test_only_one_kind_is_retried() -> None:
    for kind in (AccessDeniedError, RemoteFileMissingError, ProtocolError, IntegrityError):
        assert not issubclass(kind, TransientFetchError)


def test_a_fetch_error_names_its_file() -> None:
    error = TransientFetchError(PATH, "the server answered 503", 5.0)
    assert str(error) == f"{PATH}: the server answered 503"
    assert (error.path, error.reason) == (PATH, "the server answered 503")
    assert error.retry_after_seconds == 5.0
    assert TransientFetchError(PATH, "x").retry_after_seconds is None


def test_a_decode_error_names_file_and_frame() -> None:
    assert str(DecodeError("a.mp4", "no keyframe", 7)) == "a.mp4, frame 7: no keyframe"
    assert str(DecodeError("a.mp4", "no keyframe", 0)) == "a.mp4, frame 0: no keyframe"
    assert str(DecodeError("a.mp4", "cut short")) == "a.mp4: cut short"


def test_a_missing_url_says_where_to_put_it_and_where_to_get_it() -> None:
    told = str(MissingBenchmarkUrlError())
    for words in (
        "NERSEMBLE_BENCHMARK_URL",
        "~/.config/nersemble_benchmark/.env",
        "https://forms.gle/",
    ):
        assert words in told


def test_an_incomplete_submission_lists_what_is_missing() -> None:
    missing = tuple(f"{i:03d}/FREE/cam_222200046.mp4" for i in range(13))
    told = str(IncompleteSubmissionError("a.zip", missing, "a.zip.partial"))
    assert told.startswith("a.zip was not written: 13 entries are missing: 000/FREE/")
    assert told.endswith(" and 3 more; a.zip.partial can be gone on with (resume=True)")
    assert "more" not in str(IncompleteSubmissionError("a.zip", missing[:10]))
