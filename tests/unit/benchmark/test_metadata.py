"""metadata.json and camera_params.json: what is read, and what a wrong file is told."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nersemble_async.benchmark.metadata import (
    CameraParams,
    MonoFlameAvatarMetadata,
    NVSMetadata,
    metadata_from_spec,
    parse_camera_params,
    parse_metadata,
)
from nersemble_async.errors import MetadataError

NVS_PATH = "nvs/metadata.json"
MONO_PATH = "mono_flame_avatar/metadata.json"
CAMERAS_PATH = "nvs/388/calibration/camera_params.json"

NVS_CONTENT: dict[str, Any] = {
    "version": 3,
    "sequences": {
        "388": {"sequence_name": "GLASSES", "timesteps": [0, 1, 2, 5], "fps": 73},
        "422": {"sequence_name": "EXP-2-eyes", "timesteps": [0]},
    },
}
MONO_CONTENT: dict[str, Any] = {
    "participants_metadata": {
        "393": {"sequences_metadata": {"FREE": {"n_frames": 204}, "EXP-1-head": {"n_frames": 3}}}
    }
}
CAMERAS_CONTENT: dict[str, Any] = {
    "world_2_cam": {
        "222200042": [[1, 0, 0, 0.5], [0, 0.5, 0, 1e-3], [0, 0, 1, -2], [0, 0, 0, 1]],
    },
    "intrinsics": {"222200042": [[2000.5, 0, 550], [0, 2000, 802], [0, 0, 1]]},
    "resolution": [1100, 1604],
}


def changed(content: dict[str, Any], path: tuple[str | int, ...], value: object) -> bytes:
    """``content`` as JSON with the value at ``path`` replaced."""
    result: Any = copy.deepcopy(content)
    at = result
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return json.dumps(result).encode()


def parse_nvs(data: bytes) -> NVSMetadata:
    result = parse_metadata("nvs", data, NVS_PATH)
    assert isinstance(result, NVSMetadata)
    return result


# ---- what is read ----


def test_nvs_is_read_with_extra_keys() -> None:
    metadata = parse_nvs(json.dumps(NVS_CONTENT).encode())
    assert metadata.sequences[388].sequence_name == "GLASSES"
    assert metadata.timesteps(388, "GLASSES") == (0, 1, 2, 5)
    assert metadata.n_frames(388, "GLASSES") == 4
    assert metadata.n_frames(422, "EXP-2-eyes") == 1


@pytest.mark.parametrize(("participant_id", "name"), [(999, "GLASSES"), (388, "FREE")])
def test_nvs_says_nothing_of_what_it_does_not_list(participant_id: int, name: str) -> None:
    metadata = parse_nvs(json.dumps(NVS_CONTENT).encode())
    assert metadata.timesteps(participant_id, name) == ()
    assert metadata.n_frames(participant_id, name) is None


def test_mono_is_read() -> None:
    metadata = parse_metadata("mono_flame_avatar", json.dumps(MONO_CONTENT).encode(), MONO_PATH)
    assert isinstance(metadata, MonoFlameAvatarMetadata)
    assert metadata.n_frames(393, "FREE") == 204
    assert list(metadata.timesteps(393, "EXP-1-head")) == [0, 1, 2]
    assert metadata.n_frames(393, "HAIR") is None
    assert metadata.n_frames(404, "FREE") is None
    assert list(metadata.timesteps(404, "FREE")) == []


def test_svfr_has_none() -> None:
    with pytest.raises(ValueError, match="svfr has no metadata"):
        parse_metadata("svfr", b"{}", "svfr/metadata.json")


def test_camera_params_are_read_with_extra_keys() -> None:
    params = parse_camera_params(json.dumps(CAMERAS_CONTENT).encode(), CAMERAS_PATH)
    assert params.world_2_cam["222200042"] == tuple(
        tuple(map(float, row)) for row in CAMERAS_CONTENT["world_2_cam"]["222200042"]
    )
    assert params.intrinsics["222200042"][0] == (2000.5, 0.0, 550.0)


def test_a_byte_order_mark_is_no_problem() -> None:
    assert parse_nvs(b"\xef\xbb\xbf" + json.dumps(NVS_CONTENT).encode()).n_frames(388, "GLASSES")


@pytest.mark.parametrize(
    "name", ["timesteps", "n_frames", "model_config", "__class__", "model_dump"]
)
def test_no_extra_key_takes_the_place_of_ours(name: str) -> None:
    metadata = parse_nvs(changed(NVS_CONTENT, (name,), "x"))
    assert metadata.timesteps(388, "GLASSES") == (0, 1, 2, 5)
    assert metadata.n_frames(388, "GLASSES") == 4
    assert metadata.model_dump()["sequences"][388]["sequence_name"] == "GLASSES"


@settings(deadline=None)
@given(
    st.dictionaries(
        st.integers(1, 999),
        st.tuples(st.text(), st.sets(st.integers(0, 99_999), min_size=1, max_size=20)),
        max_size=4,
    )
)
def test_nvs_round_trip(content: dict[int, tuple[str, set[int]]]) -> None:
    data = json.dumps(
        {
            "sequences": {
                str(p): {"sequence_name": name, "timesteps": sorted(timesteps)}
                for p, (name, timesteps) in content.items()
            }
        }
    ).encode()
    metadata = parse_nvs(data)
    for participant_id, (name, timesteps) in content.items():
        assert list(metadata.timesteps(participant_id, name)) == sorted(timesteps)
    assert parse_nvs(metadata.model_dump_json().encode()) == metadata


def test_documented_lengths() -> None:
    metadata = metadata_from_spec("nvs")
    assert metadata.n_frames(388, "GLASSES") == 1118
    assert metadata.timesteps(475, "HAIR") == range(259)
    assert metadata.n_frames(388, "HAIR") is None
    assert metadata_from_spec("mono_flame_avatar").n_frames(393, "FREE") is None
    assert not metadata_from_spec("svfr").timesteps(17, "FREE")


# ---- what a wrong file is told ----


PARSERS: dict[str, tuple[Callable[[bytes, str], object], str]] = {
    "nvs": (partial(parse_metadata, "nvs"), NVS_PATH),
    "mono": (partial(parse_metadata, "mono_flame_avatar"), MONO_PATH),
    "cameras": (parse_camera_params, CAMERAS_PATH),
}


def problem_of(what: str, data: bytes) -> str:
    """What the parser says of ``data``, after the source's name."""
    parse, source = PARSERS[what]
    with pytest.raises(MetadataError) as caught:
        parse(data, source)
    message = str(caught.value)
    assert message.startswith(f"{source}: ")
    assert "\n" not in message
    assert len(message) < 2000
    return message.removeprefix(f"{source}: ")


