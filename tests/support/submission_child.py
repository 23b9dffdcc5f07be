"""Processes that write a submission, and die when they are told to.

Run as a script it is their parent, which has loaded everything: it takes orders as lines of JSON,
forks a child for each and answers with its id; asked, it answers with how the child ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nersemble_async.submission.validation import mesh_validation, video_validation
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.submission.writing.video_writers import MonoFlameAvatarSubmissionDataWriter
from tests.support.submissions import (
    FACES,
    VERTICES,
    Lengths,
    mesh_entries,
    picture,
    video_entries,
)

N_VIDEOS, N_FRAMES, N_MESHES = 5, 3, 30
TASKS = {"videos": "mono_flame_avatar", "meshes": "svfr"}
_LOADED_EARLY = (mesh_validation, video_validation)


@dataclass(frozen=True)
class Order:
    """What a child does."""

    kind: str
    """videos or meshes."""
    target: str
    log: str
    """A file: ``begun`` and the paths that were resumed, then ``closed`` and a path; in lines."""
    dies_at: int | None = None
    """At which of its looks at and changes of files (0: the first); None: at none."""


def write_videos(order: Order) -> None:
    """Three are open at a time, as of a renderer that goes from timestep to timestep."""
    with MonoFlameAvatarSubmissionDataWriter(
        order.target, metadata=Lengths(N_FRAMES), resume=True, allow_partial=True, threads=2
    ) as writer:
        _log(order, "begun", *writer.resumed)
        entries = [
            (number, entry)
            for number, entry in enumerate(video_entries("mono_flame_avatar")[:N_VIDEOS])
            if entry.path not in writer.resumed
        ]
        size = (512, 512)
        for first in range(0, len(entries), 3):
            together = [
                (number, writer.open_video(e.participant_id, e.sequence_name, e.serial))
                for number, e in entries[first : first + 3]
            ]
            for index in range(N_FRAMES):
                for number, video in together:
                    video.write(picture(size, number, index))
            for _, video in together:
                video.close()
                _log(order, "closed", video.entry.path)


def write_meshes(order: Order) -> None:
    """Each with landmarks."""
    with SVFRSubmissionDataWriter(order.target, resume=True, allow_partial=True) as writer:
        _log(order, "begun", *writer.resumed)
        for number, entry in enumerate(mesh_entries("posed")[:N_MESHES]):
            assert entry.timestep is not None
            key = (entry.participant_id, entry.sequence_name, entry.timestep, entry.serial)
            vertices = (VERTICES + number).astype(np.float32)
            landmarks = vertices[:7].astype(np.float64)
            if writer.add_posed_mesh(*key, (vertices, FACES), landmarks):
                _log(order, "closed", entry.path)


def _log(order: Order, *words: str) -> None:
    descriptor = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, (" ".join(words) + "\n").encode())
    os.close(descriptor)


def _die_at(order: Order) -> None:
    """Let the process be killed before its n-th call about a file of the submission."""
    left = order.dies_at
    prefix = str(Path(order.target).parent)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        is_about_files = event in {"open", "shutil.rmtree"} or event.startswith("os.")
        if left is None or not is_about_files:
            return
        is_descriptor = event == "os.truncate"
        if is_descriptor or (arguments and str(arguments[0]).startswith(prefix)):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(hook)


def _child(order: Order) -> None:
    _die_at(order)
    (write_videos if order.kind == "videos" else write_meshes)(order)


class Children:
    """The side of the tests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, order: Order) -> int:
        """Have a child begin; its process id, which stays its own until `wait`."""
        return self._ask(json.dumps(asdict(order)))

    def wait(self) -> int:
        """Exit code of the child; negative: the signal."""
        return self._ask("wait")

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def children() -> Iterator[Children]:
    """Their parent, ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.submission_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            yield Children(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _serve() -> None:
    child = 0
    for line in sys.stdin:
        if line == "wait\n":
            _, status = os.waitpid(child, 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = child = os.fork()
            if child == 0:
                _child(Order(**json.loads(line)))
                os._exit(0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
