"""What a configuration must fulfil beyond the shape of its values: references that hold and numbers that make sense."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from daemon.alerts.policy import AlertPolicy
from daemon.config.cascading import check_cascade
from daemon.config.locate import KeyPath
from daemon.config.pricing import check_max_price, check_prices
from daemon.config.reading import Problems, nearest
from daemon.config.settings import ProviderSettings, WorkloadSettings
from daemon.routing.policy import Strategy
from daemon.routing.strategies.known import UnknownStrategy, strategy_named, strategy_names
from probes.origin import origin_of
from probes.policy import Dialect
from state.faults import ENTITLEMENT, NEVER_FALLBACK_ON, Fault
from state.policy import HealthPolicy

__all__ = [
    "check_alerts",
    "check_base_url",
    "check_health",
    "check_providers",
    "check_targets",
    "check_workloads",
]


def check_providers(providers: Mapping[str, ProviderSettings], problems: Problems) -> None:
    """Note what is wrong with providers that were read."""
    for name, provider in providers.items():
        path: KeyPath = ("providers", name)
        if not name or "/" in name:
            problems.add(path, f"the provider {name!r} must have a name without a slash")
        if provider.dialect is Dialect.SIMULATED:
            if provider.base_url:
                problems.add((*path, "base_url"), "a simulated provider has no base_url; remove it")
        elif not provider.base_url:
            problems.add(path, f"[providers.{name}] lacks the key base_url")
        else:
            check_base_url((*path, "base_url"), provider.base_url, problems)
        if not provider.models:
            problems.add((*path, "models"), "models is empty; name at least one")
        _positive((*path, "max_in_flight"), provider.max_in_flight, problems)
        for model in _twice(provider.models):
            problems.add((*path, "models"), f"the model {model!r} is named twice")
        check_health((*path, "health"), provider.health, problems)
        _check_status_page(path, provider, problems)
        check_prices(path, provider, problems)


def _check_status_page(path: KeyPath, provider: ProviderSettings, problems: Problems) -> None:
    if provider.status_page:
        _check_url((*path, "status_page"), provider.status_page, problems)
    elif provider.status_component:
        text = "status_component picks from a status_page, and there is none; give its URL"
        problems.add((*path, "status_component"), text)


def check_base_url(path: KeyPath, base_url: str, problems: Problems) -> None:
    """Note why nothing could be reached at `base_url`; the URL itself is not repeated, it may hold credentials."""
    try:
        origin_of(base_url)
    except ValueError as problem:
        problems.add(path, f"base_url cannot be used: {problem}")
        return
    if "@" in urlsplit(base_url).netloc:
        problems.add(path, "base_url holds credentials, which status and logs would show; give the key as api_key")


def check_health(path: KeyPath, health: HealthPolicy, problems: Problems) -> None:
    """Note what is wrong with a health policy."""
    for key in ("fall", "rise", "min_samples"):
        _positive((*path, key), getattr(health, key), problems)
    if not 0 < health.failure_ratio <= 1:
        problems.add((*path, "failure_ratio"), f"failure_ratio is {health.failure_ratio:g}; give a share in (0, 1]")
    if health.window <= 0:
        problems.add((*path, "window"), "window must be longer than nothing")
    if not 0 < health.cooldown.base <= health.cooldown.max:
        problems.add((*path, "cooldown"), "cooldown needs 0 < base <= max")


def check_alerts(alerts: AlertPolicy, problems: Problems) -> None:
    """Note what is wrong with how operators are to be told; a webhook may hold a token and is not repeated."""
    if alerts.webhook:
        _check_url(("alerts", "webhook"), alerts.webhook, problems)
    if alerts.command and not alerts.command[0]:
        problems.add(("alerts", "command"), "command names no program")
    if any("\0" in word for word in alerts.command):
        problems.add(("alerts", "command"), "command holds a NUL, which no program can be given")
    if not 0 < alerts.fallback_rate <= 1:
        text = f"fallback_rate is {alerts.fallback_rate:g}; give a share in (0, 1]"
        problems.add(("alerts", "fallback_rate"), text)
    for key in ("timeout", "every", "window"):
        if getattr(alerts, key) <= 0:
            problems.add(("alerts", key), f"{key} must be longer than nothing")
    _positive(("alerts", "min_requests"), alerts.min_requests, problems)


def _check_url(path: KeyPath, url: str, problems: Problems) -> None:
    """Note why nothing could be asked at `url`, which may hold a token and is not repeated."""
    if not re.fullmatch(r"https?://[^\s/@\0]+(/[^\s\0]*)?", url):
        problems.add(path, f"{path[-1]} must be an http:// or https:// URL without credentials")
        return
    try:
        origin_of(url)
    except ValueError as problem:
        problems.add(path, f"{path[-1]} cannot be used: {problem}")


def check_workloads(workloads: Mapping[str, WorkloadSettings], problems: Problems) -> None:
    """Note what is wrong with workloads that were read, their targets apart."""
    defaults = [name for name, workload in workloads.items() if workload.default]
    for name in defaults[1:]:
        problems.add(("workloads", name, "default"), f"{defaults[0]} is the default already; there can be only one")
    for name, workload in workloads.items():
        path: KeyPath = ("workloads", name)
        if name == "auto" or "/" in name or not name:
            problems.add(path, f"a workload cannot be called {name!r}: that means something else to clients")
        _check_numbers(path, workload, problems)
        _check_promises(path, workload, problems)
        check_cascade(path, workload, problems)
        if workload.max_price is not None:
            check_max_price(path, workload.max_price, problems)


def check_targets(path: KeyPath, targets: list[str], served: list[str], problems: Problems) -> None:
    """Note what is wrong with the targets of the workload at `path`; `served` are the targets that there are."""
    place = (*path, "targets")
    if not targets:
        problems.add(place, "targets is empty; name at least one, as provider/model")
    for target in dict.fromkeys(targets):
        if target not in served:
            problems.add(place, f"no provider serves {target}{nearest(target, served)}")
    for target in _twice(targets):
        problems.add(place, f"the target {target} is named twice")


def _check_promises(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note what a workload promises and takes back in the same breath."""
    for fault in workload.fallback_on if workload.require_entitlement else ():
        if fault in ENTITLEMENT:
            text = f"require_entitlement shows every {fault.value}, but fallback_on names it; take one of them out"
            problems.add((*path, "require_entitlement"), text)
    if workload.escalate and workload.escalate in workload.targets[:1]:
        problems.add((*path, "escalate"), f"escalate is {workload.escalate}, which is asked first anyway")
    floor = workload.stream_floor
    if floor is not None and (floor.tokens_per_second <= 0 or floor.over <= 0):
        problems.add((*path, "stream_floor"), "stream_floor needs tokens_per_second and over above 0")
    if workload.deadline is not None and workload.deadline <= 0:
        problems.add((*path, "deadline"), "deadline must be longer than nothing")
    if workload.keep_alive <= 0:
        problems.add((*path, "keep_alive"), "keep_alive must be longer than nothing")
    _check_hedge(path, workload, problems)
    for name in workload.degraded.messages:
        if name not in set(Fault):
            text = f"degraded.messages names {name!r}, which is no fault{nearest(name, Fault)}"
            problems.add((*path, "degraded"), text)