@pytest.mark.parametrize("what", PARSERS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"<html>not found</html>",
        b"\xff\xfe\xfa",
        b"\x80",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"{} {}",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_json(what: str, data: bytes) -> None:
    assert problem_of(what, data).startswith("not valid JSON: ")


@pytest.mark.parametrize("data", [b"[]", b"null", b"5", b'"x"'])
def test_what_is_no_object(data: bytes) -> None:
    assert problem_of("nvs", data) == "the whole file: should be an object"


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_no_number_that_json_does_not_have_even_where_nothing_reads_it(constant: bytes) -> None:
    data = json.dumps(NVS_CONTENT).encode().replace(b'"version": 3', b'"version": ' + constant)
    assert constant in data
    assert problem_of("nvs", data) == f"not valid JSON: {constant.decode()} is not a number in JSON"


_TIMESTEPS = ("sequences", "388", "timesteps")


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("sequences",), [], "sequences: should be an object"),
        (("sequences", "388"), 7, "sequences.388: should be an object"),
        (("sequences", "388"), {}, "sequences.388.sequence_name: is missing"),
        (("sequences", "0388"), {}, "sequences.0388: should be a participant's number"),
        (("sequences", "../x"), {}, "sequences.../x: should be a participant's number"),
        (("sequences", "-1"), {}, "sequences.-1: should be a participant's number"),
        (("sequences", "\u00b2"), {}, "sequences.\u00b2: should be a participant's number"),
        (("sequences", "9" * 6000), {}, "should be a participant's number"),
        (("sequences", "388", "sequence_name"), 5, "sequences.388.sequence_name: should be"),
        (_TIMESTEPS, [], "sequences.388.timesteps: should not be empty"),
        (_TIMESTEPS, None, "sequences.388.timesteps: should be a list"),
        (_TIMESTEPS, 5, "sequences.388.timesteps: should be a list"),
        (_TIMESTEPS, {"0": 0}, "sequences.388.timesteps: should be a list"),
        (_TIMESTEPS, [0, 1, 1], "sequences.388.timesteps: should ascend without repetition"),
        (_TIMESTEPS, [0, 2, 1], "but [2] is 1 after 2"),
        (_TIMESTEPS, [0, 1, -1], "sequences.388.timesteps[2]: should be greater"),
        (_TIMESTEPS, [0, True], "sequences.388.timesteps[1]: should be a valid integer"),
        (_TIMESTEPS, [0.0], "sequences.388.timesteps[0]: should be a valid integer"),
        (_TIMESTEPS, ["0"], "sequences.388.timesteps[0]: should be a valid integer"),
        (_TIMESTEPS, ["../../x"], "sequences.388.timesteps[0]: should be a valid integer"),
        (_TIMESTEPS, [0, float("nan")], "sequences.388.timesteps[1]: should be"),
        (_TIMESTEPS, [0, float("inf")], "sequences.388.timesteps[1]: should be"),
        (_TIMESTEPS, [0, 100_000], "sequences.388.timesteps[1]: should be less"),
        (_TIMESTEPS, [0, 10**400], "sequences.388.timesteps[1]: should be less"),
    ],
)
def test_what_is_wrong_in_nvs(path: tuple[str, ...], value: object, problem: str) -> None:
    assert problem in problem_of("nvs", changed(NVS_CONTENT, path, value))


