"""The base URL is the credential: whatever goes wrong, it is found in nothing that is left behind.

Looked through are stdout, stderr, logs, reports, errors with their causes, every file below the
root by name and content, and what other users see of the process.
"""

from __future__ import annotations

import logging
import signal
import traceback
from pathlib import Path

import pytest

from nersemble_async.fetch.fetcher import Fetcher
from tests.support import faults
from tests.support.corpora import FETCH_POINTCLOUDS, Corpus, pointclouds, with_metadata
from tests.support.faulty_server import Answer, Ending, Fault, FaultyServer
from tests.support.fetching import command_environment, fetch, run_command, settings_for, started


def every_fault(server: FaultyServer) -> list[Fault]:
    """One for each way in which a file can fail."""
    here = server.url
    return [
        *(faults.status(code) for code in (400, 401, 403, 404, 410, 429, 500, 503)),
        faults.status(503, retry_after="86400"),
        *(faults.silence(ending) for ending in (Ending.CLOSE, Ending.RESET, Ending.STALL)),
        *(faults.cut(700, ending) for ending in (Ending.CLOSE, Ending.RESET, Ending.STALL)),
        faults.garbage(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        faults.garbage(b"HTTP/1.1 200 OK\r\nbad header\x00line\r\n\r\n"),
        faults.garbage(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n"),
        faults.redirect(f"{here}/nvs/metadata.json?{here}"),
        faults.redirect(f"/{server.token}/missing"),
        faults.redirect(f"ftp://127.0.0.1:{server.port}/{server.token}/x"),
        faults.redirect(f"http://[nonsense:{server.port}/{server.token}/x"),
        faults.redirect(f"http://127.0.0.1:1/{server.token}"),
        faults.redirect(f"http://{'s' * 70}.example:{server.port}/{server.token}"),
        faults.redirect(""),
        faults.headers(content_encoding=f"secret-{server.token}"),
        faults.headers(repr_digest="sha-256=:" + "A" * 43 + "=:"),
        faults.shorter_part(0),
        # A server may well tell where it lives in what it sends.
        lambda _q, _a: Answer(
            404, {"content-length": str(len(here)), "x-url": here}, here.encode()
        ),
        lambda _q, _a: Answer(200, {"content-length": str(len(here))}, here.encode()),
    ]


@pytest.fixture
def broken(server: FaultyServer) -> Corpus:
    """A corpus each of whose files fails in its own way."""
    all_faults = every_fault(server)
    corpus = with_metadata(pointclouds([3000] * len(all_faults)))
    for path, body in corpus.bodies.items():
        server.put(path, body)
    for path, fault in zip(corpus.paths[1:], all_faults, strict=True):
        server.always[path] = fault
    return corpus


def secrets_of(server: FaultyServer) -> tuple[str, ...]:
    return (server.token, "127.0.0.1", f":{server.port}", f"{server.port}/")


def assert_silent(secrets: tuple[str, ...], root: Path, **texts: str) -> None:
    """None of the secrets stand in a text, or in the name or content of a file below the root."""
    for name, text in texts.items():
        assert [s for s in secrets if s in text] == [], f"{name} tells it"
    for path in root.rglob("*"):
        # Bytes that the server sent are the server's words; so only our own files are read.
        content = path.read_bytes() if path.is_file() and ".pcd" not in path.name else b""
        own = content + str(path.relative_to(root)).encode()
        assert [s for s in secrets if s.encode() in own] == [], f"{path} tells it"


@pytest.mark.parametrize(("output", "log_format"), [("json", "console"), ("human", "json")])
def test_the_command_line_keeps_it(
    server: FaultyServer, broken: Corpus, tmp_path: Path, output: str, log_format: str
) -> None:
    root = tmp_path / "root"
    environment = command_environment(
        server.url,
        root,
        NERSEMBLE_RETRIES="1",
        NERSEMBLE_READ_TIMEOUT="0.5",
        NERSEMBLE_LOG_FORMAT=log_format,
        NERSEMBLE_CONNECTIONS="16",
    )
    done = run_command((*FETCH_POINTCLOUDS, "--format", output), environment)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    assert_silent(secrets_of(server), root, out=done.out, err=done.err)
    assert done.err.count("file_failed") >= 25, "otherwise this shows less than it says"


@pytest.mark.asyncio
async def test_the_library_keeps_it(
    server: FaultyServer, broken: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run = await fetch(server.url, tmp_path, broken.plan, retries=1, read_timeout=0.5)
    told = [repr(run.report), *map(repr, run.events)]
    for file in run.report.failures:
        assert file.error is not None
        told += [repr(file.error), str(file.error)]
        told += traceback.format_exception(file.error)
        error: BaseException | None = file.error
        while error is not None:
            told += [repr(error), repr(error.args), repr(vars(error))]
            assert error.__context__ is error.__cause__ or error.__suppress_context__
            error = error.__cause__
    own_logs = "\n".join(r.getMessage() for r in caplog.records if r.name != "asyncio")
    assert_silent(secrets_of(server), tmp_path, told="\n".join(told), logs=own_logs)
    settings = settings_for(server.url, tmp_path)
    async with Fetcher(settings) as fetcher:
        texts = {"settings": repr(settings), "dumped": str(settings.model_dump())}
        texts["fetcher"] = repr(fetcher) + repr(vars(fetcher))
    assert_silent(secrets_of(server), tmp_path, **texts)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/SECRET", 1),
        ("http://[::1]:1/SECRET", 1),
        (f"http://{'SECRET' * 12}.example/x", 1),
        ("https://127.0.0.1:PORT/SECRET", 1),
        ("http://127.0.0.1:99999/SECRET", None),
        ("http://user:SECRET@127.0.0.1:PORT/SECRET", None),
        ("http://127.0.0.1:PORT/SECRET?key=SECRET#SECRET", None),
        ("ftp://host/SECRET", None),
        ("SECRET", None),
        ("http://host/with space/SECRET", None),
        ("http://[SECRET", None),
        ("http://host/SECRET\x7f\u2028", None),
    ],
)
def test_urls_that_lead_nowhere(
    server: FaultyServer, tmp_path: Path, url: str, code: int | None
) -> None:
    root = tmp_path / "root"
    environment = command_environment(
        url.replace("PORT", str(server.port)),
        root,
        NERSEMBLE_RETRIES="1",
        NERSEMBLE_READ_TIMEOUT="0.5",
    )
    done = run_command((*FETCH_POINTCLOUDS, "--log-format", "json"), environment)
    assert done.code == code or (code is None and done.code in (1, 2, 3)), done.err
    assert "Traceback" not in done.err
    secrets = ("SECRET", "secret" * 12, "127.0.0.1", f":{server.port}")
    assert_silent(secrets, root, out=done.out, err=done.err)


def test_other_users_of_the_machine_do_not_see_it(server: FaultyServer, tmp_path: Path) -> None:
    root = tmp_path / "root"
    server.always["nvs/metadata.json"] = faults.silence(Ending.STALL)
    with started(FETCH_POINTCLOUDS, command_environment(server.url, root)) as process:
        assert server.stalled.wait(timeout=30)
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        for name in Path(f"/proc/{process.pid}/task").glob("*/comm"):
            seen += name.read_text()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert_silent(secrets_of(server), root, seen=seen, out=out, err=err)
    assert "fetch" in seen


def test_a_root_that_cannot_be_written_to(server: FaultyServer, tmp_path: Path) -> None:
    corpus = with_metadata(pointclouds([3000]))
    for path, body in corpus.bodies.items():
        server.put(path, body)
    root = tmp_path / "root"
    root.mkdir()
    (root / ".nersemble_async").write_text("a file")
    environment = command_environment(server.url, root, NERSEMBLE_LOG_FORMAT="json")
    done = run_command(FETCH_POINTCLOUDS, environment)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert_silent(secrets_of(server), tmp_path, out=done.out, err=done.err)
