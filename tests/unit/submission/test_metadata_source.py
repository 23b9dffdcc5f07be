"""Where the lengths of a submission's videos are known from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nersemble_async.benchmark.metadata import metadata_from_spec
from nersemble_async.errors import ConfigurationError, MetadataError
from nersemble_async.submission.metadata_source import find_metadata, require_metadata


def write_metadata(path: Path, n_frames: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sequence = {"sequence_name": "GLASSES", "timesteps": list(range(n_frames))}
    path.write_text(json.dumps({"sequences": {"388": sequence}}))
    return path


def test_a_file_that_is_given_comes_before_the_root(tmp_path: Path) -> None:
    given = write_metadata(tmp_path / "elsewhere.json", 3)
    in_root = write_metadata(tmp_path / "root" / "nvs" / "metadata.json", 5)
    root = tmp_path / "root"
    for metadata, n_frames, origin in (
        (given, 3, given),
        (str(given), 3, given),
        (None, 5, in_root),
    ):
        source = require_metadata("nvs", root, metadata)
        assert source.metadata.n_frames(388, "GLASSES") == n_frames
        assert (source.origin, source.is_documented) == (str(origin), False)
    found = find_metadata("nvs", str(root))
    assert found is not None
    assert find_metadata("nvs", root, found) is found


def test_the_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_metadata(tmp_path / "nvs" / "metadata.json", 7)
    assert find_metadata("nvs") is None
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", str(tmp_path))
    found = find_metadata("nvs")
    assert found is not None
    assert found.n_frames(388, "GLASSES") == 7


def test_documented_lengths_stand_in_where_there_are_all(tmp_path: Path) -> None:
    assert find_metadata("nvs", tmp_path) is None
    source = require_metadata("nvs", tmp_path)
    assert source.is_documented
    documented = metadata_from_spec("nvs").n_frames(388, "GLASSES")
    assert source.metadata.n_frames(388, "GLASSES") == documented
    with pytest.raises(ConfigurationError, match="fetch mono_flame_avatar") as caught:
        require_metadata("mono_flame_avatar", tmp_path)
    for way in (str(tmp_path / "mono_flame_avatar"), "benchmark_folder=", "metadata="):
        assert way in str(caught.value)
    assert find_metadata("svfr", tmp_path) is None
    assert require_metadata("svfr", tmp_path).is_documented


def test_a_file_that_is_named_has_to_be_there_and_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no .*none\.json"):
        find_metadata("nvs", metadata=tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"sequences": 5}')
    with pytest.raises(MetadataError, match=r"broken\.json.*sequences"):
        find_metadata("nvs", metadata=broken)


def test_a_root_in_the_home_folder_is_found_as_data_managers_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    there = write_metadata(tmp_path / "data" / "nvs" / "metadata.json", 3)
    assert require_metadata("nvs", "~/data").origin == str(there)
