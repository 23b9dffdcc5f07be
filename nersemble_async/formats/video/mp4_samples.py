"""Whether an mp4's index and its media data agree, and how many frames there are; stdlib only.

A check of thousands of videos beside their download must not cost what a demuxer costs. Source
of the format: ISO/IEC 14496-12 §8.5.2 (stsd), §8.6.1 (stts), §8.7 (stsz, stz2, stsc, stco,
co64), §12.1.3 (visual sample entries).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.mp4_boxes import Box, check_boxes, iterate_boxes

_CONFIGURATIONS = {
    b"avc1": b"avcC",
    b"avc3": b"avcC",
    b"hvc1": b"hvcC",
    b"hev1": b"hvcC",
    b"vvc1": b"vvcC",
    b"vvi1": b"vvcC",
    b"av01": b"av1C",
    b"vp08": b"vpcC",
    b"vp09": b"vpcC",
    b"mp4v": b"esds",
}
"""The box that sets up the decoder, by the codec's sample entry."""

_TABLES = (b"stsd", b"stts", b"stsc", b"stsz", b"stz2", b"stco", b"co64")
_BLOCK_BYTES = 1 << 14
_HALF_BYTE_BITS = 4
_COUNT = struct.Struct(">II")
_SIZES_HEAD = struct.Struct(">III")
_HANDLER = struct.Struct(">II4s")
_VISUAL_ENTRY = struct.Struct(">24xHH50x")
_ROWS = {name: struct.Struct(f">{name}") for name in ("B", "H", "I", "Q", "II", "III")}


def count_video_samples(path: Path) -> int | None:
    """Check the index of the one video track against the file, and count its frames.

    Boxes tile the file; the codec is known and configured; as many frames have a duration, a
    size above zero and a place in a chunk; and each chunk lies within the media data (an mdat
    box). The frames themselves are not read. Frames that an edit list hides are counted.
    Tables are read in blocks of 16 KiB.

    Returns:
        The number of frames, at least 1; None for a fragmented mp4: it has no index of the
        whole, only boxes, track and codec have been checked.

    Raises:
        DecodeError: truncated, not an mp4, not exactly one video track, or an index that
            contradicts itself or the file.
        OSError: the file cannot be read.
    """
    check_boxes(path)
    with path.open("rb") as file:
        try:
            return _count_samples(file, file.seek(0, 2))
        except ValueError as error:
            raise DecodeError(str(path), f"mp4: {error}") from None


def _count_samples(file: BinaryIO, file_bytes: int) -> int | None:
    top = list(iterate_boxes(file, 0, file_bytes))
    indexes = [box for box in top if box.kind == b"moov"]
    if len(indexes) != 1:
        raise ValueError(f"{len(indexes)} indexes (moov boxes) in one file")
    content = list(iterate_boxes(file, indexes[0].start, indexes[0].end))
    media = [_child(file, track, b"mdia") for track in content if track.kind == b"trak"]
    videos = [box for box in media if _handler(file, box) == b"vide"]
    if len(videos) != 1:
        raise ValueError(f"{len(videos)} video tracks where one is expected")
    tables = _find_tables(file, _child(file, _child(file, videos[0], b"minf"), b"stbl"))
    n_descriptions = _count_descriptions(file, _one_of(tables, b"stsd"))
    if any(box.kind == b"mvex" for box in content) or any(box.kind == b"moof" for box in top):
        return None
    media_data = [box for box in top if box.kind == b"mdat"]
    return _check_tables(file, tables, n_descriptions, media_data)


def _find_tables(file: BinaryIO, sample_table: Box) -> dict[bytes, Box]:
    tables: dict[bytes, Box] = {}
    for box in iterate_boxes(file, sample_table.start, sample_table.end):
        if box.kind in _TABLES and tables.setdefault(box.kind, box) is not box:
            raise ValueError(f"two tables {_name(box.kind)} in one track")
    return tables


