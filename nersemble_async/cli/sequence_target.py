"""What a user names on the command line: TASK/PARTICIPANT[/SEQUENCE], such as nvs/388/GLASSES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nersemble_async.benchmark.layout import TASKS, Task
from nersemble_async.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from nersemble_async.data_managers.local_assets import LocalAssets


@dataclass(frozen=True, slots=True)
class SequenceTarget:
    """A participant of a task, and one of the sequences or none."""

    task: Task
    participant_id: int
    sequence_name: str | None

    def assets(self, root: Path) -> LocalAssets:
        """What is on disk of it.

        Raises:
            SelectionError: there is no such participant.
        """
        from nersemble_async.data_managers.local_assets import LocalAssets  # noqa: PLC0415 -- av
        from nersemble_async.data_managers.participant_files import (  # noqa: PLC0415
            ParticipantFiles,
        )

        return LocalAssets(ParticipantFiles(root, self.task, self.participant_id))


def parse_target(text: str) -> SequenceTarget:
    """Take it apart; whether there is such a participant or sequence is not looked at.

    Raises:
        ConfigurationError: it is not of that form.
    """
    task, _, rest = text.strip("/").partition("/")
    participant, _, sequence_name = rest.partition("/")
    for known in TASKS:
        if task == known and participant.isdecimal() and "/" not in sequence_name:
            return SequenceTarget(known, int(participant), sequence_name or None)
    raise ConfigurationError(
        f"there is no file or sequence {text}; a sequence is written TASK/PARTICIPANT/SEQUENCE, "
        f"such as nvs/388/GLASSES (tasks: {', '.join(TASKS)})"
    )
