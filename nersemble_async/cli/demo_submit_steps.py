"""The demo's steps that submit: written, killed, gone on with, validated, broken, looked at."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.streams.text import TextReceiveStream

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.cli.demo_method import DONE, in_the_middle
from nersemble_async.cli.demo_stage import DemoError
from nersemble_async.cli.wording import Line, bytes_in_words
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.workers import make_limiter, run_blocking

if TYPE_CHECKING:
    from pathlib import Path

    from nersemble_async.cli.demo_stage import Demo

_SPEC = BENCHMARKS["nvs"]
_N_VIDEOS = sum(len(names) for names in _SPEC.submission_sequences.values()) * len(
    _SPEC.submission_serials
)
_N_CAMERAS = len(_SPEC.submission_serials)
_KILL_IN_SEQUENCE = 2
"""Counted from 0: in the third of five."""


async def submit_and_kill(demo: Demo) -> None:
    """SIGKILL in the middle of the third sequence: what the renderer says decides, not a clock."""
    demo.say(
        "the method: each hold-out camera is shown what the nearest train camera saw, enlarged",
        f"from the stand-in's size to {' × '.join(map(str, _SPEC.frame_size))}; "
        f"written timestep by timestep, {_N_CAMERAS} cameras at once",
    )
    participant_id = list(_SPEC.submission_sequences)[_KILL_IN_SEQUENCE]
    lines = await _run_method(demo, "--wait-in", str(participant_id), kill_in=participant_id)
    if await anyio.Path(demo.submission).exists():
        raise DemoError(f"{demo.submission} is there although not all was written")
    demo.output.lines([Line(f"   killed with SIGKILL at {lines[-1]} timesteps", "bad")])
    partial_zip = demo.submission.with_name(f"{demo.submission.name}.partial")
    size = (await anyio.Path(partial_zip).stat()).st_size
    demo.say(f"there is no {demo.submission.name}, but {partial_zip.name} ({bytes_in_words(size)})")


async def submit_the_rest(demo: Demo) -> None:
    """The same program; whole videos of before are checked and kept."""
    lines = await _run_method(demo, "--resume")
    if not lines[-1].startswith(DONE):
        raise DemoError("the method ended before its submission was written")
    videos, frames, n_resumed, seconds, peak_bytes = map(float, lines[-1].split()[1:])
    if n_resumed != _KILL_IN_SEQUENCE * _N_CAMERAS or n_resumed + videos != _N_VIDEOS:
        raise DemoError(f"{n_resumed:.0f} videos of before were kept, {videos:.0f} written")
    size = bytes_in_words((await anyio.Path(demo.submission).stat()).st_size)
    width, height = _SPEC.frame_size
    rate = f"{frames / seconds:.1f} frames/s (of {width} × {height})"
    memory = f"{bytes_in_words(int(peak_bytes))} of memory at most"
    demo.say(
        f"{n_resumed:.0f} of {_N_VIDEOS} videos were there and are not written again: the kill "
        f"cost the {_N_CAMERAS} that were open",
        f"{videos:.0f} videos, {frames:.0f} frames in {seconds:.1f} s, from start to checked zip: "
        f"{rate}",
        f"{memory} with {_N_CAMERAS} videos open; a longer video takes no more",
    )
    demo.summary += [
        ("submission", f"{_N_VIDEOS} videos, {size}, interrupted once with SIGKILL"),
        ("written with", f"{rate}, {memory}"),
    ]


async def _run_method(demo: Demo, *options: str, kill_in: int | None = None) -> list[str]:
    """What it printed, line by line; killed in the middle of a participant's sequence, if asked."""
    module = "nersemble_async.cli.demo_method"
    arguments = [str(demo.root), str(demo.submission), *options]
    demo.output.lines([Line(f"   $ python -m {module} {' '.join(arguments)}", "strong")])
    lines: list[str] = []
    async with await anyio.open_process(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stderr=None,
        env=demo.environment(),
    ) as process:
        if process.stdout is None:
            raise DemoError("the method's lines cannot be read")
        rest = ""
        async for text in TextReceiveStream(process.stdout):
            *whole, rest = (rest + text).split("\n")
            for line in whole:
                lines.append(line)
                where, _, count = line.partition(" ")
                if line.startswith(DONE):
                    continue
                n_written, n_frames = map(int, count.split("/"))
                if n_written == n_frames:
                    demo.say(f"{where}: {n_frames} timesteps × {_N_CAMERAS} cameras")
                if where.startswith(f"{kill_in}/") and in_the_middle(n_written, n_frames):
                    process.kill()
        code = await process.wait()
    if code != (0 if kill_in is None else -signal.SIGKILL):
        raise DemoError(f"the method ended with exit code {code}")
    return lines


async def validate(demo: Demo) -> None:
    """Every rule, with the fetched data at hand."""
    code = await demo.run("validate", "nvs", str(demo.submission))
    if code != ExitCode.OK:
        raise DemoError(f"validate ended with exit code {code}")


async def validate_broken(demo: Demo) -> None:
    """A copy with flaws of three sorts: all are found in one run."""
    broken = demo.out / "broken_submission.zip"
    swapped, cut, missing = await run_blocking(
        make_limiter(), partial(_break, demo.submission, broken)
    )
    demo.say(
        f"a copy in which {' and '.join(swapped)} are swapped,",
        f"{cut} is cut off, and {missing} is not there:",
    )
    code = await demo.run("validate", "nvs", str(broken))
    if code != ExitCode.SOME_FAILED:
        raise DemoError(f"validate ended with exit code {code} for a broken submission")
    demo.summary.append(("validated", "valid (exit code 0); a broken copy refused (exit code 1)"))


def _break(whole: Path, broken: Path) -> tuple[tuple[str, str], str, str]:
    """Which two entries were swapped, which one cut off, which one left out; blocking."""
    with zipfile.ZipFile(whole) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    paths = [
        [_SPEC.submission_files[0].path(p, name, serial) for serial in _SPEC.submission_serials]
        for p, names in _SPEC.submission_sequences.items()
        for name in names
    ]
    left, right = paths[0][0], paths[0][-1]
    files[left], files[right] = files[right], files[left]
    cut, missing = paths[1][0], paths[2][0]
    files[cut] = files[cut][: len(files[cut]) // 2]
    del files[missing]
    with zipfile.ZipFile(broken, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return (left, right), cut, missing


async def preview(demo: Demo) -> None:
    """Each video, and over it what its camera has to see: a nearest camera does not quite fit."""
    demo.say(
        "beside each picture the pointcloud over it, as the hold-out camera sees it: they differ",
        "as much as the nearest train camera is off, so this method is none to submit",
    )
    picture = demo.out / "submission.png"
    arguments = (str(demo.submission), str(picture), "--overlay", "pointcloud")
    code = await demo.run("preview", *arguments)
    if code != ExitCode.OK:
        raise DemoError(f"preview ended with exit code {code}")
    demo.summary += [("submission drawn", str(picture)), ("its zip", str(demo.submission))]