def _check_tables(
    file: BinaryIO, tables: Mapping[bytes, Box], n_descriptions: int, media_data: Sequence[Box]
) -> int:
    sizes = _SampleSizes(file, _one_of(tables, b"stsz", b"stz2"))
    if sizes.n_samples == 0:
        raise ValueError("the video has no frames")
    durations = _open_table(file, _one_of(tables, b"stts"), "II")
    n_timed = sum(n_samples for n_samples, _ in durations.rows(file))
    if n_timed != sizes.n_samples:
        raise ValueError(f"{n_timed} frames have a duration, {sizes.n_samples} have a size")
    offsets_box = _one_of(tables, b"stco", b"co64")
    offsets = _open_table(file, offsets_box, "Q" if offsets_box.kind == b"co64" else "I")
    runs = _open_table(file, _one_of(tables, b"stsc"), "III")
    _check_chunks(
        sizes,
        offsets.rows(file),
        _chunk_runs(runs.rows(file), offsets.n_rows, n_descriptions),
        media_data,
    )
    return sizes.n_samples


def _count_descriptions(file: BinaryIO, box: Box) -> int:
    """Check that each sample description (stsd) is of a video that has all a decoder needs."""
    (_, n_promised), position = _read(file, box, _COUNT)
    n_descriptions = 0
    for entry in iterate_boxes(file, position, box.end):
        n_descriptions += 1
        configuration = _CONFIGURATIONS.get(entry.kind)
        if configuration is None:
            raise ValueError(f"an unknown codec {_name(entry.kind)}")
        (width, height), position = _read(file, entry, _VISUAL_ENTRY)
        if width == 0 or height == 0:
            raise ValueError(f"a video of {width} × {height} pixels")
        if all(box.kind != configuration for box in iterate_boxes(file, position, entry.end)):
            raise ValueError(f"codec {_name(entry.kind)} lacks its {_name(configuration)}")
    if n_descriptions != n_promised or n_descriptions == 0:
        raise ValueError(f"{n_descriptions} of {n_promised} sample descriptions")
    return n_descriptions


def _chunk_runs(
    rows: Iterator[tuple[int, ...]], n_chunks: int, n_descriptions: int
) -> Iterator[tuple[int, int]]:
    """Runs of chunks alike: how many chunks, and how many samples are in each of them.

    A row (stsc) holds for the chunks from its first one up to the next row's; counted from 1.
    """
    first, in_each = 0, 0
    for next_first, next_in_each, description in chain(rows, ((n_chunks + 1, 1, 1),)):
        if (next_first <= first) if first else (next_first != 1):
            raise ValueError(f"chunk {next_first} follows chunk {first} in the table of chunks")
        if next_in_each == 0 or not 1 <= description <= n_descriptions:
            raise ValueError(f"chunk {next_first} is empty or has no sample description")
        if first:
            yield next_first - first, in_each
        first, in_each = next_first, next_in_each


def _check_chunks(
    sizes: _SampleSizes,
    offsets: Iterator[tuple[int, ...]],
    runs: Iterator[tuple[int, int]],
    media_data: Sequence[Box],
) -> None:
    starts = [box.start for box in media_data]
    n_placed = 0
    for n_chunks, in_each in runs:
        n_placed += n_chunks * in_each
        # Before their sizes are added up: a table may claim any number of samples.
        if n_placed > sizes.n_samples:
            break
        for (offset,) in islice(offsets, n_chunks):
            around = bisect_right(starts, offset) - 1
            if around < 0 or offset + sizes.next_bytes(in_each) > media_data[around].end:
                raise ValueError(f"the index leads out of the media data, to byte {offset}")
    if n_placed != sizes.n_samples:
        raise ValueError(f"the chunks hold {n_placed} frames, {sizes.n_samples} have a size")


