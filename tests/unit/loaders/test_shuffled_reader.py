"""Frames in the plan's order, decoded by many threads: the same at any start, nothing left."""

from __future__ import annotations

import gc
import json
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from nersemble_async.errors import ConfigurationError, DecodeError, SelectionError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import Frame, alpha_format
from nersemble_async.loaders.shuffle_plan import Mixing, Shard
from nersemble_async.loaders.shuffled_epochs import ShuffledEpochs, ShuffleRequest
from tests.support.shuffling import ALL_STEPS, N_FRAMES, SERIALS, write_cameras
from tests.support.videos import RgbImage, decode_all

Images = dict[str, list[RgbImage]]


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoSource]:
    return write_cameras(tmp_path_factory.mktemp("cameras"))


@pytest.fixture(scope="module")
def alphas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoSource]:
    return write_cameras(tmp_path_factory.mktemp("alphas"), "_alpha")


@pytest.fixture(scope="module")
def images(cameras: dict[str, VideoSource]) -> Images:
    return {serial: decode_all(source.path) for serial, source in cameras.items()}


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread and no open file outlives a test."""
    before = open_things()
    yield
    gc.collect()
    assert open_things() == before


def open_things() -> tuple[list[str], list[str]]:
    process = psutil.Process()
    names = sorted(thread.name for thread in threading.enumerate())
    return names, sorted(file.path for file in process.open_files())


def read_all(epochs: ShuffledEpochs, mixing: Mixing, position: int = 0) -> list[Frame]:
    state = replace(epochs.begin(3, 1, Shard()), mixing=mixing, position=position)
    with epochs.open(state) as reader:
        return list(reader)


def names_of(frames: list[Frame]) -> list[tuple[str, int, int]]:
    return [(frame.serial, frame.timestep, frame.frame_index) for frame in frames]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("mixing", [Mixing(1, 1), Mixing(3, 7), Mixing(9, 200)])
def test_every_frame_once_in_the_plans_order_with_its_own_bits(
    cameras: dict[str, VideoSource], images: Images, mixing: Mixing, threads: int
) -> None:
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, threads=threads))
    frames = read_all(epochs, mixing)
    layout = epochs.layout
    order = replace(epochs.begin(3, 1, Shard()), mixing=mixing).plan(layout).order
    assert names_of(frames) == [
        (SERIALS[layout.video[n]], layout.timestep[n], layout.frame_index[n]) for n in order
    ]
    assert len(set(names_of(frames))) == 3 * N_FRAMES
    for frame in frames:
        assert frame.timestep == 10 + 2 * frame.frame_index
        assert np.array_equal(frame.image, images[frame.serial][frame.frame_index])
        assert frame.alpha_map is None


def test_resumed_at_every_position_the_rest_is_the_same(
    cameras: dict[str, VideoSource], images: Images
) -> None:
    steps = {serial: ALL_STEPS[number::2] for number, serial in enumerate(SERIALS)}
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, steps, threads=2))
    mixing = Mixing(3, 8)
    unbroken = names_of(read_all(epochs, mixing))
    for position in range(len(unbroken) + 1):
        rest = read_all(epochs, mixing, position)
        assert names_of(rest) == unbroken[position:]
        for frame in rest:
            assert np.array_equal(frame.image, images[frame.serial][frame.frame_index])


def test_alpha_maps_of_other_groups_of_pictures_come_in_step(
    cameras: dict[str, VideoSource], alphas: dict[str, VideoSource], images: Images
) -> None:
    form = FrameFormat(layout="CHW")
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, alphas, form, threads=3))
    maps = {serial: decode_all(source.path) for serial, source in alphas.items()}
    frames = read_all(epochs, Mixing(3, 9), 5)
    assert len(frames) == 3 * N_FRAMES - 5
    for frame in frames:
        image = images[frame.serial][frame.frame_index]
        assert np.array_equal(frame.image, image.transpose(2, 0, 1))
        assert frame.alpha_map is not None
        alpha = maps[frame.serial][frame.frame_index][:, :, 0]
        assert np.array_equal(frame.alpha_map, alpha[None])
    assert alpha_format(form) == FrameFormat(channels="alpha", layout="CHW")


def test_arrays_that_are_smaller_than_frames_are_the_same_arrays(
    cameras: dict[str, VideoSource],
) -> None:
    form = FrameFormat(scale=0.25)
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, frame_format=form))
    for frame in read_all(epochs, Mixing(3, 9)):
        with cameras[frame.serial].open() as reader:
            assert np.array_equal(frame.image, reader.decode(frame.frame_index).to_array(form))


def test_left_early_at_any_moment_nothing_stays_open(cameras: dict[str, VideoSource]) -> None:
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, threads=3))
    before = open_things()
    for n_taken in (0, 1, 7, 3 * N_FRAMES):
        with epochs.open(epochs.begin(0, 0, Shard())) as reader:
            for position in range(n_taken):
                assert reader.wait_for(position) is not None
        assert open_things() == before
        with pytest.raises(ValueError, match="closed"):
            reader.wait_for(0)


def test_a_reader_that_was_asked_for_nothing_has_no_threads(
    cameras: dict[str, VideoSource],
) -> None:
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, threads=3))
    before = open_things()
    reader = epochs.open(epochs.begin(0, 0, Shard()))
    assert len(reader) == 3 * N_FRAMES
    assert open_things() == before


def test_a_frame_may_be_asked_for_again_but_not_an_earlier_one(
    cameras: dict[str, VideoSource],
) -> None:
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, threads=2))
    with epochs.open(epochs.begin(0, 0, Shard())) as reader:
        first = reader.wait_for(0)
        assert reader.wait_for(0) is first
        reader.wait_for(4)
        with pytest.raises(ValueError, match="no position 3 here: 4 to 68"):
            reader.wait_for(3)
        with pytest.raises(ValueError, match="no position 69"):
            reader.wait_for(69)


def test_a_damaged_frame_is_raised_at_the_same_place_whatever_the_threads(
    cameras: dict[str, VideoSource], tmp_path: Path
) -> None:
    source = cameras[SERIALS[0]]
    index = source.read_index()
    damaged = bytearray(source.path.read_bytes())
    packet = int(index.frame_packets[12])
    offset, size = int(index.offsets[packet]), int(index.sizes[packet])
    damaged[offset + 5 : offset + size] = bytes(size - 5)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged)
    given_out = set()
    for threads in (1, 2, 4):
        request = ShuffleRequest(
            {**cameras, SERIALS[0]: VideoSource(path)}, ALL_STEPS, threads=threads
        )
        epochs = ShuffledEpochs.read(request)
        frames: list[Frame] = []
        state = replace(epochs.begin(0, 0, Shard()), mixing=Mixing(4, 6))
        with epochs.open(state) as reader, pytest.raises(DecodeError) as raised:
            frames.extend(reader)
        assert raised.value.path == str(path)
        given_out.add((tuple(names_of(frames)), raised.value.frame))
    assert len(given_out) == 1
    assert len(frames) < 3 * N_FRAMES


def test_state_goes_through_json_and_pickle(cameras: dict[str, VideoSource]) -> None:
    request = pickle.loads(pickle.dumps(ShuffleRequest(cameras, ALL_STEPS)))
    epochs = ShuffledEpochs.read(request)
    shard = Shard(1, 2, 2, 3)
    state = replace(epochs.begin(5, 6, shard), mixing=Mixing(2, 5), position=4)
    stored = json.loads(json.dumps(state.to_dict(epochs.layout)))
    assert epochs.begin(0, 0, shard).restored(stored, epochs.layout) == state


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rank": 1}, "rank is 1 there, 0 here"),
        ({"n_workers": 3}, "n_workers is 3 there, 1 here"),
        ({"version": 9}, "version is 9 there"),
        ({"layout": "00"}, "of other frames"),
        ({"position": 70}, "position 70 is not in the epoch"),
        ({"position": "x"}, "not the state"),
        ({"n_lanes": 0}, "not the state"),
        ({"seed": None}, "not the state"),
    ],
)
def test_refuses_a_state_of_something_else(
    cameras: dict[str, VideoSource], changes: dict[str, object], words: str
) -> None:
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS))
    beginning = epochs.begin(0, 0, Shard())
    with pytest.raises(SelectionError, match=words):
        beginning.restored({**beginning.to_dict(epochs.layout), **changes}, epochs.layout)
    with pytest.raises(SelectionError, match="not the state"):
        beginning.restored({}, epochs.layout)


def test_refuses_what_cannot_be_shuffled(
    cameras: dict[str, VideoSource], alphas: dict[str, VideoSource], tmp_path: Path
) -> None:
    one = {SERIALS[0]: alphas[SERIALS[0]]}
    with pytest.raises(SelectionError, match=f"no alpha video of {SERIALS[1]}"):
        ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, one))
    with pytest.raises(SelectionError, match=f"no timesteps of {SERIALS[1]}"):
        ShuffledEpochs.read(ShuffleRequest(cameras, {SERIALS[0]: ALL_STEPS}))
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, memory_bytes=1000))
    with pytest.raises(ConfigurationError, match="MB at least"):
        epochs.begin(0, 0, Shard())


def test_a_forgotten_reader_may_be_found_by_its_own_threads(
    cameras: dict[str, VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector runs in any thread, at any time: also with the reader's lock held."""
    epochs = ShuffledEpochs.read(ShuffleRequest(cameras, ALL_STEPS, threads=2))
    reader = epochs.open(epochs.begin(1, 0, Shard()))
    convert = reader._let_convert
    found_in: list[threading.Thread] = []

    def collect(position: int) -> None:
        own = threading.current_thread()
        if not found_in and own.name.startswith("shuffled-"):
            found_in.append(own)
            reader.close()  # what __del__ of its owner does
        convert(position)

    monkeypatch.setattr(reader, "_let_convert", collect)
    with pytest.raises(ValueError, match="the reader is closed"):
        reader.wait_for(0)
    for thread in threading.enumerate():
        if thread.name.startswith("shuffled-"):
            thread.join(20)
    assert len(found_in) == 1
