"""Settings: code, environment, the official .env file; and that no error repeats a value."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nersemble_async.errors import MissingBenchmarkUrlError
from nersemble_async.settings import Settings, env_file_path, parse_bytes, store_benchmark_url
from tests.support.official import run_official

URL = "https://kaldir.vc.in.tum.de/nersemble_benchmark/s3cr3t-Token_~!*'();:@&=+$,"


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the official toolkit's file stands, in a home of this test alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = env_file_path()
    assert path == tmp_path / ".config" / "nersemble_benchmark" / ".env"
    path.parent.mkdir(parents=True)
    return path


def url_of(settings: Settings) -> str | None:
    url = settings.benchmark_url
    return None if url is None else url.get_secret_value()


# ---- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("50M", 50_000_000),
        ("50m", 50_000_000),
        ("50MB", 50_000_000),
        ("50MB/s", 50_000_000),
        ("1.5G", 1_500_000_000),
        ("512KiB", 524_288),
        ("512Ki", 524_288),
        ("4GiB", 4 << 30),
        ("1TiB/s", 1 << 40),
        (" 7 K ", 7000),
        ("123B", 123),
        ("0.29M", 290_000),
    ],
)
def test_parse_bytes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@given(
    st.integers(0, 10**6),
    st.sampled_from([("", 1), ("K", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12)]),
    st.sampled_from(["", "B", "/s", "B/s"]),
    st.booleans(),
)
def test_parse_bytes_of_whole_numbers(
    number: int, unit: tuple[str, int], suffix: str, lower: bool
) -> None:
    text = f"{number}{unit[0]}{suffix}"
    assert parse_bytes(text.lower() if lower else text) == number * unit[1]


@pytest.mark.parametrize(("text", "expected"), [("1.001K", 1001), ("9007199254740993", 2**53 + 1)])
def test_parse_bytes_is_exact(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "M", "-5M", "5X", "5 5M", "1e6", "nan", "inf", ".5M", "5.M", "5MM", "0x10", "5/s/s"],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 50M"):
        parse_bytes(text)


@given(st.text())
def test_garbage_is_refused_or_a_size(text: str) -> None:
    try:
        size = parse_bytes(text)
    except ValueError:
        return
    assert size >= 0


# ---- where settings come from -------------------------------------------------------------------


def test_defaults(env_file: Path) -> None:
    settings = Settings.load()
    assert settings.benchmark_url is None
    assert (settings.connections, settings.read_timeout, settings.max_rate) == (8, 30.0, None)
    assert settings.cache_limit is None
    assert (settings.frame_cache_folder, settings.frame_cache_limit) == (None, None)
    assert settings.root == platformdirs.user_cache_path("nersemble_async") / "benchmark"
    with pytest.raises(MissingBenchmarkUrlError, match="NERSEMBLE_BENCHMARK_URL"):
        settings.require_url()
    assert not env_file.exists()


def test_every_field_has_its_variable(monkeypatch: pytest.MonkeyPatch, env_file: Path) -> None:
    given = {
        "benchmark_url": URL,
        "benchmark_folder": "/data/x",
        "connections": "3",
        "read_timeout": "5",
        "max_rate": "50M",
        "cache_limit": "4GiB",
        "frame_cache_folder": "/data/frames",
        "frame_cache_limit": "200G",
        "retries": "0",
        "retry_base_seconds": "0.5",
        "checksums": "sums.txt",
        "log_format": "json",
    }
    assert given.keys() == Settings.model_fields.keys()
    for name, value in given.items():
        monkeypatch.setenv(f"NERSEMBLE_{name.upper()}", value)
    settings = Settings.load()
    assert url_of(settings) == URL
    assert settings.root == settings.benchmark_folder == Path("/data/x")
    assert settings.checksums == Path("sums.txt")
    numbers = settings.connections, settings.read_timeout, settings.max_rate
    assert numbers == (3, 5.0, 50_000_000)
    assert settings.cache_limit == 4 << 30
    assert settings.frame_cache_folder == Path("/data/frames")
    assert settings.frame_cache_limit == 200_000_000_000
    assert (settings.retries, settings.retry_base_seconds) == (0, 0.5)
    assert settings.log_format == "json"


def test_code_wins_over_environment_and_environment_over_the_file(
    monkeypatch: pytest.MonkeyPatch, env_file: Path
) -> None:
    env_file.write_text(f'NERSEMBLE_BENCHMARK_URL="{URL}"\nNERSEMBLE_CONNECTIONS=2\n')
    assert (url_of(Settings.load()), Settings.load().connections) == (URL, 2)
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_URL", "https://other.example/x")
    monkeypatch.setenv("NERSEMBLE_CONNECTIONS", "3")
    assert url_of(Settings.load()) == "https://other.example/x"
    assert Settings.load().connections == 3
    assert Settings.load(connections=4).connections == 4
    assert Settings.load(connections=None).connections == 3, "None is not given"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, env_file: Path) -> None:
    env_file.write_text(f'NERSEMBLE_BENCHMARK_URL="{URL}"\nNERSEMBLE_BENCHMARK_FOLDER=/data\n')
    for name in Settings.model_fields:
        monkeypatch.setenv(f"NERSEMBLE_{name.upper()}", "")
    settings = Settings.load()
    assert (url_of(settings), settings.root, settings.connections) == (URL, Path("/data"), 8)


@pytest.mark.parametrize("place", ["code", "environment", "file"])
def test_an_empty_folder_is_the_default(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, place: str
) -> None:
    given = {"benchmark_folder": ""} if place == "code" else {}
    if place == "environment":
        monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", "")
    elif place == "file":
        env_file.write_text("NERSEMBLE_BENCHMARK_FOLDER=\n")
    default = platformdirs.user_cache_path("nersemble_async") / "benchmark"
    assert Settings.load(**given).root == default


def test_a_folder_may_begin_with_a_tilde(env_file: Path, tmp_path: Path) -> None:
    assert Settings.load(benchmark_folder=Path("~/data")).root == tmp_path / "data"


def test_settings_do_not_change(env_file: Path) -> None:
    settings = Settings.load()
    with pytest.raises(ValidationError):
        settings.connections = 3


@pytest.mark.parametrize(
    "text",
    [
        f'NERSEMBLE_BENCHMARK_URL = "{URL}"\n',
        f'NERSEMBLE_BENCHMARK_URL="{URL}"',
        f'export NERSEMBLE_BENCHMARK_URL="{URL}"\n',
        f'# from the mail\n\nOTHER=1\nNERSEMBLE_BENCHMARK_URL="{URL}/"  # secret\n',
        f'NERSEMBLE_BENCHMARK_URL="  {URL}  "\r\n',
        'NERSEMBLE_BENCHMARK_URL="https://old.example"\n' + f'NERSEMBLE_BENCHMARK_URL="{URL}"\n',
    ],
)
def test_the_official_file_as_it_stands(env_file: Path, text: str) -> None:
    env_file.write_text(text)
    assert url_of(Settings.load()) == URL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NERSEMBLE_BENCHMARK_URL=\n",
        'NERSEMBLE_BENCHMARK_URL=""\n',
        'NERSEMBLE_BENCHMARK_URL="<<<Define NERSEMBLE_BENCHMARK_URL in /root/.env>>>"\n',
        'NERSEMBLE_BENCHMARK_URL="   "\n',
    ],
)
def test_no_url_in_the_file(env_file: Path, text: str) -> None:
    env_file.write_text(text)
    with pytest.raises(MissingBenchmarkUrlError):
        Settings.load().require_url()


# ---- storing the URL ----------------------------------------------------------------------------


def test_stored_it_is_found(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.parent.rmdir()
    assert store_benchmark_url(f"  {URL} \n") == env_file
    assert url_of(Settings.load()) == URL
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert [path.name for path in env_file.parent.iterdir()] == [".env"]


def test_stored_it_is_closed_whoever_could_read_it_before(env_file: Path) -> None:
    env_file.write_text("OTHER=1\n")
    env_file.chmod(0o644)
    (env_file.parent / ".env.partial").write_text("left by a killed process")
    (env_file.parent / ".env.partial").chmod(0o644)
    store_benchmark_url(URL)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert [path.name for path in env_file.parent.iterdir()] == [".env"]


def test_other_lines_stay(env_file: Path) -> None:
    env_file.write_text(
        "# ours\nexport OTHER='a b'\n\nNERSEMBLE_BENCHMARK_URL=https://old.example\n"
        " export NERSEMBLE_BENCHMARK_URL = x\nNERSEMBLE_CONNECTIONS=2\n"
        "NERSEMBLE_BENCHMARK_URL_NOTE=kept\n"
    )
    for _ in range(2):
        store_benchmark_url(URL)
    assert env_file.read_text().splitlines() == [
        "# ours",
        "export OTHER='a b'",
        "",
        "NERSEMBLE_CONNECTIONS=2",
        "NERSEMBLE_BENCHMARK_URL_NOTE=kept",
        f'NERSEMBLE_BENCHMARK_URL="{URL}"',
    ]
    assert (url_of(Settings.load()), Settings.load().connections) == (URL, 2)


def test_the_official_toolkit_reads_what_is_stored(env_file: Path) -> None:
    store_benchmark_url(URL)
    code = (
        "import os, pathlib\n"
        "os.environ['HOME'] = argument\n"
        "from nersemble_benchmark.env import NERSEMBLE_BENCHMARK_URL as result\n"
    )
    found: Any = run_official(code, str(env_file.parent.parent.parent))
    assert found == URL
