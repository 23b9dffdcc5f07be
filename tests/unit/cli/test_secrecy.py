"""The base URL in any of its forms does not get through."""

from __future__ import annotations

import io
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cli.secrecy import (
    REPLACEMENT,
    ScrubbedStream,
    Scrubber,
    guard_output,
    secret_forms,
)

URL = "https://host.example/top_secret folder/v1/"


@pytest.mark.parametrize(
    "leak",
    [
        "https://host.example/top_secret folder/v1/nvs/388",
        "host.example/top_secret folder/v1",
        quote(URL, safe=""),
    ],
)
def test_forms_of_the_url_are_replaced(leak: str) -> None:
    clean = Scrubber([URL]).scrub(f"before {leak} after")
    assert "secret" not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")


def test_a_password_is_a_secret_of_its_own() -> None:
    assert "hunter2" not in Scrubber(["https://user:hunter2@host.example/x"]).scrub("hunter2!")


@pytest.mark.parametrize("url", ["http://[a-secret-host", "a-secret-without-scheme", "http://:@"])
def test_what_is_no_url_is_a_secret_too(url: str) -> None:
    assert url not in Scrubber([url]).scrub(f"lost {url}")


TOKEN_URL = "https://host.example/nersemble_benchmark/to ken-0123456789/"


@pytest.mark.parametrize(
    "leak",
    [
        "GET /nersemble_benchmark/to%20ken-0123456789/nvs HTTP/1.1",
        "nersemble_benchmark/to ken-0123456789",
    ],
)
def test_a_path_that_ends_in_a_token_is_a_secret_of_its_own(leak: str) -> None:
    assert "ken-0123456789" not in Scrubber([TOKEN_URL]).scrub(leak)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/data",
        "https://host.example/nersemble_benchmark",
        "https://host.example/nersemble_benchmark/v1",
        "https://y:data@host.example/nersemble_benchmark",
        "y",
    ],
)
@pytest.mark.parametrize("text", ["/data/nersemble_benchmark", "nersemble_benchmark/v1", "yes"])
def test_what_names_folders_is_left_in_harmless_texts(url: str, text: str) -> None:
    assert Scrubber([url]).scrub(text) == text


def test_a_scrubber_that_knows_nothing_changes_nothing() -> None:
    assert Scrubber(["", " "]).scrub("text") == "text"


def test_a_url_can_be_added_later() -> None:
    scrubber = Scrubber()
    scrubber.add(URL)
    assert scrubber.scrub(URL).startswith(REPLACEMENT)


@given(
    host=st.from_regex(r"[a-z]{3,10}\.example", fullmatch=True),
    path=st.from_regex(r"[a-zA-Z0-9_%+-]{15,29}[0-9]", fullmatch=True),
    before=st.text(max_size=10),
    after=st.text(max_size=10),
)
def test_no_token_survives(host: str, path: str, before: str, after: str) -> None:
    url = f"https://{host}/{path}"
    assert path in secret_forms(url)
    assert path not in Scrubber([url]).scrub(f"{before}{url}{after}")


def test_streams_and_tracebacks_are_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    guard_output(Scrubber([URL]))
    print("see", URL)  # noqa: T201 -- what is tested
    sys.stderr.writelines([URL, "\n"])
    error = RuntimeError(URL)
    sys.excepthook(type(error), error, error.__traceback__)
    assert out.getvalue() == f"see {REPLACEMENT}/\n"
    assert "secret" not in err.getvalue()
    assert "RuntimeError" in err.getvalue()


def test_the_stream_stays_what_it_was() -> None:
    stream = ScrubbedStream(io.StringIO(), Scrubber())
    assert stream.isatty() is False  # type: ignore[operator]
    assert stream.write("four") == 4
