"""What a video says of itself against what the benchmark asks for. Pure."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from nersemble_async.benchmark.spec import BenchmarkSpec
from nersemble_async.formats.video.facts import VideoFacts
from nersemble_async.formats.video.probe import VideoInfo
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach

RIGHT_CODEC = "h264"
_PIXEL_FORMAT = "yuv420p"
_RATE_TOLERANCE = Fraction(1, 1000)
"""Of the rate. The official writer's files are exact (24.3 is 243/10 in them, seen); other
writers round 1/24.3 s to the ticks of a clock. 24 and 25 are 12 and 29 times as far away."""
_UNEVEN = Fraction(1, 4)
"""Of a frame's time. A clock of milliseconds, the coarsest in use, moves a frame at 73 Hz by up
to 0.04 of it; a frame that was dropped or shown twice by 1."""


def facts_issues(
    entry: str, facts: VideoFacts, spec: BenchmarkSpec, n_frames: int | None
) -> list[SubmissionIssue]:
    """Every breach that shows without decoding.

    Args:
        entry: path in the zip.
        facts: of the video.
        spec: frame size and rate.
        n_frames: timesteps of the sequence; None: not known.
    """
    issues = _container_issues(entry, facts)
    issues += _size_issues(entry, facts, spec)
    issues += _count_issues(entry, facts, n_frames)
    issues += _rate_issues(entry, facts, spec)
    info = facts.info
    if info.codec != RIGHT_CODEC:
        issues.append(breach("wrong-codec", entry, info.codec, "H.264 (h264)"))
    if info.pixel_format != _PIXEL_FORMAT:
        issues.append(breach("wrong-pixel-format", entry, info.pixel_format, _PIXEL_FORMAT))
    elif facts.is_full_range:
        found = f"{_PIXEL_FORMAT} with levels from 0 to 255"
        expected = f"{_PIXEL_FORMAT} in limited range (16 to 235)"
        issues.append(breach("wrong-pixel-format", entry, found, expected))
    return issues


def header_issues(
    entry: str, info: VideoInfo, spec: BenchmarkSpec, n_frames: int | None
) -> list[SubmissionIssue]:
    """What the header of a damaged video gives away, as it does to the official validator."""
    issues = _shape_issues(entry, info, spec)
    if n_frames is not None and info.header_n_frames != n_frames:
        found = f"{info.header_n_frames} frames, as the header says"
        official = ("wrong_frame_counts", (entry, info.header_n_frames, n_frames))
        issues.append(
            breach("wrong-frame-count", entry, found, f"{n_frames} frames", official=official)
        )
    return issues


def _container_issues(entry: str, facts: VideoFacts) -> list[SubmissionIssue]:
    issues = []
    if facts.damage is not None:
        found = f"{facts.damage}, after {facts.info.n_frames} frames"
        issues.append(breach("unreadable-video", entry, found, "a whole mp4"))
    if facts.other_streams:
        found = f"also a stream of {', '.join(facts.other_streams)}"
        issues.append(breach("extra-streams", entry, found, "one video stream"))
    return issues


def _shape_issues(entry: str, info: VideoInfo, spec: BenchmarkSpec) -> list[SubmissionIssue]:
    size = (info.width, info.height)
    if size == spec.frame_size:
        return []
    found, expected = ("{} x {} pixels".format(*s) for s in (size, spec.frame_size))
    official = ("wrong_resolutions", (entry, size, spec.frame_size))
    return [breach("wrong-resolution", entry, found, expected, official=official)]


def _size_issues(entry: str, facts: VideoFacts, spec: BenchmarkSpec) -> list[SubmissionIssue]:
    issues = _shape_issues(entry, facts.info, spec)
    if facts.sample_aspect != 1:
        found = f"pixels {facts.sample_aspect} times as wide as high"
        issues.append(breach("altered-display", entry, found, "square pixels"))
    if facts.is_turned:
        found = "a display matrix that turns, mirrors or scales the frames"
        issues.append(breach("altered-display", entry, found, "frames as they are stored"))
    return issues


def _count_issues(entry: str, facts: VideoFacts, n_frames: int | None) -> list[SubmissionIssue]:
    """Packets are what counts; the official validator believes the header."""
    n_found, n_header = facts.info.n_frames, facts.info.header_n_frames
    official = None
    if n_frames is not None and n_header != n_frames:
        official = ("wrong_frame_counts", (entry, n_header, n_frames))
    is_wrong = facts.damage is None and n_frames not in {None, n_found}
    issues = []
    if facts.is_fragmented:
        found, expected = "a fragmented mp4", "a plain mp4, with one index of all frames"
        issues.append(
            breach(
                "fragmented-video",
                entry,
                found,
                expected,
                official=None if is_wrong else official,
            )
        )
        if not is_wrong:
            return issues
    contradicts = not facts.is_fragmented and n_header != n_found + facts.n_hidden
    if is_wrong or contradicts or facts.n_hidden or official:
        found = f"{n_found} frames"
        if facts.n_hidden:
            found += f", and {facts.n_hidden} more that an edit list hides"
        if contradicts:
            found += f"; the header says {n_header}"
        expected = f"{n_found if n_frames is None else n_frames} frames"
        if contradicts or facts.n_hidden:
            expected += ", all of them shown, and as many in the header"
        issues.append(breach("wrong-frame-count", entry, found, expected, official=official))
    return issues


def _rate_issues(entry: str, facts: VideoFacts, spec: BenchmarkSpec) -> list[SubmissionIssue]:
    rate, times = spec.submission_rate, facts.times
    if rate is None or not times:
        return []
    found = None
    span = (times[-1] - times[0]) * facts.time_base
    n_steps = len(times) - 1
    uneven = _first_uneven(facts)
    if uneven is not None:
        wait = float((times[uneven] - times[uneven - 1]) * facts.time_base)
        found = f"frames at uneven times: frame {uneven} comes {wait:.4f} s after the one before it"
    elif n_steps and _differs(span, n_steps / rate, facts.time_base):
        found = f"{_rate_name(n_steps / span)} frames per second"
    elif facts.info.rate is None:
        found = "no frame rate"
    elif _differs(len(times) / facts.info.rate, len(times) / rate, 2 * facts.time_base):
        found = f"{_rate_name(facts.info.rate)} frames per second, as the header says"
    if found is None:
        return []
    expected = f"{_rate_name(rate)} frames per second"
    return [breach("wrong-frame-rate", entry, found, expected)]


def _first_uneven(facts: VideoFacts) -> int | None:
    """The first frame that comes at another distance than frames do on average, if there is one.

    A frame that was left out, or waits for longer, moves all that follow.
    """
    times = facts.times
    n_steps = len(times) - 1
    if n_steps < 1 or times[-1] == times[0]:
        return 1 if n_steps > 0 else None
    step = Fraction(times[-1] - times[0], n_steps)
    most = max(step * _UNEVEN, Fraction(1))
    for index, (previous, following) in enumerate(pairwise(times), start=1):
        if abs(following - previous - step) > most:
            return index
    return None


def _differs(seconds: Fraction, expected: Fraction, clock: Fraction) -> bool:
    return abs(seconds - expected) > max(clock, expected * _RATE_TOLERANCE)


def _rate_name(rate: Fraction) -> str:
    return f"{float(rate):.6g}"
