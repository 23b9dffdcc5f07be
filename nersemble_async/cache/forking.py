"""What a forked child must not go on with: its parent's locks and descriptors."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkedObject(Protocol):
    """Something that holds locks, descriptors or threads."""

    def reset_in_child(self) -> None:
        """Begin afresh in a child, where only the forking thread lives on.

        Locks may be held by threads that are no more; descriptors are the parent's too, and so
        are the file locks on them: close, but never unlock.
        """


_OBJECTS: weakref.WeakSet[ForkedObject] = weakref.WeakSet()


def reset_on_fork(forked: ForkedObject) -> None:
    """Have its `reset_in_child` called in every child as long as it lives."""
    _OBJECTS.add(forked)


def _reset_all() -> None:
    for forked in list(_OBJECTS):
        forked.reset_in_child()


os.register_at_fork(after_in_child=_reset_all)
