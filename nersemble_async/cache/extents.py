"""Which bytes of a file are here: half-open ranges and sets of them (pure)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes ``start`` (included) to ``stop`` (excluded) of a file; never empty.

    Raises:
        ValueError: negative start, or stop not above start.
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"not a byte range: {self.start} to {self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start


class ExtentSet:
    """A set of bytes, held as sorted, disjoint, merged ranges. Adding costs O(log n + merged)."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def add(self, start: int, stop: int) -> None:
        """Put in bytes ``start`` to ``stop`` (excluded); overlaps are fine, empty is nothing."""
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def clear(self) -> None:
        """Forget everything."""
        self._starts.clear()
        self._stops.clear()

    def __iter__(self) -> Iterator[ByteRange]:
        return map(ByteRange, list(self._starts), list(self._stops))

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def total_bytes(self) -> int:
        """How many bytes are in the set."""
        return sum(self._stops) - sum(self._starts)

    def covered_until(self, offset: int) -> int:
        """The end of the run of present bytes that begins at ``offset`` (``offset`` if none)."""
        index = bisect_right(self._starts, offset) - 1
        if index >= 0 and self._stops[index] > offset:
            return self._stops[index]
        return offset

    def missing(self, size_bytes: int) -> list[ByteRange]:
        """The gaps below ``size_bytes``, in order."""
        gaps: list[ByteRange] = []
        position = 0
        for start, stop in zip(self._starts, self._stops, strict=True):
            if position >= size_bytes:
                break
            if start > position:
                gaps.append(ByteRange(position, min(start, size_bytes)))
            position = stop
        if position < size_bytes:
            gaps.append(ByteRange(position, size_bytes))
        return gaps
