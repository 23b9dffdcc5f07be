"""The command line's own matters: help, version, usage errors that name option and variable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nersemble_async
from nersemble_async.cli.app import main
from nersemble_async.settings import Settings

SECRET = "https://host.example/a-secret-path-of-some-length"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process; gives exit code, stdout, stderr."""
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # so that it is put back afterwards

    def run_it(*arguments: str, **environment: str) -> tuple[int, str, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run_it


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"nersemble-async {nersemble_async.__version__}\n", "")


OPTIONS = {
    "root": "BENCHMARK_FOLDER",
    **{
        name: name.upper().replace("-", "_")
        for name in (
            *("assets", "participant", "sequence", "serial", "pointcloud-frames"),
            *("connections", "max-rate", "checksums", "overwrite", "check-remote", "dry-run"),
            *("read-timeout", "fail-fast", "format", "log-format"),
        )
    },
}


def test_help_names_every_option_and_its_variable(run: Run) -> None:
    code, out, _ = run("fetch", "--help")
    words = " ".join(out.split())
    assert code == 0
    # Each option's text reaches from its name to the next option's.
    begins = {name: words.index(f" --{name} ") for name in OPTIONS}
    for name, begin in begins.items():
        end = min([at for at in begins.values() if at > begin], default=len(words))
        assert f"env var: NERSEMBLE_{OPTIONS[name]}" in words[begin:end]
    assert "url" not in " ".join(word for word in words.split() if word.startswith("--"))


def test_help_tells_the_defaults_that_hold(run: Run) -> None:
    words = " ".join(run("fetch", "--help")[1].split())
    settings = Settings()
    assert "Fetch nothing but a metadata.json that is not there;" in words
    assert f"Connections at a time. [default: {settings.connections}]" in words
    assert f"made anew. [default: {settings.read_timeout:g}]" in words
    assert f"Events on stderr. [default: {settings.log_format}]" in words


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("fetch nsv", "'nsv' is not a task; there are nvs, mono_flame_avatar, svfr"),
        ("fetch --participant", "--participant needs at least one value"),
        ("fetch --participant x", "--participant' (env var: 'NERSEMBLE_PARTICIPANT')"),
        ("fetch --participant 999", "unknown participant 999"),
        ("fetch --assets all images", "--assets' (env var: 'NERSEMBLE_ASSETS')"),
        ("fetch --assets imags", "unknown asset 'imags', did you mean images?"),
        ("fetch --pointcloud-frames x", "--pointcloud-frames' (env var:"),
        ("fetch --pointcloud-frames 0:9:0", "step of a range of pointcloud frames cannot be 0"),
        ("fetch --connections 0", "--connections' (env var: 'NERSEMBLE_CONNECTIONS')"),
        ("fetch --n_workers many", "--connections' (env var: 'NERSEMBLE_CONNECTIONS')"),
        ("fetch --max-rate fast", "--max-rate' (env var: 'NERSEMBLE_MAX_RATE')"),
        ("fetch --max-rate 0", "would let nothing through"),
        ("fetch --read-timeout 0", "--read-timeout' (env var: 'NERSEMBLE_READ_TIMEOUT')"),
        ("fetch --read-timeout nan", "--read-timeout' (env var: 'NERSEMBLE_READ_TIMEOUT')"),
        ("fetch --checksums /does/not/exist", "--checksums' (env var: 'NERSEMBLE_CHECKSUMS')"),
        ("fetch --format xml", "--format' (env var: 'NERSEMBLE_FORMAT')"),
        ("fetch --log-format xml", "--log-format' (env var: 'NERSEMBLE_LOG_FORMAT')"),
        ("fetch --no-such-option", "--no-such-option"),
        ("verify --serial 1", "unknown serial '1'"),
        ("synthesize out --scale huge", "there is no 'huge'; there are tiny, small, full-size"),
        ("synthesize out --nvs-width 33", "videos need an even width"),
        ("demo --out .", "is not empty"),
        ("status some_folder", "(the folder is given with --root)"),
    ],
)
def test_usage_errors_name_what_is_wrong(
    run: Run, tmp_path: Path, arguments: str, named: str
) -> None:
    code, out, err = run(*arguments.split(), NERSEMBLE_BENCHMARK_FOLDER=str(tmp_path / "root"))
    assert (code, out) == (2, "")
    assert named in err
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NERSEMBLE_READ_TIMEOUT", "soon"),
        ("NERSEMBLE_CONNECTIONS", "1000"),
        ("NERSEMBLE_MAX_RATE", "50X"),
        ("NERSEMBLE_RETRIES", "-1"),
        ("NERSEMBLE_POINTCLOUD_FRAMES", "0 x"),
        ("NERSEMBLE_DRY_RUN", "perhaps"),
    ],
)
def test_a_bad_variable_is_named(run: Run, variable: str, value: str) -> None:
    code, _, err = run("fetch", "--root", "/nonexistent", **{variable: value})
    assert code == 2
    assert variable in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", SECRET),
        ("fetch", "--assets", SECRET),
        ("fetch", "--root", SECRET),
        ("fetch", f"--checksums={SECRET}"),
        ("fetch", f"--{SECRET}"),
        ("fetch", "--", SECRET),
        ("synthesize", SECRET),
        (SECRET,),
    ],
)
def test_a_url_on_the_command_line_is_refused_and_not_repeated(
    run: Run, arguments: tuple[str, ...]
) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert "a-secret-path" not in out + err
    assert "NERSEMBLE_BENCHMARK_URL" in err