def _check_hedge(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note why a second target could never be asked beside the first."""
    place = (*path, "hedge")
    if not workload.hedge:
        return
    if len(workload.targets) == 1:
        problems.add(place, f"hedge asks a second target, but {workload.targets[0]} is the only one")
    if workload.max_attempts == 1:
        problems.add(place, "hedge is a second attempt, but max_attempts is 1; raise it, or take hedge out")
    if workload.strategy != Strategy.LOWEST_LATENCY:
        text = f'hedge needs strategy = "lowest-latency"; "{workload.strategy}" expects nothing of a target'
        problems.add(place, text)


def _check_numbers(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    for fault in workload.fallback_on:
        if fault in NEVER_FALLBACK_ON:
            problems.add((*path, "fallback_on"), f"fallback_on names {fault.value}, which another target cannot mend")
    weights = workload.weights
    if weights and workload.strategy != Strategy.WEIGHTED:
        problems.add((*path, "weights"), 'weights only mean something with strategy = "weighted"')
    elif weights and (len(weights) != len(workload.targets) or min(weights) <= 0):
        problems.add((*path, "weights"), "weights needs one number above 0 for each target")
    if workload.degraded.mode == "static" and not (workload.degraded.message or workload.degraded.messages):
        problems.add((*path, "degraded"), 'degraded with mode = "static" needs a message')
    for key in ("max_attempts", "max_waiting"):
        _positive((*path, key), getattr(workload, key), problems)
    if workload.max_input_tokens is not None:
        _positive((*path, "max_input_tokens"), workload.max_input_tokens, problems)
    _check_strategy(path, workload, problems)


def _check_strategy(path: KeyPath, workload: WorkloadSettings, problems: Problems) -> None:
    """Note a strategy that nobody brings, and what only means something with another."""
    place = (*path, "strategy")
    try:
        strategy_named(workload.strategy)
    except UnknownStrategy as problem:
        names = strategy_names()
        problems.add(place, f"{problem}; known are {', '.join(names)}{nearest(workload.strategy, names)}")
    rate = workload.seconds_per_dollar
    if rate is None:
        return
    if workload.strategy != Strategy.LOWEST_LATENCY:
        text = 'seconds_per_dollar weighs money against time, which only strategy = "lowest-latency" does'
        problems.add((*path, "seconds_per_dollar"), text)
    if not 0 <= rate < math.inf:
        problems.add((*path, "seconds_per_dollar"), f"seconds_per_dollar is {rate:g}; give seconds, at least 0")


def _positive(path: KeyPath, value: int, problems: Problems) -> None:
    if value < 1:
        problems.add(path, f"{path[-1]} is {value}; it must be at least 1")


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
