"""Corpora are valid pointclouds of about the wanted size, and every wrong byte is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpora import (
    CorpusSpec,
    make_corpus,
    pcd_header,
    pointcloud_path,
    points_within,
    wrong_files,
)
from nersemble_async.formats.pointcloud.pcd_header import check_pointcloud

SPEC = CorpusSpec("tiny", 3, 5_000)


@given(file_bytes=st.integers(400, 2_000_000_000))
def test_holds_the_most_points_that_fit(file_bytes: int) -> None:
    points = points_within(file_bytes)
    assert len(pcd_header(points)) + points * 28 <= file_bytes
    assert len(pcd_header(points + 1)) + (points + 1) * 28 > file_bytes


def test_refuses_a_size_that_holds_no_point() -> None:
    with pytest.raises(ValueError, match="no point"):
        points_within(100)


def test_makes_files_that_our_content_check_accepts(tmp_path: Path) -> None:
    corpus = make_corpus(SPEC, tmp_path)
    for file in corpus.files:
        assert check_pointcloud(tmp_path / file.path).n_points == points_within(SPEC.file_bytes)
        assert (tmp_path / file.path).stat().st_size == file.size_bytes
    metadata = json.loads((tmp_path / "nvs/metadata.json").read_text())
    timesteps = metadata["sequences"]["388"]["timesteps"]
    assert [pointcloud_path(t) for t in timesteps] == [f.path for f in corpus.files]


def test_is_the_same_again_and_differs_between_files(tmp_path: Path) -> None:
    first = make_corpus(SPEC, tmp_path / "a")
    second = make_corpus(SPEC, tmp_path / "b")
    assert first.files == second.files
    assert len({f.sha256 for f in first.files}) == SPEC.file_count


def test_sees_missing_short_and_changed_files(tmp_path: Path) -> None:
    corpus = make_corpus(SPEC, tmp_path)
    assert wrong_files(corpus, tmp_path) == []
    missing, short, changed = (tmp_path / f.path for f in corpus.files)
    missing.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    assert wrong_files(corpus, tmp_path) == [f.path for f in corpus.files]
