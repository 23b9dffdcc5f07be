"""NERSEMBLE_* environment variables and the official .env file.

Every field can be given in code, in the environment (``NERSEMBLE_`` + the field's name in upper
case) or in ``~/.config/nersemble_benchmark/.env``, the official toolkit's file as it stands;
earlier wins.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nersemble_async.errors import ConfigurationError, MissingBenchmarkUrlError

_MOST_BYTES = 2**63 - 1
_UNIT_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES_PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)(?:B?)(?:/s)?", re.IGNORECASE)


def env_file_path() -> Path:
    """The official toolkit's file: ``~/.config/nersemble_benchmark/.env``."""
    return Path.home() / ".config" / "nersemble_benchmark" / ".env"


def parse_bytes(text: str) -> int:
    """``50M`` → 50,000,000; ``4GiB`` → 4 · 2³⁰. K, M, G, T, with ``i`` binary; ``B/s`` may follow.

    Raises:
        ValueError: not a size.
    """
    match = _BYTES_PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a size; write it like 50M, 1.5G or 512KiB")
    number, unit, binary = match.groups()
    factor = _UNIT_FACTORS[unit.upper()]
    if binary and factor > 1:
        factor = 1024 ** list(_UNIT_FACTORS).index(unit.upper())
    count = int(Decimal(number) * factor)
    if count > _MOST_BYTES:
        raise ValueError("more bytes than there are anywhere")
    return count


def _bytes_from_text(value: object) -> object:
    return parse_bytes(value) if isinstance(value, str) else value


ByteCount = Annotated[int, BeforeValidator(_bytes_from_text)]


class Settings(BaseSettings):
    """Where the data lies and how it is fetched. Immutable.

    Raises:
        ConfigurationError: from `Settings.load`, a value is unusable; says which.
    """

    model_config = SettingsConfigDict(
        env_prefix="NERSEMBLE_",
        env_file_encoding="utf-8",
        # An empty variable is none: it neither hides the file nor makes the root the folder ".".
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # A rejected value may be the URL: never echo what was given.
        hide_input_in_errors=True,
    )

    benchmark_url: SecretStr | None = None
    """The base URL from the access mail. It is the credential: held as a SecretStr."""

    benchmark_folder: Path | None = None
    """The root: files lie at ``{benchmark_folder}/{task}/{relative path}``."""

    connections: int = Field(default=8, ge=1, le=64)
    """Simultaneous connections, and with them requests, of one run."""

    read_timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """Seconds without a byte after which a request counts as stalled."""

    max_rate: ByteCount | None = Field(default=None, gt=0)
    """Bytes per second over all connections; None is unlimited."""

    cache_limit: ByteCount | None = Field(default=None, gt=0)
    """Bytes of files that were fetched on demand, by loaders: beyond, the least recently used ones
    go. Files that were fetched on purpose never go and do not count. None is unlimited."""

    frame_cache_folder: Path | None = None
    """Where decoded frames of this root are kept; None is in the root, beside the files."""

    frame_cache_limit: ByteCount | None = Field(default=None, gt=0)
    """Bytes of decoded frames: beyond, the least recently used ones go. None is unlimited."""

    retries: int = Field(default=6, ge=0, le=100)
    """Tries in a row without progress, after the first, before a file is given up."""

    retry_base_seconds: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """The first wait is drawn from 0 to this, then 0 to twice it, … (full jitter, up to 60 s)."""

    checksums: Path | None = None
    """A file in sha256sum's form, paths relative to the root."""

    log_format: Literal["console", "json", "off"] = "off"
    """Where events go when the command line runs."""

    @field_validator("benchmark_folder", "frame_cache_folder", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("benchmark_url", mode="after")
    @classmethod
    def _usable_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value().strip().rstrip("/")
        if not text or text.startswith("<<<"):
            return None
        usable = re.match(r"https?://[^/\s]+", text) is not None
        usable = usable and re.search(r"[\s?#]", text) is None
        try:
            parts = urlsplit(text)
            usable = usable and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("it must be an http:// or https:// URL without spaces, ? and #")
        return SecretStr(text)

    @field_validator("benchmark_url", mode="before")
    @classmethod
    def _wrapped(cls, value: object) -> SecretStr | None:
        # pydantic's errors hold what a validator was given; this one stands below the other, so
        # that it wraps that too.
        return value if value is None or isinstance(value, SecretStr) else SecretStr(str(value))

    @classmethod
    def load(cls, **given: object) -> Settings:
        """Settings from code, environment and the .env file; a None in ``given`` is not given.

        Raises:
            ConfigurationError: a value is unusable, or the file cannot be read; names the setting
                or the file, never repeats a value.
        """
        known = {name: value for name, value in given.items() if value is not None}
        path = env_file_path()
        try:
            return cls(_env_file=path, **known)  # type: ignore[arg-type,call-arg]
        except (OSError, UnicodeError) as error:
            told = f"{path} cannot be read: {_why(error)}"
        except ValidationError as error:
            told = "unusable setting: " + "; ".join(
                f"NERSEMBLE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}"
                for e in error.errors(include_input=False, include_context=False)
            )
        raise ConfigurationError(told)  # out here: what was caught may hold the URL

    @property
    def root(self) -> Path:
        """`benchmark_folder` where it is set, else the platform's cache folder."""
        if self.benchmark_folder is not None:
            return self.benchmark_folder.expanduser()
        return platformdirs.user_cache_path("nersemble_async") / "benchmark"

    def require_url(self) -> SecretStr:
        """The base URL without a trailing slash.

        Raises:
            MissingBenchmarkUrlError: none is configured.
        """
        if self.benchmark_url is None:
            raise MissingBenchmarkUrlError
        return self.benchmark_url


def store_benchmark_url(url: str) -> Path:
    """Write ``url`` into the official .env file with mode 0600, keeping its other lines.

    Raises:
        ConfigurationError: the file cannot be read or written; names it.
    """
    path = env_file_path()
    try:
        _write_url(path, url.strip())
    except (OSError, UnicodeError) as error:
        told = f"{path} cannot be written: {_why(error)}"
    else:
        return path
    raise ConfigurationError(told)  # out here: a UnicodeDecodeError holds the file's text


def _write_url(path: Path, url: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.read_text("utf-8").splitlines() if path.exists() else []
    ours = re.compile(r"\s*(export\s+)?NERSEMBLE_BENCHMARK_URL\s*=")
    kept = [line for line in old if not ours.match(line)]
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text("\n".join([*kept, f'NERSEMBLE_BENCHMARK_URL="{url}"', ""]), "utf-8")
    partial.replace(path)


def _why(error: OSError | UnicodeError) -> str:
    """Without the file's text, which a `UnicodeError` repeats."""
    return error.strerror or "an error" if isinstance(error, OSError) else "it is not UTF-8 text"
