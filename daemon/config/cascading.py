"""What the settings of a cascade must fulfil."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from daemon.config.locate import KeyPath
from daemon.config.reading import Problems
from daemon.config.settings import WorkloadSettings
from daemon.routing.policy import Strategy
from probes.cascade import CascadePolicy

__all__ = ["MOST_HELD_BACK", "check_cascade"]

MOST_HELD_BACK: Final = 32_768
"""Characters of a stream: with their events about what is held of any stream at most."""


def check_cascade(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note what is wrong with the cascade of the workload at `path`."""
    cascades = workload.strategy == Strategy.CASCADE
    if workload.cascade is not None and not cascades:
        text = 'cascade says when a costlier target is asked, which only strategy = "cascade" does'
        problems.add((*path, "cascade"), text)
    if cascades:
        _check_room(path, workload, problems)
    for text in _mistakes(workload.cascade or CascadePolicy()):
        problems.add((*path, "cascade"), text)


def _check_room(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note why nobody costlier could ever be asked."""
    place = (*path, "strategy")
    if len(workload.targets) == 1:
        problems.add(place, f"cascade asks a costlier target, but {workload.targets[0]} is the only one")
    if workload.max_attempts == 1:
        problems.add(place, "cascade asks again, but max_attempts is 1; raise it")
    if workload.escalate:
        problems.add((*path, "escalate"), "cascade says itself who is asked next; take escalate out")


def _mistakes(cascade: CascadePolicy) -> Iterator[str]:
    for key in ("must_match", "must_not_match"):
        try:
            re.compile(getattr(cascade, key))
        except (re.error, OverflowError, RecursionError) as error:
            yield f"{key} is no regular expression: {error}"
    if cascade.min_chars < 0:
        yield f"min_chars is {cascade.min_chars}; give characters, at least 0"
    if cascade.min_logprob is not None and not -math.inf < cascade.min_logprob <= 0:
        yield f"min_logprob is {cascade.min_logprob:g}; a logarithm of a probability is 0 or less"
    if not 0 <= cascade.hold_back <= MOST_HELD_BACK:
        yield f"hold_back is {cascade.hold_back}; give characters, from 0 to {MOST_HELD_BACK}"
    if cascade.timeout <= 0:
        yield "timeout must be longer than nothing"
    if cascade.command and not cascade.command[0]:
        yield "command names no program"
    if any("\0" in word for word in cascade.command):
        yield "command holds a NUL, which no program can be given"
