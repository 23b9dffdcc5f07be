"""Where the lengths of a submission's videos are known from: metadata.json, given or on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nersemble_async.benchmark.metadata import TaskMetadata, metadata_from_spec, parse_metadata
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.errors import ConfigurationError
from nersemble_async.settings import Settings


@dataclass(frozen=True, slots=True)
class MetadataSource:
    """Lengths of videos, and who says so."""

    metadata: TaskMetadata
    origin: str
    """In words, for messages: a file's path, or that these are documented lengths."""
    is_documented: bool
    """Whether no metadata.json was found: a server's may differ from what is documented."""


def find_metadata(
    task: Task,
    benchmark_folder: str | Path | None = None,
    metadata: str | Path | TaskMetadata | None = None,
) -> TaskMetadata | None:
    """What a task's metadata.json says; None where there is none, and for a task without one.

    Args:
        task: whose.
        benchmark_folder: the root, where it lies at ``{task}/metadata.json``; None: as the
            environment and the .env file say, which are read then.
        metadata: the file itself, or what is known already; comes before ``benchmark_folder``.

    Raises:
        ConfigurationError: the file that was named is not there.
        MetadataError: the file breaks its schema; names the field.
        OSError: the file cannot be read.
    """
    source = _look(task, benchmark_folder, metadata)
    return None if source is None else source.metadata


def require_metadata(
    task: Task,
    benchmark_folder: str | Path | None = None,
    metadata: str | Path | TaskMetadata | None = None,
) -> MetadataSource:
    """The same, or else what is documented of the task's lengths, where all of them are.

    Raises:
        ConfigurationError: there is neither; says how to get it. Also as in `find_metadata`.
        MetadataError, OSError: as in `find_metadata`.
    """
    source = _look(task, benchmark_folder, metadata)
    if source is not None:
        return source
    documented = metadata_from_spec(task)
    sequences = BENCHMARKS[task].submission_sequences
    if all(documented.n_frames(p, name) for p, names in sequences.items() for name in names):
        return MetadataSource(documented, "the documented lengths", is_documented=True)
    raise ConfigurationError(
        f"how many frames a video of {task} has stands in its metadata.json, and there is none in "
        f"{_root(benchmark_folder) / task}. Fetch it with `nersemble-async fetch {task} --assets "
        "calibration`, or give the root that it lies in as benchmark_folder=, or the file as "
        "metadata="
    )


def _look(
    task: Task,
    benchmark_folder: str | Path | None,
    metadata: str | Path | TaskMetadata | None,
) -> MetadataSource | None:
    if not isinstance(metadata, str | Path | None):
        return MetadataSource(metadata, "the metadata given", is_documented=False)
    relative = BENCHMARKS[task].metadata_path
    if relative is None:
        return None
    is_given = metadata is not None
    path = _root(benchmark_folder) / relative if metadata is None else Path(metadata).expanduser()
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if is_given:
            raise ConfigurationError(f"there is no {path}, which was given as metadata=") from None
        return None
    return MetadataSource(parse_metadata(task, data, str(path)), str(path), is_documented=False)


def _root(benchmark_folder: str | Path | None) -> Path:
    return Settings.load().root if benchmark_folder is None else Path(benchmark_folder).expanduser()
