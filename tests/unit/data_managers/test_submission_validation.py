"""Where a validation has its metadata from: what is given, the root, the server, or nowhere."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.data_managers.submission_validation import (
    validate_submission,
    validate_submission_blocking,
)
from nersemble_async.errors import ConfigurationError, MetadataError, SelectionError
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.synthetic.server import serve_folder
from tests.support.broken_zips import MONO, write_zip
from tests.support.submission_files import good_video
from tests.support.submissions import metadata_json

TASK = BENCHMARKS["mono_flame_avatar"].task
METADATA = f"{TASK}/metadata.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A zip with one video of three frames."""
    return write_zip(tmp_path / "out.zip", [(MONO[0], good_video(TASK))])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "root"
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", str(folder))
    monkeypatch.setenv("NERSEMBLE_RETRY_BASE_SECONDS", "0.001")
    return folder


def write_metadata(folder: Path, n_frames: int) -> Path:
    path = folder / METADATA
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(metadata_json(TASK, n_frames), "utf-8")
    return path


def expected_frames(report: SubmissionReport) -> str | None:
    """How many frames the one video needs, as far as that was known; it has three."""
    wrong = [issue.expected for issue in report.issues if issue.rule == "wrong-frame-count"]
    return wrong[0] if wrong else None


def is_missing_alone(report: SubmissionReport) -> bool:
    return {issue.rule for issue in report.issues} == {"missing-entry"}


async def validated(path: Path, *, blocking: bool, **given: object) -> SubmissionReport:
    """Both ways; the blocking one in a thread that has an event loop, as a notebook's has."""
    if blocking:
        return validate_submission_blocking(path, TASK, **given)  # type: ignore[arg-type]
    return await validate_submission(path, TASK, **given)  # type: ignore[arg-type]


BOTH = pytest.mark.parametrize("blocking", [False, True])


def run(path: Path, *, blocking: bool, **given: object) -> SubmissionReport:
    async def within() -> SubmissionReport:
        return await validated(path, blocking=blocking, **given)

    return anyio.run(within)


@BOTH
def test_the_roots_metadata_tells_how_long_videos_are(
    path: Path, root: Path, blocking: bool
) -> None:
    write_metadata(root, 5)
    report = run(path, blocking=blocking)
    assert expected_frames(report) == "5 frames"
    assert not any("metadata.json" in sentence for sentence in report.not_checked)


@BOTH
def test_a_file_that_is_given_comes_first(
    path: Path, root: Path, tmp_path: Path, blocking: bool
) -> None:
    write_metadata(root, 5)
    given = write_metadata(tmp_path / "given", 3)
    assert is_missing_alone(run(path, blocking=blocking, metadata=given))
    assert expected_frames(run(path, blocking=blocking, benchmark_folder=root)) == "5 frames"


@BOTH
def test_a_file_that_is_given_has_to_be_there_and_right(
    path: Path, root: Path, tmp_path: Path, blocking: bool
) -> None:
    write_metadata(root, 3)
    with pytest.raises(ConfigurationError):
        run(path, blocking=blocking, metadata=tmp_path / "nowhere.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{}", "utf-8")
    with pytest.raises(MetadataError, match=r"broken\.json"):
        run(path, blocking=blocking, metadata=broken)


@BOTH
def test_without_url_the_rest_is_checked_and_the_report_says_what_is_not(
    path: Path, root: Path, blocking: bool
) -> None:
    report = run(path, blocking=blocking)
    assert is_missing_alone(report)
    lengths, *_, why = report.not_checked
    assert lengths.startswith("how many frames")
    assert why.startswith(f"there is no {METADATA} at hand and no URL to fetch it from")
    assert not root.exists() or not (root / METADATA).exists()


@BOTH
def test_the_server_is_asked_once(
    path: Path,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    blocking: bool,
) -> None:
    served = tmp_path / "served"
    write_metadata(served, 5)

    async def within() -> None:
        async with serve_folder(served) as server:
            monkeypatch.setenv("NERSEMBLE_BENCHMARK_URL", server.url)
            if not blocking:
                report = await validate_submission(path, TASK)
            else:
                report = await anyio.to_thread.run_sync(validate_submission_blocking, path, TASK)
            assert expected_frames(report) == "5 frames"
        # It has gone; what it said is in the root.
        report = await validated(path, blocking=blocking)
        assert expected_frames(report) == "5 frames"
        assert (root / METADATA).is_file()

    anyio.run(within)


@BOTH
def test_a_server_that_is_not_there_is_said_without_its_url(
    path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_URL", "http://127.0.0.1:9/s3cret")
    report = run(path, blocking=blocking)
    assert is_missing_alone(report)
    assert report.not_checked[-1].startswith(f"{METADATA} could not be fetched: ")
    assert "s3cret" not in "".join(report.not_checked)
    assert "127.0.0.1" not in "".join(report.not_checked)


@BOTH
def test_broken_metadata_in_the_root_does_not_end_it(
    path: Path, root: Path, blocking: bool
) -> None:
    write_metadata(root, 3).write_text("{", "utf-8")
    report = run(path, blocking=blocking)
    assert is_missing_alone(report)
    assert report.not_checked[-1].startswith("the root's metadata.json is not usable: ")


@pytest.mark.asyncio
async def test_nothing_blocks_the_event_loop(path: Path, root: Path, tmp_path: Path) -> None:
    write_metadata(root, 5)
    assert expected_frames(await validate_submission(path, TASK)) == "5 frames"
    empty = tmp_path / "another root"
    report = await validate_submission(path, TASK, benchmark_folder=empty, deep=True)
    assert report.not_checked[-1].startswith("there is no")


def test_a_task_without_metadata_asks_nobody(tmp_path: Path, root: Path) -> None:
    empty = write_zip(tmp_path / "out.zip", [])
    report = anyio.run(validate_submission, empty, "svfr")
    assert report.not_checked == ()
    assert not root.exists()


def test_cancelling_ends_it_and_leaves_no_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = write_zip(tmp_path / "out.zip", [(name, good_video(TASK, 0, 40)) for name in MONO])

    async def within() -> None:
        scope = anyio.CancelScope()

        def stop(done: int, total: int) -> None:
            assert (done, total) == (0, 2)
            anyio.from_thread.run_sync(scope.cancel)

        with scope:
            await validate_submission(path, TASK, deep=True, on_progress=stop)
        assert scope.cancelled_caught

    anyio.run(within)
    assert list(temporary.iterdir()) == []


def test_a_task_that_there_is_not_is_told_with_those_that_there_are(path: Path, root: Path) -> None:
    with pytest.raises(SelectionError, match="'NVS' is not a task; there are nvs, "):
        validate_submission_blocking(path, "NVS")  # type: ignore[arg-type]