class _SampleSizes:
    """The sizes of the samples in order (stsz, stz2); reads on as they are asked for.

    Raises:
        ValueError: the table is broken; later, at a sample without bytes.
    """

    def __init__(self, file: BinaryIO, box: Box) -> None:
        (_, size, n_samples), position = _read(file, box, _SIZES_HEAD)
        self.n_samples: int = n_samples
        self._bytes_each: int | None = None
        self._sizes: Iterator[int] = iter(())
        if box.kind == b"stz2":
            # Three reserved bytes come before the width of a size in bits.
            self._sizes = _compact_sizes(file, position, box.end, size & 0xFF, n_samples)
        elif size:
            self._bytes_each = size
        else:
            table = _table(position, box.end, "I", n_samples)
            self._sizes = (sample_bytes for (sample_bytes,) in table.rows(file))

    def next_bytes(self, n_samples: int) -> int:
        """What the next ``n_samples`` take together; they must be there."""
        if self._bytes_each is not None:
            return self._bytes_each * n_samples
        total_bytes = 0
        for sample_bytes in islice(self._sizes, n_samples):
            if sample_bytes == 0:
                raise ValueError("a frame without bytes")
            total_bytes += sample_bytes
        return total_bytes


def _compact_sizes(
    file: BinaryIO, position: int, end: int, size_bits: int, n_samples: int
) -> Iterator[int]:
    if size_bits == _HALF_BYTE_BITS:  # the upper half of a byte comes first
        pairs = _table(position, end, "B", (n_samples + 1) // 2).rows(file)
        halves = chain.from_iterable((pair >> 4, pair & 0xF) for (pair,) in pairs)
        return islice(halves, n_samples)
    row = {8: "B", 16: "H"}.get(size_bits)
    if row is None:
        raise ValueError(f"sample sizes of {size_bits} bits")
    return (sample_bytes for (sample_bytes,) in _table(position, end, row, n_samples).rows(file))


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of big-endian numbers that lie within their box."""

    start: int
    n_rows: int
    row: struct.Struct

    def rows(self, file: BinaryIO) -> Iterator[tuple[int, ...]]:
        """Each row; may be read by turns with other tables of the same file."""
        position = self.start
        end = position + self.n_rows * self.row.size
        while position < end:
            file.seek(position)
            block_bytes = min(_BLOCK_BYTES // self.row.size * self.row.size, end - position)
            block = file.read(block_bytes)
            if len(block) < block_bytes:
                raise ValueError("truncated while it was read")
            yield from self.row.iter_unpack(block)
            position += block_bytes


def _table(start: int, end: int, row: str, n_rows: int) -> _Table:
    table = _Table(start, n_rows, _ROWS[row])
    if start + n_rows * table.row.size > end:
        raise ValueError(f"a table of {n_rows} rows, more than there is room for")
    return table


def _open_table(file: BinaryIO, box: Box, row: str) -> _Table:
    """A table that begins with the number of its rows."""
    (_, n_rows), position = _read(file, box, _COUNT)
    return _table(position, box.end, row, n_rows)


def _read(file: BinaryIO, box: Box, head: struct.Struct) -> tuple[tuple[Any, ...], int]:
    """What a box begins with, and where that ends."""
    end = box.start + head.size
    file.seek(box.start)
    data = file.read(head.size)
    if len(data) < head.size or end > box.end:
        raise ValueError(f"box {_name(box.kind)} is too short")
    return head.unpack(data), end


def _handler(file: BinaryIO, media: Box) -> bytes:
    """What kind of track it is, such as ``b"vide"`` or ``b"soun"``."""
    (_, _, kind), _ = _read(file, _child(file, media, b"hdlr"), _HANDLER)
    return bytes(kind)


def _child(file: BinaryIO, parent: Box, kind: bytes) -> Box:
    found = [box for box in iterate_boxes(file, parent.start, parent.end) if box.kind == kind]
    if len(found) != 1:
        raise ValueError(f"{len(found)} boxes {_name(kind)} in a {_name(parent.kind)}")
    return found[0]


def _one_of(tables: Mapping[bytes, Box], *kinds: bytes) -> Box:
    found = [tables[kind] for kind in kinds if kind in tables]
    if len(found) != 1:
        raise ValueError(f"{len(found)} tables {' or '.join(map(_name, kinds))} in one track")
    return found[0]


def _name(kind: bytes) -> str:
    return repr(kind.decode("ascii"))
