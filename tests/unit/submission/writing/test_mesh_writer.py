"""Submitted meshes: complete or not, resumed, refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh

from nersemble_async.errors import (
    IncompleteSubmissionError,
    InvalidPredictionError,
    SelectionError,
    SubmissionError,
)
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from tests.support.submissions import head_mesh, mesh_entries

POSED, NEUTRAL = mesh_entries("posed"), mesh_entries("neutral")
HEAD = head_mesh()
PAIR = (HEAD["vertices"], HEAD["faces"])
CUBE = trimesh.creation.box((0.2, 0.3, 0.2))
LANDMARKS = np.array(CUBE.vertices[:7])


def where(entry: ExpectedEntry) -> tuple[int, str, int, str]:
    assert entry.timestep is not None
    return entry.participant_id, entry.sequence_name, entry.timestep, entry.serial


def test_one_subtask_is_a_submission(tmp_path: Path) -> None:
    with SVFRSubmissionDataWriter(tmp_path / "a.zip") as writer:
        for entry in POSED:
            assert writer.add_posed_mesh(*where(entry), PAIR)
    assert writer.report is not None
    assert writer.report.issues == ()
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == [entry.path for entry in POSED]


def test_a_subtask_that_is_begun_is_ended(tmp_path: Path) -> None:
    writer = SVFRSubmissionDataWriter(tmp_path / "a.zip")
    for entry in POSED:
        writer.add_posed_mesh(*where(entry), PAIR)
    writer.add_neutral_mesh(*where(NEUTRAL[3]), PAIR)
    with pytest.raises(IncompleteSubmissionError) as caught:
        writer.close()
    lacking = [entry.path for entry in NEUTRAL if entry is not NEUTRAL[3]]
    assert list(caught.value.missing) == lacking
    with SVFRSubmissionDataWriter(tmp_path / "a.zip", resume=True) as writer:
        for entry in POSED:
            assert not writer.add_posed_mesh(*where(entry), None)
        for entry in NEUTRAL:
            writer.add_neutral_mesh(*where(entry), CUBE, LANDMARKS)
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert len(names) == 3 * 391 - 1


def test_an_empty_submission_is_none(tmp_path: Path) -> None:
    with (
        pytest.raises(IncompleteSubmissionError, match="782 entries"),
        SVFRSubmissionDataWriter(tmp_path / "a.zip"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_is_told_and_nothing_of_it_is_written(tmp_path: Path) -> None:
    with SVFRSubmissionDataWriter(tmp_path / "a.zip") as writer:
        broken = HEAD["vertices"].copy()
        broken[7, 1] = np.nan
        with pytest.raises(InvalidPredictionError, match=r"017/.*mesh_posed\.ply: .*7"):
            writer.add_posed_mesh(*where(POSED[0]), (broken, HEAD["faces"]))
        with pytest.raises(InvalidPredictionError, match="landmarks"):
            writer.add_neutral_mesh(*where(NEUTRAL[0]), CUBE)
        with pytest.raises(SelectionError, match=r"no submission to svfr has image 'FREE_001_1'"):
            writer.add_posed_mesh(17, "FREE", 1, "1", PAIR)
        with pytest.raises(SelectionError, match="has participant 18"):
            writer.add_posed_mesh(18, "FREE", 1, "1", PAIR)
        assert len(writer.missing()) == 782
        writer.add_posed_mesh(*where(POSED[0]), PAIR)
        with pytest.raises(SubmissionError, match="already"):
            writer.add_posed_mesh(*where(POSED[0]), PAIR)
        writer.keep()
    with pytest.raises(SubmissionError, match="is closed"):
        writer.add_posed_mesh(*where(POSED[1]), PAIR)


def test_a_partial_zip_only_where_it_is_asked_for(tmp_path: Path) -> None:
    with SVFRSubmissionDataWriter(tmp_path / "a.zip", allow_partial=True) as writer:
        writer.add_posed_mesh(*where(POSED[0]), CUBE, LANDMARKS)
    assert sorted(zipfile.ZipFile(tmp_path / "a.zip").namelist()) == [
        POSED[0].path.replace("mesh_posed.ply", "landmarks_posed.npy"),
        POSED[0].path,
    ]
