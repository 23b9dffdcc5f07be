"""What a `prepare` comes to: kept while it runs, told as words and as JSON.

The JSON object adds to the common fields::

    folder, mode, limit_bytes (null: none), free_bytes (before), expected_bytes (before)
    frames          of all videos
    present_frames  of them, that were there before
    stored_frames   of them, that were added
    refused_frames  of them, that found no room within the limit
    size_bytes      on disk now; raw_bytes: what all frames would take raw
    seconds         of decoding
    videos          [{path, frames, present_frames, stored_frames}]
    failures        [{path, reason}]
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nersemble_async.cli.report import document_head
from nersemble_async.cli.wording import Line, bytes_in_words, failure_lines, seconds_in_words
from nersemble_async.data_managers.prepared_frames import stored_size
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session
    from nersemble_async.data_managers.prepared_frames import RoomSurvey, VideoSurvey
    from nersemble_async.loaders.frame_cache import FrameCache


@dataclass(slots=True)
class Preparation:
    """A run of `prepare`."""

    cache: FrameCache
    videos: list[VideoSurvey] = field(default_factory=list)
    room: RoomSurvey | None = None
    stored: dict[str, int] = field(default_factory=dict)
    """Frames added, by the video's key."""
    n_refused: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Paths and reasons."""
    seconds: float = 0.0

    @property
    def n_frames(self) -> int:
        """Of all videos."""
        return sum(video.n_frames for video in self.videos)

    @property
    def n_present(self) -> int:
        """Were there before."""
        return sum(video.n_present for video in self.videos)

    @property
    def n_stored(self) -> int:
        """Were added."""
        return sum(list(self.stored.values()))  # a copy: threads add to it

    @property
    def raw_bytes(self) -> int:
        """What all frames would take raw."""
        return sum(video.raw_bytes for video in self.videos)

    def pin(self) -> ExitStack:
        """Within a limit none of these videos is evicted for another of them; to be closed."""
        with ExitStack() as stack:
            if self.cache.limit_bytes is not None:
                for video in self.videos:
                    stack.enter_context(self.cache.pin(video.key))
            return stack.pop_all()


def room_lines(preparation: Preparation) -> list[Line]:
    """What there is to do, and how much room that takes."""
    room, cache = preparation.room, preparation.cache
    if room is None:
        return []
    n_videos = len(preparation.videos)
    whole = room.present_bytes + room.missing_bytes
    kept = "" if cache.mode == "raw" else f", about {bytes_in_words(whole)} compressed"
    lines = [
        Line(
            f"{n_videos} video{'' if n_videos == 1 else 's'}, {preparation.n_frames:,} frames: "
            f"{bytes_in_words(preparation.raw_bytes)} raw{kept}"
        )
    ]
    if preparation.n_present:
        present = bytes_in_words(room.present_bytes)
        lines.append(Line(f"  {preparation.n_present:,} of them are there already, in {present}"))
    if room.missing_bytes:
        more, free = bytes_in_words(room.missing_bytes), bytes_in_words(room.free_bytes)
        lines.append(Line(f"  {more} to be written to {room.folder}, where {free} are free"))
    if room.limit_bytes is not None and room.fits_limit:
        limit = f"  the limit of {bytes_in_words(room.limit_bytes)} holds them"
        if room.evicted_bytes:
            limit += f"; about {bytes_in_words(room.evicted_bytes)} of others are evicted for them"
        lines.append(Line(limit))
    return lines


def tell_end(session: Session, preparation: Preparation, code: ExitCode | None = None) -> ExitCode:
    """Summary and report; blocking.

    Args:
        session: to tell it to.
        preparation: that has ended.
        code: how; None: as it shows.
    """
    if code is None:
        code = ExitCode.SOME_FAILED if preparation.failures else ExitCode.OK
        code = ExitCode.DISK_FULL if preparation.n_refused else code
    size_bytes = stored_size(preparation.cache.folder, [v.key for v in preparation.videos])
    session.output.lines(_end_lines(preparation, size_bytes, code))
    session.output.document(
        {
            **document_head("prepare", session.settings.root, code),
            "folder": str(preparation.cache.folder),
            "mode": preparation.cache.mode,
            "limit_bytes": preparation.cache.limit_bytes,
            "free_bytes": preparation.room.free_bytes if preparation.room else None,
            "expected_bytes": (
                preparation.room.present_bytes + preparation.room.missing_bytes
                if preparation.room
                else None
            ),
            "frames": preparation.n_frames,
            "present_frames": preparation.n_present,
            "stored_frames": preparation.n_stored,
            "refused_frames": preparation.n_refused,
            "size_bytes": size_bytes,
            "raw_bytes": preparation.raw_bytes,
            "seconds": round(preparation.seconds, 3),
            "videos": [
                {
                    "path": video.key,
                    "frames": video.n_frames,
                    "present_frames": video.n_present,
                    "stored_frames": preparation.stored.get(video.key, 0),
                }
                for video in preparation.videos
            ],
            "failures": [{"path": path, "reason": reason} for path, reason in preparation.failures],
        }
    )
    return code


def _end_lines(preparation: Preparation, size_bytes: int, code: ExitCode) -> list[Line]:
    there, frames = preparation.n_present + preparation.n_stored, preparation.n_frames
    room, share = bytes_in_words(size_bytes), size_bytes / max(1, preparation.raw_bytes)
    place = preparation.cache.folder
    if code is ExitCode.OK:
        head = Line(f"Prepared: {there:,} frames in {room}, {share:.0%} of raw; {place}", "good")
    elif there == frames:
        head = Line(f"Prepared but for what failed: {there:,} frames in {room}; {place}", "strong")
    else:
        head = Line(f"Not complete: {there:,} of {frames:,} frames, in {room}; {place}", "strong")
    lines = [head, Line(f"  {_work_in_words(preparation)}")]
    if preparation.n_refused:
        told = f"{preparation.n_refused:,} frames found no room within the limit: raise --limit"
        lines.append(Line(told, "bad"))
    return lines + failure_lines(preparation.failures)


def _work_in_words(preparation: Preparation) -> str:
    if not preparation.n_stored:
        return "nothing was missing" if not preparation.failures else "nothing was added"
    rate = preparation.n_stored / max(1e-9, preparation.seconds)
    present = f", {preparation.n_present:,} were there already" if preparation.n_present else ""
    return (
        f"{preparation.n_stored:,} decoded in {seconds_in_words(preparation.seconds)} "
        f"({rate:,.0f} frames/s){present}"
    )
