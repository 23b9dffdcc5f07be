"""Pins: shared between users, exclusive for whoever evicts, gone with the last user."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nersemble_async.cache.pins import FilePin, exclusive, sweep_pins
from nersemble_async.errors import CacheLockedError


@pytest.fixture
def location(tmp_path: Path) -> Path:
    return tmp_path / "pins" / "nvs%2Fa"


def test_several_users_and_nobody_evicts(location: Path) -> None:
    first, second = FilePin(location), FilePin(location)
    assert first.hold()
    assert second.hold()
    first.release()
    with pytest.raises(CacheLockedError), exclusive(location):
        pass
    assert location.exists()
    second.release()
    assert not location.exists()
    with exclusive(location):
        pass
    assert not location.exists()


def test_nobody_pins_what_is_being_evicted(location: Path) -> None:
    pin = FilePin(location)
    with exclusive(location):
        assert not pin.hold()
    assert pin.hold(), "it is over: try again"
    pin.release()


def test_released_before_it_is_held(location: Path) -> None:
    """A cancelled task may let go while a thread is about to hold."""
    pin = FilePin(location)
    pin.release()
    assert pin.hold()
    assert not location.exists()
    pin.release()


def test_sweeping_leaves_those_in_use(location: Path) -> None:
    left = location.with_name("nvs%2Fleft")
    pin = FilePin(location)
    pin.hold()
    left.touch()
    sweep_pins(location.parent)
    assert [p.name for p in location.parent.iterdir()] == [location.name]
    pin.release()
    sweep_pins(location.parent / "none")


def test_the_pins_of_a_killed_process_are_gone(location: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from nersemble_async.cache.pins import FilePin\n"
        "pin = FilePin(pathlib.Path(sys.argv[1])); pin.hold(); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(location)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CacheLockedError), exclusive(location):
            pass
        process.kill()
        process.wait()
    assert location.exists()
    with exclusive(location):
        pass
    assert not location.exists()


def test_threads_that_pin_and_evict(location: Path) -> None:
    """At no time both; whoever waits gets its turn, though the file comes and goes."""
    inside: list[str] = []
    wrong: list[list[str]] = []

    def note(what: str, forbidden: set[str]) -> None:
        inside.append(what)
        if forbidden & set(inside):
            wrong.append(list(inside))
        inside.remove(what)

    def use() -> None:
        for _ in range(200):
            pin = FilePin(location)
            while not pin.hold():
                pass
            note("use", {"evict"})
            pin.release()

    def evict() -> None:
        done = 0
        while done < 50:
            with contextlib.suppress(CacheLockedError), exclusive(location):
                note("evict", {"use"})
                done += 1

    threads = [threading.Thread(target=target) for target in (use, use, use, evict)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not location.exists()
