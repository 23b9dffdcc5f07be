"""Settings that cannot be used: named by their variable, their value never repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from nersemble_async.errors import ConfigurationError
from nersemble_async.settings import Settings, env_file_path, store_benchmark_url

URL = "https://kaldir.vc.in.tum.de/nersemble_benchmark/s3cr3t"


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the official toolkit's file stands, in a home of this test alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = env_file_path()
    path.parent.mkdir(parents=True)
    return path


BAD_URLS = [
    "ftp://host.example/s3cr3t",
    "host.example/s3cr3t",
    "https://",
    "https:///s3cr3t",
    "https://host.example/s3c r3t",
    "https://host.example/s3cr3t?x",
    "https://host.example/s3cr3t#x",
    "https://[s3cr3t",
    "https://host.example:s3cr3t/",
    "https://host.example:99999/s3cr3t",
    "https://host.example:0/s3cr3t",
    "s3cr3t",
]


@pytest.mark.parametrize("place", ["code", "environment", "file"])
@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, url: str, place: str
) -> None:
    load: Callable[[], Settings] = Settings.load
    if place == "code":
        load = lambda: Settings.load(benchmark_url=url)  # noqa: E731 - one of three ways
    elif place == "environment":
        monkeypatch.setenv("NERSEMBLE_BENCHMARK_URL", url)
    else:
        env_file.write_text(f'NERSEMBLE_BENCHMARK_URL="{url}"\n')
    with pytest.raises(ConfigurationError, match="NERSEMBLE_BENCHMARK_URL: ") as caught:
        load()
    error = caught.value
    assert (error.__cause__, error.__context__) == (None, None), "pydantic's error holds the value"
    assert "s3cr3t" not in repr(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connections", "0"),
        ("connections", "65"),
        ("connections", "many"),
        ("read_timeout", "0"),
        ("read_timeout", "nan"),
        ("read_timeout", "inf"),
        ("max_rate", "0"),
        ("max_rate", "fast"),
        ("cache_limit", "0"),
        ("cache_limit", "all"),
        ("frame_cache_limit", "0"),
        ("retries", "-1"),
        ("retry_base_seconds", "-1"),
        ("log_format", "xml"),
    ],
)
def test_a_bad_value_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(f"NERSEMBLE_{name.upper()}", value)
    with pytest.raises(ConfigurationError, match=f"^unusable setting: NERSEMBLE_{name.upper()}: "):
        Settings.load()


@pytest.mark.parametrize(
    "name",
    [
        "connections",
        "read_timeout",
        pytest.param(
            "max_rate",
        ),
        "retries",
        "log_format",
    ],
)
def test_a_url_in_the_wrong_variable_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, name: str
) -> None:
    monkeypatch.setenv(f"NERSEMBLE_{name.upper()}", URL)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("use", [Settings.load, lambda: store_benchmark_url(URL)])
def test_a_file_that_is_no_text(env_file: Path, use: Callable[[], object]) -> None:
    text = b'NERSEMBLE_BENCHMARK_URL="https://host.example/s3cr3t"\n# \xff\n'
    env_file.write_bytes(text)
    with pytest.raises(ConfigurationError) as caught:
        use()
    assert str(env_file) in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert "s3cr3t" not in repr(caught.value)
    assert env_file.read_bytes() == text


@pytest.mark.parametrize("use", [Settings.load, lambda: store_benchmark_url(URL)])
def test_a_file_that_the_system_refuses(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[], object]
) -> None:
    # Too long a name is refused to everybody; file modes are not, to a superuser.
    monkeypatch.setenv("HOME", "/" + "x" * 300)
    with pytest.raises(ConfigurationError, match=r"/xxx.*/\.env cannot be .*: File name too long"):
        use()


@pytest.mark.parametrize("url", [*BAD_URLS, b"s3cr3t", ["https://s3cr3t"]])
def test_settings_made_directly_keep_a_bad_url_out_of_their_error(url: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(benchmark_url=url)
    error = caught.value
    for shown in (str(error), repr(error.errors()), error.json()):
        assert "s3cr3t" not in shown


def test_a_number_beyond_all_numbers(env_file: Path) -> None:
    with pytest.raises(ConfigurationError):
        Settings.load(max_rate="9" * 400)


def test_the_url_is_not_shown() -> None:
    settings = Settings(benchmark_url=SecretStr(URL))
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert "s3cr3t" not in shown
