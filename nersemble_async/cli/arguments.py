"""Rewrites argv so that the official tool's way of writing options works here too (pure).

The official toolkit (tyro) takes space-separated lists (``--participant 388 422``) and
underscores (``--pointcloud_frames``, ``--n_workers``); typer takes neither. `expand_arguments`
turns the former into the latter before typer sees them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

LIST_OPTIONS = frozenset(
    {"--assets", "--participant", "--sequence", "--serial", "--pointcloud-frames", "--timestep"}
)
"""Options that take one or more values."""

ALIASES = {"--n-workers": "--connections"}
"""Official option names whose meaning has another name here."""


class ArgumentError(ValueError):
    """A command line that cannot mean anything; the message names the option."""


def expand_arguments(arguments: Sequence[str], task_names: Collection[str]) -> list[str]:
    """One ``--option=value`` for each value of a list option, and official spellings normalised.

    A list ends at the next option, at a task name or at what begins with one and a slash:
    ``--pointcloud-frames 0 5 nvs`` is two timesteps and a task, ``--serial 222200042 nvs/388`` a
    serial and a target. What follows a bare ``--`` is left as it is.

    Raises:
        ArgumentError: a list option without a value.
    """
    expanded: list[str] = []
    position = 0
    while position < len(arguments):
        token = arguments[position]
        position += 1
        if token == "--":  # noqa: S105 -- the end of options, not a password
            return [*expanded, token, *arguments[position:]]
        if not token.startswith("--"):
            expanded.append(token)
            continue
        written, equals, value = token.partition("=")
        name = written.replace("_", "-")
        name = ALIASES.get(name, name)
        if name not in LIST_OPTIONS:
            expanded.append(f"{name}{equals}{value}")
            continue
        values = [value] if equals else []
        while position < len(arguments) and _continues_list(arguments[position], task_names):
            values.append(arguments[position])
            position += 1
        if not values:
            raise ArgumentError(f"{name} needs at least one value")
        expanded.extend(f"{name}={one}" for one in values)
    return expanded


def refuse_urls(texts: Iterable[str]) -> None:
    """Refuse what holds a URL, which is a secret here, without repeating it.

    Raises:
        ArgumentError: one of ``texts`` does.
    """
    if any("://" in text for text in texts):
        raise ArgumentError(
            "a URL does not belong on a command line, where other users of this machine can read "
            "it: put it into NERSEMBLE_BENCHMARK_URL in the environment or in "
            "~/.config/nersemble_benchmark/.env"
        )


def _continues_list(token: str, task_names: Collection[str]) -> bool:
    return not token.startswith("-") and token.partition("/")[0] not in task_names


def split_values(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """``["388,422", "443"]`` → ``("388", "422", "443")``; None where nothing or ``all`` is given.

    Raises:
        ArgumentError: ``all`` beside other values, or nothing but commas.
    """
    if not values:
        return None
    pieces = tuple(piece for value in values for piece in value.replace(",", " ").split() if piece)
    if not pieces:
        raise ArgumentError("it is empty")
    if "all" in pieces:
        if len(set(pieces)) > 1:
            raise ArgumentError("'all' cannot stand beside other values")
        return None
    return tuple(dict.fromkeys(pieces))
