"""What the commands about submissions share: the task, by its name, as a typer annotation."""

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
