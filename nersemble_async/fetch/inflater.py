"""Decompression of a body that a server compressed although it was asked not to (pure)."""

from __future__ import annotations

import zlib

_MOST_BYTES = 1 << 20
_GZIP_OR_ZLIB = 47


class Inflater:
    """gzip (of one or more members) or zlib, at most a MiB at a time whatever the ratio."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        self._pending = b""
        self._is_full = False
        """The last piece was as large as may be: zlib may hold more without more input."""

    def put(self, compressed: bytes) -> None:
        """Take what arrived."""
        self._pending += compressed

    def take(self) -> bytes:
        """What can be had of it now; nothing where more has to arrive first.

        Raises:
            zlib.error: it is damaged.
        """
        while self._pending or self._is_full:
            if self._zlib.eof:
                self._zlib = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
            inflated = self._zlib.decompress(self._pending, _MOST_BYTES)
            self._pending = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            self._is_full = len(inflated) == _MOST_BYTES and not self._zlib.eof
            if inflated:
                return inflated
        return b""

    def end(self) -> None:
        """Nothing more comes.

        Raises:
            zlib.error: it ends in the middle.
        """
        if not self._zlib.eof:
            raise zlib.error("the compressed body ends in the middle")
