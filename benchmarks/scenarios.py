"""What is measured: corpora, links, tools and the targets that ours has to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.corpora import CorpusSpec
from benchmarks.peers import Tool

OURS = Tool("ours", "ours")
CURL = Tool("curl", "curl")
"""One URL, one connection: curl never splits a file."""
CURL_PARALLEL = Tool("curl -Z", "curl")
CURL_DEFAULT = Tool("curl -Z x50", "curl", workers=50)
"""What curl -Z does where nothing is said: up to 50 connections."""
ARIA2 = Tool("aria2c", "aria2")
OFFICIAL = Tool("official x1", "official", workers=1)
"""One worker is the official toolkit's default."""
OFFICIAL_PARALLEL = Tool("official x16", "official", workers=16)

CPU_SECONDS_PER_GB_LIMIT = 1.7
PEAK_RSS_LIMIT_BYTES = 90_000_000
SENT_AGAIN_LIMIT = 0.01


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the targets: what is fetched, over which link, by whom."""

    name: str
    title: str
    corpus: CorpusSpec
    tools: tuple[Tool, ...]
    connections: int = 8
    """For every tool; 8 is what ours takes where nothing is said."""
    connection_rate_bytes: int | None = None
    """What nginx sends for one request in a second; the first second's share comes at once."""
    rtt_seconds: float | None = None
    """Of the delaying proxy between tool and server; None is no delay."""
    link_rate_bytes: int | None = None
    """What that proxy lets through in a second, over all connections; None is no limit."""
    kill_at: float | None = None
    """Share of the corpus on disk at which the tool is killed with SIGKILL, to be run again."""
    faster_than: tuple[str, ...] = ()
    """Names of the tools that ours has to equal."""
    limits_cpu: bool = False
    """Whether the target for CPU per GB is stated for this corpus."""
    has_targets: bool = True
    """False for quick corpora: there an interpreter's start is most of the time."""


def scenarios(*, quick: bool) -> Mapping[str, Scenario]:
    """By name, in the order in which they run; ``quick`` has small corpora for a smoke test."""
    if quick:
        many = CorpusSpec("many_large", 6, 2_000_000)
        one = CorpusSpec("one_large", 1, 12_000_000)
        capped = CorpusSpec("capped", 1, 4_000_000)
        small = CorpusSpec("small", 32, 20_000)
    else:
        many = CorpusSpec("many_large", 60, 18_500_000)
        one = CorpusSpec("one_large", 1, 1_500_000_000)
        capped = CorpusSpec("capped", 1, 400_000_000)
        small = CorpusSpec("small", 160, 20_000)
    rate_bytes = 2_000_000 if quick else 20_000_000
    rate = f"{rate_bytes / 1e6:g} MB/s a connection"
    link_bytes = 8_000_000 if quick else 125_000_000
    link = "8 MB/s link" if quick else "1 Gbit/s link"
    everything = (
        Scenario(
            "many_large",
            _title(many),
            many,
            (OURS, CURL_PARALLEL, ARIA2, OFFICIAL, OFFICIAL_PARALLEL),
            faster_than=(CURL_PARALLEL.name,),
            limits_cpu=True,
        ),
        Scenario(
            "one_large",
            _title(one),
            one,
            (OURS, CURL, ARIA2, OFFICIAL),
            faster_than=(CURL.name,),
            limits_cpu=True,
        ),
        Scenario(
            "capped",
            f"{_title(capped)}, {rate}",
            capped,
            (OURS, CURL, ARIA2, OFFICIAL),
            connections=16,
            connection_rate_bytes=rate_bytes,
            faster_than=(ARIA2.name,),
        ),
        Scenario(
            "delayed",
            f"{_title(small)}, 50 ms round trip",
            small,
            (OURS, CURL_PARALLEL, CURL_DEFAULT, ARIA2, OFFICIAL, OFFICIAL_PARALLEL),
            connections=16,
            rtt_seconds=0.05,
            faster_than=(CURL_PARALLEL.name,),
        ),
        Scenario(
            "killed_many",
            f"{_title(many)}, {link}, kill -9 half-way",
            many,
            (OURS, CURL_PARALLEL, ARIA2, OFFICIAL_PARALLEL),
            link_rate_bytes=link_bytes,
            kill_at=0.5,
        ),
        Scenario(
            "killed_one",
            f"{_title(one)}, {link}, kill -9 half-way",
            one,
            (OURS, CURL, ARIA2, OFFICIAL),
            link_rate_bytes=link_bytes,
            kill_at=0.5,
        ),
    )
    return {s.name: replace(s, has_targets=not quick) for s in everything}


def _title(spec: CorpusSpec) -> str:
    amount, unit = (1e6, "MB") if spec.file_bytes >= 1e6 else (1e3, "KB")
    return f"{spec.file_count} x {spec.file_bytes / amount:g} {unit}"
