"""Names are checked against the benchmark, paths are the official ones, commands fetch."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.testing

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.spec import Task
from nersemble_async.cli import app as cli_app
from nersemble_async.cli import fetch as cli_fetch
from nersemble_async.data_managers.participant_files import ParticipantFiles
from nersemble_async.errors import NotCachedError, SelectionError
from nersemble_async.fetch.plan import PlannedFile, plan_known_files

NVS = ParticipantFiles("root", "nvs", 388)
MONO = ParticipantFiles("root", "mono_flame_avatar", 393)
SVFR = ParticipantFiles("root", "svfr", 17)
FIRST_KEY = SVFR.spec.image_keys[17][0]
"""Its timestep has fewer than three digits in some participants; the folder never pads it."""


@pytest.mark.parametrize(
    ("attempt", "told"),
    [
        (lambda: ParticipantFiles("root", "nvs", 393), "participant 393.* 388, 422, 443, 445, 475"),
        (lambda: ParticipantFiles("root", "nvs", "388"), "participant '388'"),  # type: ignore[arg-type]
        (lambda: NVS.video("images", "GLASES", "222200042"), "did you mean GLASSES"),
        (lambda: NVS.video("images", "GLASSES", "1"), "unknown serial '1'; nvs has 222200042, "),
        (lambda: NVS.video("images", "GLASSES", "222200037"), "hold-out camera.*hidden"),
        (lambda: NVS.pointcloud("FREE", 0), "participant 388 of nvs has GLASSES"),
        (lambda: MONO.video("images", "FREE", "222200037"), "test sequence.*EXP-1-head, EXP-2"),
        (lambda: MONO.flame_tracking("FREE", 1), "flame2023_tracking is not published"),
        (lambda: MONO.flame_tracking("FREE", 3), r"version 3; there are 1 \(flame2023_tracking\)"),
        (lambda: MONO.flame_tracking("GLASSES", 2), "unknown sequence 'GLASSES'"),
        (lambda: SVFR.image(ImageKey("FREE", 1, "1")), "unknown image 'FREE_1_1'"),
        (lambda: NVS.official_path("images", "../x", "1"), "cannot be part of a path"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    attempt: Callable[[], object], told: str
) -> None:
    with pytest.raises(SelectionError, match=told):
        attempt()


FILES = [
    NVS.video("images", "GLASSES", "222200042"),
    NVS.video("alpha_maps", "GLASSES", "222200049"),
    NVS.pointcloud("GLASSES", 17),
    NVS.calibration(),
    MONO.flame_tracking("EXP-3-cheeks+nose", 1),
    MONO.flame_tracking("FREE", 2),
    MONO.calibration(),
    MONO.video("images", "EXP-3-cheeks+nose", "222200037"),
    SVFR.image(FIRST_KEY),
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_the_command_that_is_told_fetches_the_file(
    file: PlannedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[Task, int] = {"nvs": 388, "mono_flame_avatar": 393, "svfr": 17}
    files = ParticipantFiles("a folder's root", file.task, owners[file.task])
    told = str(files.not_cached(file))
    assert isinstance(files.not_cached(file), NotCachedError | FileNotFoundError)
    assert told.startswith(f"a folder's root/{file.path} is not on disk")
    program, *arguments = shlex.split(told.partition("\n")[2])
    assert program == "nersemble-async"

    jobs: list[cli_fetch.FetchJob] = []
    given: dict[str, object] = {}

    def take(name: str, run: Callable[..., object], **options: object) -> None:
        assert name == "fetch"
        jobs.append(run.__self__)  # type: ignore[attr-defined]
        given.update(options["given"])  # type: ignore[call-overload]

    monkeypatch.setattr("nersemble_async.cli.session.run_command", take)
    outcome = typer.testing.CliRunner().invoke(cli_app.app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert given["benchmark_folder"] == Path("a folder's root")
    (job,) = jobs
    assert file.path in plan_known_files(job._selected.selection()).by_path()


def test_paths_are_kept_as_they_are_given() -> None:
    files = ParticipantFiles("./root/", "nvs", 388)
    assert files.official_path("calibration") == "./root//nvs/388/calibration/camera_params.json"
    assert ParticipantFiles("~/x", "nvs", 388).root == Path.home() / "x"
    padded = next(key for key in SVFR.spec.image_keys[17] if key.timestep < 100)
    assert padded.folder_name in SVFR.image(padded).path
