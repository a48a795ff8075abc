"""What a workload's keys say of sorting its requests: which targets they name, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from daemon.config.locate import KeyPath
from daemon.config.reading import Problems, nearest
from daemon.config.settings import WorkloadSettings
from daemon.routing.policy import Strategy
from daemon.routing.sorting.policy import Classifier, OverMaxInput, Task, Tiers
from state.targets import TargetName

__all__ = ["all_targets", "all_tasks", "check_sorting", "targets_named_beside"]

_TIERS: Final = ("simple", "moderate", "complex")
_LEAST_TIERS: Final = 2


def all_targets(settings: WorkloadSettings) -> tuple[TargetName, ...]:
    """Return every target that the workload's requests may go to, its own first; a canary's candidate apart."""
    tiers = settings.tiers.targets if settings.tiers is not None else ()
    tasks = [target for task in settings.tasks for target in task.targets]
    return tuple(dict.fromkeys((*map(TargetName, settings.targets), *tiers, *tasks)))


def all_tasks(settings: WorkloadSettings) -> tuple[Task, ...]:
    """Return the tasks, and behind them one for every request, where some targets are for tasks alone."""
    if not settings.tasks or len(all_targets(settings)) == len(settings.targets):
        return settings.tasks
    return (*settings.tasks, Task(name="", targets=tuple(map(TargetName, settings.targets))))


def targets_named_beside(table: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the targets that a workload's table names elsewhere than in `targets`, each with its key."""
    for key in ("canary", "shadow"):
        yield from _names((key, "target"), _member(table.get(key), "target"))
    yield from _names(("escalate",), table.get("escalate") or None)
    for tier in _TIERS:
        yield from _names(("tiers", tier), _member(table.get("tiers"), tier))
    tasks = table.get("tasks")
    for task in tasks if isinstance(tasks, list) else ():
        yield from _names(("tasks",), _member(task, "targets"))


def check_sorting(workloads: Mapping[str, WorkloadSettings], problems: Problems) -> None:
    """Note what is wrong with how workloads sort their requests, and with what goes to candidates."""
    for name, workload in workloads.items():
        path: KeyPath = ("workloads", name)
        _check_strategy(path, workload, problems)
        _check_classifier(name, workloads, problems)
        if workload.tiers is not None:
            _check_tiers(path, workload.tiers, workload, problems)
        _check_tasks(path, workload, problems)
        _check_candidates(path, workload, problems)
        if workload.over_max_input is not OverMaxInput.REFUSE and workload.max_input_tokens is None:
            text = "over_max_input says what becomes of what is over max_input_tokens, which is not set"
            problems.add((*path, "over_max_input"), text)


def _check_strategy(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note a strategy without what it sorts by, and what to sort by without the strategy."""
    needs = {Strategy.COMPLEXITY: ("tiers", workload.tiers), Strategy.TASK: ("tasks", workload.tasks)}
    for strategy, (key, value) in needs.items():
        if value and workload.strategy != strategy:
            problems.add((*path, key), f'{key} only mean something with strategy = "{strategy.value}"')
        elif not value and workload.strategy == strategy:
            problems.add((*path, "strategy"), f'strategy = "{strategy.value}" sorts by {key}, and there are none')


def _check_classifier(name: str, workloads: Mapping[str, WorkloadSettings], problems: Problems) -> None:
    workload, asked = workloads[name], workloads[name].classifier_workload
    place: KeyPath = ("workloads", name, "classifier_workload")
    if workload.classifier is not Classifier.MODEL:
        if asked:
            problems.add(place, 'classifier_workload only means something with classifier = "model"')
        return
    if workload.strategy != Strategy.COMPLEXITY:
        text = 'classifier only means something with strategy = "complexity"'
        problems.add(("workloads", name, "classifier"), text)
    if not asked:
        problems.add(("workloads", name, "classifier"), 'classifier = "model" needs a classifier_workload to ask')
    elif asked not in workloads:
        problems.add(place, f"there is no workload {asked}{nearest(asked, workloads)}")
    elif workloads[asked].strategy == Strategy.COMPLEXITY:
        problems.add(place, f"{asked} would have to classify the question itself; ask one of another strategy")
    if workload.classifier_deadline <= 0:
        place = ("workloads", name, "classifier_deadline")
        problems.add(place, "classifier_deadline must be longer than nothing")


def _check_tiers(path: KeyPath, tiers: Tiers, workload: WorkloadSettings, problems: Problems) -> None:
    given = [tier for tier in _TIERS if getattr(tiers, tier)]
    if len(given) < _LEAST_TIERS:
        whom = f"{given[0]} alone" if given else "none"
        problems.add((*path, "tiers"), f"tiers has targets for {whom}; give at least two tiers some")
    for tier in given:
        for target in getattr(tiers, tier):
            if workload.targets and target not in workload.targets:
                text = f"{tier} names {target}, which targets lacks; add it there, or leave targets out"
                problems.add((*path, "tiers", tier), text)


def _check_tasks(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    place, seen = (*path, "tasks"), set[str]()
    for task in workload.tasks:
        if not task.name or task.name in seen:
            text = f"two tasks are called {task.name}" if task.name else "a task has no name"
            problems.add(place, text)
        seen.add(task.name)
        if not task.conditions:
            problems.add(place, f"the task {task.name} has no condition; give it a header, a system or a tool")
        if not task.targets:
            problems.add(place, f"the task {task.name} names no target")
        try:
            re.compile(task.system)
        except (re.error, OverflowError, RecursionError) as error:
            problems.add(place, f"the system of the task {task.name} is no regular expression: {error}")


def _check_candidates(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note candidates that are none, and shares that are no share."""
    canary, shadow, own = workload.canary, workload.shadow, all_targets(workload)
    if canary is not None and canary.target in own:
        text = f"{canary.target} is one of the workload's targets and would get more than its share; take one out"
        problems.add((*path, "canary", "target"), text)
    if shadow is not None and own == (shadow.target,):
        text = f"{shadow.target} is the only target, and would be compared with itself"
        problems.add((*path, "shadow", "target"), text)
    for key, candidate in (("canary", canary), ("shadow", shadow)):
        if candidate is not None and not 0 < candidate.share <= 1:
            problems.add((*path, key, "share"), f"share is {candidate.share:g}; give a share in (0, 1]")
    if shadow is not None and (shadow.max_in_flight < 1 or shadow.timeout <= 0):
        problems.add((*path, "shadow"), "shadow needs max_in_flight of at least 1 and a timeout longer than nothing")


def _member(table: object, key: str) -> object:
    return table.get(key) if isinstance(table, Mapping) else None


def _names(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    for target in value if isinstance(value, list) else [value]:
        if isinstance(target, str):
            yield path, target
