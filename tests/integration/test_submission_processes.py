"""Several processes and one submission: forks, a second writer, a folder that is not one's own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import CacheLockedError
from nersemble_async.submission.reading.video_readers import MonoFlameAvatarSubmissionDataReader
from nersemble_async.submission.writing.video_writers import MonoFlameAvatarSubmissionDataWriter
from tests.support.submissions import Lengths

ROOT = Path(__file__).parents[2]
WHERE = (393, "FREE", "222200037")
N_FRAMES = 100

BEGIN = """
import gc, json, os, sys
import numpy as np
from nersemble_async.errors import NersembleError
from nersemble_async.submission.writing.video_writers import MonoFlameAvatarSubmissionDataWriter
from tests.support.submissions import Lengths

still = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
def frame(index):
    image = np.full((512, 512, 3), 255, np.uint8)
    image[:64] = still[:64]
    image[64:] = index
    return image

target, threads = sys.argv[1], int(sys.argv[2])
writer = MonoFlameAvatarSubmissionDataWriter(
    target, metadata=Lengths(100), resume=True, allow_partial=True, threads=threads
)
def told(call, *arguments):
    try:
        call(*arguments)
    except NersembleError as error:
        return str(error)
"""

FORK = f"""{BEGIN}
video = writer.open_video(393, "FREE", "222200037")
for index in range(70):
    video.write(frame(index))
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    said = [
        told(video.write, frame(0)), told(video.close), told(video.drop),
        told(writer.open_video, 393, "FREE", "222200039"), told(writer.keep), told(writer.close),
    ]
    del video, writer
    gc.collect()
    os.write(writing, json.dumps(said).encode())
    sys.exit(0)
os.close(writing)
_, status = os.waitpid(child, 0)
for index in range(70, 100):
    video.write(frame(index))
video.close()
writer.close()
print(json.dumps([status, json.loads(os.read(reading, 100000))]))
"""

ORPHAN = f"""{BEGIN}
writer.add_video(393, "FREE", "222200037", map(frame, range(100)))
if os.fork():
    print("begun", flush=True)
    os.kill(os.getpid(), 9)
os.close(1)
sys.stdin.read()  # for as long as the test lets it live
"""


def run(code: str, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_forked_child_leaves_the_writer_to_its_parent(tmp_path: Path, threads: int) -> None:
    status, said = run(FORK, tmp_path / "a.zip", threads)
    assert status == 0
    is_the_parents = "393/FREE/cam_222200037.mp4 is written by the process that opened it"
    assert said[0].startswith(is_the_parents)
    assert said[1:3] == [None, None]
    assert said[3].endswith("a.zip is closed")
    assert said[4:] == [None, None]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
    with MonoFlameAvatarSubmissionDataReader(tmp_path / "a.zip") as reader:
        frames = reader.load_video(*WHERE)
    levels = [float(np.median(image[64:])) for image in frames]
    assert levels == pytest.approx(range(N_FRAMES), abs=3)


def test_a_child_that_outlives_its_killed_parent_holds_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path / "a.zip"), "1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "begun\n"
        assert parent.wait() == -signal.SIGKILL
        with MonoFlameAvatarSubmissionDataWriter(
            tmp_path / "a.zip", metadata=Lengths(N_FRAMES), resume=True, allow_partial=True
        ) as writer:
            assert writer.resumed == {"393/FREE/cam_222200037.mp4"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_second_process_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    size = BENCHMARKS["mono_flame_avatar"].frame_size
    frames = np.zeros((2, *size, 3), np.uint8)
    with MonoFlameAvatarSubmissionDataWriter(
        tmp_path / "a.zip", metadata=Lengths(2), allow_partial=True
    ) as writer:
        writer.add_video(*WHERE, frames)
        with writer.open_video(393, "FREE", "222200039") as video:
            video.write(frames[0])
            done = subprocess.run(
                [sys.executable, "-c", BEGIN, str(tmp_path / "a.zip"), "1"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            told = "a.zip.partial is being written, by another process or by a writer in this one"
            assert told in done.stderr
            with pytest.raises(CacheLockedError, match="by a writer in this one"):
                MonoFlameAvatarSubmissionDataWriter(
                    tmp_path / "a.zip", metadata=Lengths(2), resume=False
                )
            video.write(frames[1])
    with MonoFlameAvatarSubmissionDataReader(tmp_path / "a.zip") as reader:
        assert len(reader.load_video(393, "FREE", "222200039")) == 2


REFUSED = """
import os, sys
from pathlib import Path
from nersemble_async.errors import CacheError
from nersemble_async.submission.writing.archive import Archive
if os.getuid() == 0:  # who may everything
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
for target in sys.argv[1:]:
    try:
        Archive(Path(target), {}, resume=None)
    except CacheError as error:
        print(error)
"""


def test_a_folder_that_may_not_be_written_is_told() -> None:
    with tempfile.TemporaryDirectory() as outer:  # pytest's are closed to others
        folders = [Path(outer, name) for name in ("read", "none")]
        for folder, mode in zip([Path(outer), *folders], (0o755, 0o555, 0o000), strict=True):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        targets = [f"{outer}/{name}/a.zip" for name in ("read", "none", "none/deeper")]
        done = subprocess.run(
            [sys.executable, "-c", REFUSED, *targets],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    expected = [f"{target}.partial: Permission denied" for target in targets]
    assert done.stdout.splitlines() == expected
