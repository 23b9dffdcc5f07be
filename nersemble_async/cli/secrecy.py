"""No URL in anything that is printed: a last line of defence around stdout and stderr.

Nothing in the package puts the base URL into a text on purpose. A bug, or a message of a
library, might; so the command line's streams replace it.
"""

from __future__ import annotations

import io
import re
import sys
import traceback
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

REPLACEMENT = "<benchmark URL>"

# What is shorter also stands in harmless texts, which replacing it would make unreadable.
_SHORTEST_FORM = 6

# A path such as "nersemble_benchmark" also names the folder that a user keeps the data in; only
# one that ends in a token, long and with a digit, is a secret without its host.
_TOKEN = re.compile(r"(?=.*\d).{16,}")


def secret_forms(url: str) -> list[str]:
    """The forms in which ``url`` may turn up in a text, the longest first.

    The URL itself, without its scheme, its path alone where that ends in a token, its password;
    each also percent-encoded and decoded. None is shorter than 6 letters.
    """
    # Not urlsplit: what is no proper URL is a secret too, and must not raise here.
    whole = url.strip().rstrip("/")
    rest = whole.partition("://")[2]
    host, _, path = rest.partition("/")
    forms = {whole, rest, host.rpartition("@")[0].partition(":")[2]}
    if _TOKEN.fullmatch(path.rpartition("/")[2]):
        forms.add(path)
    forms |= {quote(form, safe="/") for form in forms} | {unquote(form) for form in forms}
    forms |= {quote(form, safe="") for form in forms}
    long_enough = (form for form in forms if len(form) >= _SHORTEST_FORM)
    return sorted(long_enough, key=len, reverse=True)


class Scrubber:
    """Replaces every known secret in a text."""

    def __init__(self, urls: Iterable[str] = ()) -> None:
        self._forms: list[str] = []
        for url in urls:
            self.add(url)

    def add(self, url: str) -> None:
        """Know one more URL; its forms are replaced from now on."""
        if url.strip():
            self._forms = sorted({*self._forms, *secret_forms(url)}, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        """``text`` without any known secret."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, REPLACEMENT)
        return text


class ScrubbedStream:
    """A text stream that writes through a `Scrubber`; everything else is the stream's own."""

    def __init__(self, stream: TextIO, scrubber: Scrubber) -> None:
        self._stream = stream
        self._scrubber = scrubber

    def write(self, text: str) -> int:
        """Write ``text`` without the secret."""
        self._stream.write(self._scrubber.scrub(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line without the secret."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def guard_output(scrubber: Scrubber) -> None:
    """Put ``scrubber`` before stdout, stderr and the traceback of an unexpected exception.

    What the terminal's encoding lacks is then written as an escape instead of an exception.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = ScrubbedStream(sys.stdout, scrubber)
    sys.stderr = ScrubbedStream(sys.stderr, scrubber)

    def print_scrubbed(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        sys.stderr.write(scrubber.scrub(text))

    sys.excepthook = print_scrubbed


SCRUBBER = Scrubber()
"""The command line's own: what it knows is kept out of this process's output."""