_N_FRAMES = ("participants_metadata", "393", "sequences_metadata", "FREE", "n_frames")


@pytest.mark.parametrize("value", [0, -1, True, 204.0, None, "204", [], float("nan"), float("inf")])
def test_what_is_no_number_of_frames(value: object) -> None:
    data = changed(MONO_CONTENT, _N_FRAMES, value)
    field = "participants_metadata.393.sequences_metadata.FREE.n_frames: "
    assert problem_of("mono", data).startswith(field)


_MATRIX = ("world_2_cam", "222200042")
_IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("world_2_cam",), {}, "world_2_cam: should hold at least one camera"),
        (("intrinsics",), {}, "intrinsics: should hold at least one camera"),
        (("intrinsics",), None, "intrinsics: should be an object"),
        (_MATRIX, None, "world_2_cam.222200042: should be a list"),
        (_MATRIX, _IDENTITY[:3], "world_2_cam.222200042[3]: is missing"),
        (_MATRIX, [*_IDENTITY, [0, 0, 0, 1]], "world_2_cam.222200042: has too many items"),
        (_MATRIX, [row[:3] for row in _IDENTITY], "world_2_cam.222200042[0][3]: is missing"),
        (_MATRIX, [1, 0, 0, 0], "world_2_cam.222200042[0]: should be a list"),
        ((*_MATRIX, 0, 0), "1", "world_2_cam.222200042[0][0]: should be a valid number"),
        ((*_MATRIX, 0, 0), True, "world_2_cam.222200042[0][0]: should be a valid number"),
        ((*_MATRIX, 0, 0), None, "world_2_cam.222200042[0][0]: should be a valid number"),
        ((*_MATRIX, 0, 0), 10**400, "world_2_cam.222200042[0][0]: should be a valid number"),
        ((*_MATRIX, 1, 2), float("nan"), "world_2_cam.222200042[1][2]: should be a finite"),
        ((*_MATRIX, 1, 2), float("inf"), "world_2_cam.222200042[1][2]: should be a finite"),
        ((*_MATRIX, 3, 3), 0, "world_2_cam.222200042: the last row should be 0 0 0 1"),
        ((*_MATRIX, 3, 0), 0.1, "world_2_cam.222200042: the last row should be 0 0 0 1"),
        (
            ("intrinsics", "222200042"),
            _IDENTITY,
            "intrinsics.222200042: has too many items",
        ),
        (
            ("intrinsics", "222200042", 2, 2),
            float("-inf"),
            "intrinsics.222200042[2][2]: should be a finite",
        ),
    ],
)
def test_what_is_wrong_in_camera_params(
    path: tuple[str | int, ...], value: object, problem: str
) -> None:
    assert problem in problem_of("cameras", changed(CAMERAS_CONTENT, path, value))


@pytest.mark.parametrize("field", ["world_2_cam", "intrinsics"])
def test_a_missing_part_of_camera_params(field: str) -> None:
    content = {key: value for key, value in CAMERAS_CONTENT.items() if key != field}
    assert problem_of("cameras", json.dumps(content).encode()) == f"{field}: is missing"


def test_a_number_too_large_for_a_float_is_not_finite() -> None:
    data = json.dumps(CAMERAS_CONTENT).replace("2000.5", "1e999").encode()
    assert "intrinsics.222200042[0][0]: should be a finite" in problem_of("cameras", data)


def test_a_key_twice_in_one_object() -> None:
    data = b'{"sequences": {"388": {}, "388": {}}}'
    assert problem_of("nvs", data) == "not valid JSON: the key '388' stands twice in one object"


def test_many_problems_are_counted_not_listed() -> None:
    data = changed(NVS_CONTENT, _TIMESTEPS, ["x"] * 1000)
    problem = problem_of("nvs", data)
    assert problem.count("timesteps[") == 5
    assert problem.endswith("and 995 more")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.sampled_from([("sequences",), ("sequences", "388"), _TIMESTEPS, (*_TIMESTEPS, 0)]),
    JSON_VALUES,
)
def test_nothing_but_a_metadata_error_comes_of_any_content(
    path: tuple[str | int, ...], value: object
) -> None:
    try:
        metadata = parse_nvs(changed(NVS_CONTENT, path, value))
    except MetadataError:
        return
    for sequence in metadata.sequences.values():
        assert all(type(timestep) is int for timestep in sequence.timesteps)
        assert list(sequence.timesteps) == sorted(set(sequence.timesteps))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_nothing_but_a_metadata_error_comes_of_any_bytes(data: bytes) -> None:
    with pytest.raises(MetadataError, match=CAMERAS_PATH):
        parse_camera_params(data, CAMERAS_PATH)


def test_models_are_read_only() -> None:
    params = CameraParams.model_validate(CAMERAS_CONTENT)
    with pytest.raises(ValueError, match="frozen"):
        params.intrinsics = {}
