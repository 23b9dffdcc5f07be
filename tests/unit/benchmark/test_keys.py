"""Keys: what stands in folder names, padded and not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nersemble_async.benchmark.keys import FrameKey, ImageKey, SequenceKey, VideoKey
from nersemble_async.benchmark.svfr import SVFR
from nersemble_async.errors import SelectionError

SEQUENCE_NAMES = st.from_regex(r"[A-Za-z0-9_+\-]+", fullmatch=True)
IMAGE_KEYS = st.builds(
    ImageKey, SEQUENCE_NAMES, st.integers(0, 10**6), st.from_regex(r"[0-9]{9}", fullmatch=True)
)


def test_dataset_folder_is_unpadded_and_submission_key_is_padded() -> None:
    key = ImageKey("EXP-3-cheeks+nose", 78, "222200045")
    assert key.folder_name == "EXP-3-cheeks+nose_78_222200045"
    assert key.to_key() == "EXP-3-cheeks+nose_078_222200045"


def test_padding_makes_116_of_391_keys_differ() -> None:
    keys = [key for keys in SVFR.image_keys.values() for key in keys]
    assert len(keys) == 391
    assert sum(key.to_key() != key.folder_name for key in keys) == 116


@settings(deadline=None)
@given(IMAGE_KEYS)
def test_both_names_parse_back(key: ImageKey) -> None:
    assert ImageKey.from_name(key.folder_name) == key
    assert ImageKey.from_name(key.to_key()) == key


def test_underscores_of_the_sequence_belong_to_the_sequence() -> None:
    name = "SEN-05-glow_eyes_sweet_girl_60_220700191"
    assert ImageKey.from_name(name) == ImageKey("SEN-05-glow_eyes_sweet_girl", 60, "220700191")


@pytest.mark.parametrize(
    "name",
    ["", "FREE", "FREE_786", "FREE_x_222200038", "_1_2", "a/b_1_2", "../x_1_2", "F_1_2\n", "F_²_2"],
)
def test_other_names_are_refused_by_name(name: str) -> None:
    with pytest.raises(SelectionError, match="not an image key") as caught:
        ImageKey.from_name(name)
    assert repr(name) in str(caught.value)


def test_keys_lead_to_what_they_belong_to() -> None:
    frame = FrameKey(388, "GLASSES", "222200042", 7)
    assert frame.video == VideoKey(388, "GLASSES", "222200042")
    assert frame.video.sequence == SequenceKey(388, "GLASSES")


def test_keys_are_values() -> None:
    assert {SequenceKey(388, "GLASSES"), SequenceKey(388, "GLASSES")} == {
        SequenceKey(388, "GLASSES")
    }
    with pytest.raises(AttributeError):
        ImageKey("FREE", 1, "2").timestep = 5  # type: ignore[misc]
