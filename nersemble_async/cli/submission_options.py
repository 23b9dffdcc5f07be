"""What the commands about submissions share, as typer annotations: the task, its metadata."""

from pathlib import Path
from typing import Annotated

import typer

from nersemble_async.benchmark.layout import TASKS, Task


def _known(value: str) -> str:
    if value not in TASKS:
        raise typer.BadParameter(f"{value!r} is not a task; there are {', '.join(TASKS)}")
    return value


def chosen_task(value: str) -> Task:
    """The task of that name, which `SubmittedTask` has let through."""
    return next(task for task in TASKS if task == value)


SubmittedTask = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help=f"{', '.join(TASKS)}.", callback=_known, show_default=False
    ),
]
Metadata = Annotated[
    Path | None,
    typer.Option(
        "--metadata",
        metavar="FILE",
        help="The task's metadata.json.  [default: the data folder's, else the server's]",
        exists=True,
        dir_okay=False,
        readable=True,
        show_default=False,
    ),
]
