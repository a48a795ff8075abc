"""By what a request is for: its header, its system prompt, the tools that it offers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from daemon.routing.leases import Preference
from daemon.routing.sorting.policy import Task

__all__ = ["TASK_HEADER", "Signs", "by_task"]

TASK_HEADER: Final = "fairlead-task"
"""With which a client says what a request is for."""
_MOST_CHARACTERS: Final = 4_000
"""What a system prompt says of its task it says at its beginning; a pattern is not let loose on more."""


class Signs(msgspec.Struct, frozen=True):
    """What a request gives away of its task."""

    header: str = ""
    system: str = ""
    """Its system prompt."""
    tools: frozenset[str] = frozenset()
    """Those that it offers, by name."""


def by_task(tasks: Sequence[Task], signs: Signs) -> Preference:
    """Return the preference of the first task that the request fulfils; without one, none."""
    for task in tasks:
        why = _met(task, signs)
        if why is not None:
            return Preference(groups=(task.targets,), label=task.name, why=why)
    return Preference()


def _met(task: Task, signs: Signs) -> str | None:
    """Return by what a request fulfils all conditions of `task`; None where it does not."""
    if task.header and task.header.lower() != signs.header.strip().lower():
        return None
    if task.tool and task.tool not in signs.tools:
        return None
    if task.system and not _pattern(task.system).search(signs.system[:_MOST_CHARACTERS]):
        return None
    if not task.conditions:
        return "no task"
    told = (task.header and "its header", task.tool and f"the tool {task.tool}", task.system and "its system prompt")
    return f"{task.name} (by {' and '.join(filter(None, told))})"


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
