"""The command line as a process of its own, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from nersemble_async.synthetic.server import FolderServer, serve_folder
from tests.support.corpora import Corpus, pointclouds, state_files, visible_files
from tests.support.fetching import Finished, command, command_environment, run_command

MIB = 1 << 20
SELECTED = ("nvs", "--participant", "388", "--assets", "pointclouds", "--pointcloud-frames", "all")


def write_served(folder: Path, corpus: Corpus) -> Path:
    """The corpus with the metadata.json that a plan is made from."""
    corpus.write(folder)
    sequences = {
        "388": {"sequence_name": "GLASSES", "timesteps": list(range(len(corpus.plan)))},
        **{
            number: {"sequence_name": name, "timesteps": [0]}
            for number, name in (
                ("422", "EXP-2-eyes"),
                ("443", "FREE"),
                ("445", "EXP-6-tongue-1"),
                ("475", "HAIR"),
            )
        },
    }
    (folder / "nvs/metadata.json").write_text(json.dumps({"sequences": sequences}), "utf-8")
    return folder


@dataclass(slots=True)
class SentBytes:
    """Counts what a server sent."""

    total: int = 0
    watch: Callable[[int], None] | None = None
    """Called with the total after each chunk."""

    def add(self, _path: str, count_bytes: int) -> None:
        self.total += count_bytes
        if self.watch is not None:
            self.watch(self.total)


@dataclass(frozen=True, slots=True)
class Place:
    """A served corpus and an empty root."""

    corpus: Corpus
    server: FolderServer
    root: Path
    sent: SentBytes

    async def run(self, *arguments: str, **environment: str) -> Finished:
        """The command line to its end, with ``environment`` on top of URL and root."""
        variables = command_environment(self.server.url, self.root, **environment)
        return await anyio.to_thread.run_sync(run_command, arguments, variables)

    async def fetch_json(self, *arguments: str) -> Any:
        """The report of a fetch of the whole corpus."""
        done = await self.run("fetch", *SELECTED, "--format", "json", *arguments)
        assert done.json["exit_code"] == done.code
        return done.json


@asynccontextmanager
async def served(tmp_path: Path, corpus: Corpus) -> AsyncIterator[Place]:
    sent = SentBytes()
    folder = write_served(tmp_path / "served", corpus)
    async with serve_folder(folder, on_bytes=sent.add) as server:
        yield Place(corpus, server, tmp_path / "root", sent)


def assert_no_secret(place: Place, *texts: str) -> None:
    """Neither the texts nor any file below the root hold the URL or its secret part."""
    token = place.server.url.rsplit("/", 1)[1]
    assert all(token not in text for text in texts)
    for path in place.root.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes()


@pytest.mark.asyncio
async def test_fetch_and_again(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([50_000] * 5)) as place:
        first = await place.run("fetch", *SELECTED)
        assert (first.code, first.err) == (0, f"data folder: {place.root}\n")
        assert first.out.startswith("Complete: 6 files,")
        assert "6 verified against a published sha-256" in first.out
        assert "\x1b" not in first.out
        sent_bytes = place.sent.total
        again = await place.run("fetch", *SELECTED)
        assert again.code == 0
        assert "6 already there; 0 B received" in again.out
        assert place.sent.total == sent_bytes
        assert_no_secret(place, first.out, first.err, again.out, again.err)


@pytest.mark.asyncio
async def test_official_spellings_select_the_same(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000] * 5)) as place:
        done = await place.run(
            *("fetch", "--assets", "pointclouds", "--participant", "388", "422"),
            *("--pointcloud_frames", "0", "3:5", "nvs", "--n_workers", "2", "--format=json"),
        )
        # 422 has no file on this server: one failure does not stop the others.
        assert done.code == 1
        outcomes = {file["path"][4:7]: file["outcome"] for file in done.json["files"]}
        assert outcomes["422"] == "failed"
        assert sorted(visible_files(place.root))[:-1] == [place.corpus.paths[i] for i in (0, 3, 4)]


@pytest.mark.asyncio
async def test_everything_from_the_environment(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000] * 9)) as place:
        done = await place.run(
            "fetch",
            "nvs",
            NERSEMBLE_PARTICIPANT="388",
            NERSEMBLE_ASSETS="pointclouds",
            NERSEMBLE_POINTCLOUD_FRAMES="0 2:9:3",
            NERSEMBLE_FORMAT="json",
            NERSEMBLE_LOG_FORMAT="json",
            NERSEMBLE_MAX_RATE="50M",
        )
        assert done.code == 0
        clouds = [path for path in sorted(visible_files(place.root)) if "pcd" in path]
        assert clouds == [place.corpus.paths[i] for i in (0, 2, 5, 8)]


@pytest.mark.asyncio
async def test_the_json_report(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([30_000] * 3)) as place:
        report = await place.fetch_json()
        assert (report["schema_version"], report["command"]) == (1, "fetch")
        assert report["outcomes"] == {
            "fetched": 3,
            "adopted": 0,
            "present": 1,
            "failed": 0,
            "skipped": 0,
        }
        assert report["received_bytes"] == place.corpus.total_bytes
        assert report["grades"]["published"] == len(report["files"]) == 4
        digests = {file["path"]: file["sha256"] for file in report["files"]}
        assert digests == visible_files(place.root)


@pytest.mark.asyncio
async def test_a_missing_file_fails_alone(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000] * 4)) as place:
        (tmp_path / "served" / place.corpus.paths[2]).unlink()
        quiet = await place.run("fetch", *SELECTED, "--format", "quiet")
        assert (quiet.code, quiet.out) == (1, "")
        report = await place.fetch_json()
        assert report["exit_code"] == 1
        (failed,) = [file for file in report["files"] if file["outcome"] == "failed"]
        assert failed["path"] == place.corpus.paths[2]
        assert failed["error"]["class"] == "RemoteFileMissingError"
        told = await place.run("fetch", *SELECTED)
        assert "1 file failed:" in told.out
        assert f"  {place.corpus.paths[2]}: " in told.out
        assert_no_secret(place, quiet.err, told.out, told.err, json.dumps(report))


@pytest.mark.asyncio
async def test_logs_go_to_stderr_and_hold_no_url(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000] * 4)) as place:
        (tmp_path / "served" / place.corpus.paths[2]).unlink()
        done = await place.run("fetch", *SELECTED, "--format=json", "--log-format=json")
        assert done.json["exit_code"] == 1
        events = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
        assert "file_failed" in {event["event"] for event in events}
        assert_no_secret(place, done.out, done.err)


@pytest.mark.asyncio
async def test_a_dry_run_fetches_no_data(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([100_000] * 3)) as place:
        told = await place.run("fetch", *SELECTED, "--dry-run")
        assert told.code == 0
        assert "it fits" in told.out
        report = await place.fetch_json("--dry-run")
        assert report["command"] == "fetch --dry-run"
        assert report["missing_bytes"] == place.corpus.total_bytes
        assert list(visible_files(place.root)) == ["nvs/metadata.json"]


@pytest.mark.asyncio
@pytest.mark.parametrize("option", ["--check-remote", "--overwrite"])
async def test_a_look_at_the_server_finds_new_files(tmp_path: Path, option: str) -> None:
    async with served(tmp_path, pointclouds([2_000] * 3)) as place:
        metadata = tmp_path / "served/nvs/metadata.json"
        of_all = metadata.read_text("utf-8")
        metadata.write_text(of_all.replace("[0, 1, 2]", "[0, 1]"), "utf-8")
        assert len((await place.fetch_json())["files"]) == 3
        metadata.write_text(of_all, "utf-8")
        assert len((await place.fetch_json())["files"]) == 3, "not asked for"
        report = await place.fetch_json(option)
        assert report["exit_code"] == 0
        assert len(report["files"]) == 4
        assert place.corpus.paths[2] in visible_files(place.root)


@pytest.mark.asyncio
async def test_status_verify_repair_and_checksums(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([3 * MIB, 20_000])) as place:
        await place.fetch_json()
        damaged = place.root / place.corpus.paths[0]
        body = bytearray(damaged.read_bytes())
        body[MIB + 5] ^= 1
        damaged.write_bytes(body)
        stray = place.root / "nvs/388/notes.txt"
        stray.write_text("mine", "utf-8")

        status = (await place.run("status", "nvs", "--format=json")).json
        (clouds,) = [asset for asset in status["assets"] if asset["asset"] == "pointclouds"]
        assert (clouds["complete"], clouds["unrecorded"]) == (1, 1)
        assert status["foreign"] == ["nvs/388/notes.txt"]
        assert "nvs/388/notes.txt" in (await place.run("status")).out

        found = await place.run("verify", "--format=json")
        assert found.code == 5
        (bad,) = [file for file in found.json["files"] if file["state"] == "damaged"]
        assert bad["path"] == place.corpus.paths[0]
        assert bad["damaged_ranges"] == [[MIB, 2 * MIB]]

        sent_bytes = place.sent.total
        mended = await place.run("verify", "--repair")
        assert mended.code == 0
        assert "Repair:\nComplete: 1 file" in mended.out
        assert place.sent.total - sent_bytes < 2 * MIB
        assert (await place.run("verify", "nvs")).code == 0  # never fetched is not damaged

        damaged.unlink()
        gone = await place.run("verify", "--participant", "388")
        assert gone.code == 1
        assert f"{place.corpus.paths[0]}: gone" in gone.out
        assert (await place.run("verify", "--repair", "--format=quiet")).code == 0

        sums = tmp_path / "sums.txt"
        assert (await place.run("checksums", str(sums))).code == 0
        assert (await place.run("checksums")).out == sums.read_text("utf-8")
        checked = await anyio.run_process(["sha256sum", "-c", str(sums)], cwd=place.root)
        assert checked.stdout.count(b": OK\n") == 3


@pytest.mark.asyncio
async def test_verify_finds_and_mends_damaged_metadata(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000])) as place:
        await place.fetch_json()
        (place.root / "nvs/metadata.json").write_text("{", "utf-8")
        found = await place.run("verify", "--format=json")
        assert found.code == 5
        states = {file["path"]: file["state"] for file in found.json["files"]}
        assert states == {"nvs/metadata.json": "damaged", place.corpus.paths[0]: "ok"}
        assert (await place.run("verify", "--repair", "--format=quiet")).code == 0
        assert (await place.run("verify", "nvs", "--format=quiet")).code == 0


@pytest.mark.asyncio
async def test_a_contradiction_of_given_checksums_is_an_integrity_fault(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000] * 2)) as place:
        sums = tmp_path / "sums.txt"
        sums.write_text(f"{'0' * 64}  {place.corpus.paths[1]}\n", "utf-8")
        report = await place.fetch_json("--checksums", str(sums))
        assert report["exit_code"] == 5
        assert [file["path"] for file in report["files"] if file["outcome"] == "failed"] == [
            place.corpus.paths[1]
        ]
        assert place.corpus.paths[1] not in visible_files(place.root)


@pytest.mark.asyncio
async def test_checksums_of_an_empty_root_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path, pointclouds([2_000])) as place:
        done = await place.run("checksums")
        assert (done.code, done.out) == (1, "")
        assert "nothing is recorded" in done.err
        assert "Nothing of this is recorded" in (await place.run("verify")).out


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_fetch_stops_cleanly_and_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with served(tmp_path, pointclouds([8 * MIB] * 4)) as place:
        place.server.bytes_per_second = 20e6
        arguments = command("fetch", *SELECTED, "--format", "json", "--connections", "2")
        async with await anyio.open_process(
            arguments, env=command_environment(place.server.url, place.root)
        ) as process:
            place.sent.watch = once(
                lambda: process.send_signal(number), place.corpus.total_bytes // 2
            )
            out, err = await all_of(process)
        assert process.returncode == 130
        report = json.loads(out)
        assert report["cancelled"]
        assert report["exit_code"] == 130
        assert len(report["files"]) == 5
        assert report["outcomes"]["skipped"] >= 1
        assert err.endswith("interrupted; run the same command again to go on\n")
        assert state_files(place.root, "parts") != []
        assert_no_secret(place, out, err)

        place.server.bytes_per_second = None
        rest = await place.fetch_json()
        assert rest["exit_code"] == 0
        # Nothing that was received is received again.
        assert report["received_bytes"] + rest["received_bytes"] == place.corpus.total_bytes
        assert len(visible_files(place.root)) == 5
        assert state_files(place.root, "parts") == []


def once(call: Callable[[], None], from_bytes: int) -> Callable[[int], None]:
    called = False

    def watch(sent_bytes: int) -> None:
        nonlocal called
        if sent_bytes >= from_bytes and not called:
            called = True
            call()

    return watch


async def all_of(process: anyio.abc.Process) -> tuple[str, str]:
    texts = {"out": "", "err": ""}

    async def read(name: str, stream: anyio.abc.ByteReceiveStream | None) -> None:
        assert stream is not None
        async for chunk in stream:
            texts[name] += chunk.decode()

    async with anyio.create_task_group() as group:
        group.start_soon(read, "out", process.stdout)
        group.start_soon(read, "err", process.stderr)
    await process.wait()
    return texts["out"], texts["err"]


STUBBORN = """
import sys
import anyio
from nersemble_async.cli.interruption import stopping_on_signals

async def work():
    async with stopping_on_signals() as scope:
        with anyio.CancelScope(shield=True):
            print("ready", file=sys.stderr, flush=True)
            await anyio.sleep_forever()

anyio.run(work)
"""


def test_a_second_interrupt_ends_at_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping;")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130


LEAKING = """
import os
from nersemble_async.cli import app

def explode(*_):
    raise RuntimeError("lost " + os.environ["NERSEMBLE_BENCHMARK_URL"])

app.expand_arguments = explode
app.main(["fetch"])
"""


def test_an_unexpected_traceback_does_not_hold_the_url(tmp_path: Path) -> None:
    secret = "https://host.example/a-secret-path-of-some-length"
    done = subprocess.run(
        [sys.executable, "-c", LEAKING],
        env={**os.environ, "NERSEMBLE_BENCHMARK_URL": secret, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "RuntimeError: lost <benchmark URL>" in done.stderr
    assert "a-secret-path" not in done.stderr