def test_a_url_in_another_variable_is_refused_and_not_repeated(run: Run) -> None:
    code, out, err = run("fetch", NERSEMBLE_ASSETS=SECRET)
    assert code == 2
    assert "a-secret-path" not in out + err


def test_a_bad_url_is_not_repeated(run: Run) -> None:
    code, out, err = run("fetch", NERSEMBLE_BENCHMARK_URL="ftp://host/a-secret-path-of-some-length")
    assert code == 2
    assert "NERSEMBLE_BENCHMARK_URL" in err
    assert "a-secret-path" not in out + err


def test_a_script_without_url_is_told_what_to_do(run: Run, tmp_path: Path) -> None:
    code, out, err = run("fetch", "--root", str(tmp_path), "--format", "json")
    assert code == 3
    assert "~/.config/nersemble_benchmark/.env" in err
    document = json.loads(out)
    assert document["exit_code"] == 3
    assert document["error"]["class"] == "MissingBenchmarkUrlError"


def test_an_error_in_json_before_there_are_settings(run: Run) -> None:
    code, out, _ = run("status", "--format", "json", NERSEMBLE_RETRIES="x")
    assert code == 2
    assert json.loads(out)["error"]["class"] == "ConfigurationError"
    assert json.loads(out)["root"] is None


def test_a_report_that_finds_no_room_is_one_message(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nersemble_async", "status", "--format", "json"],
            env={**os.environ, "NERSEMBLE_BENCHMARK_FOLDER": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert "Error: No space left on device\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 4


def test_the_default_root_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _, _, err = run("status")
    assert f"data folder: {tmp_path}" in err
    assert "--root or NERSEMBLE_BENCHMARK_FOLDER choose another" in err
    _, _, err = run("status", "--root", str(tmp_path / "mine"))
    assert err == f"data folder: {tmp_path / 'mine'}\n"
    assert run("status", "--format", "quiet") == (0, "", "")


# typer itself needs pydantic.
HEAVY = ["aiohttp", "av", "numpy", "PIL", "rich", "structlog", "trimesh"]


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], HEAVY),
        (["fetch", "--help"], HEAVY),
        (
            ["fetch", "svfr", "--root", "/nonexistent/root"],
            ["av", "numpy", "PIL", "rich", "trimesh", "nersemble_async.synthetic"],
        ),
    ],
)
def test_a_command_imports_only_what_it_uses(arguments: list[str], absent: list[str]) -> None:
    script = (
        "import sys\n"
        "from nersemble_async.cli.app import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "finally:\n"
        f"    print('loaded', sorted(set({absent!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "loaded []"
