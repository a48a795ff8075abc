"""What limits and budgets must fulfil beyond the shape of their values."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from daemon.config.locate import KeyPath
from daemon.config.reading import Problems, nearest
from daemon.limits.calendar import zone_named
from daemon.limits.policy import BudgetPolicy, LimitPolicy
from probes.policy import Provider

__all__ = ["check_budgets", "check_limits", "unkept_budgets"]

_COUNTS = ("requests_per_minute", "tokens_per_minute", "concurrent")
_DOLLARS = ("usd_per_day", "usd_per_month")


def check_limits(limits: Mapping[str, LimitPolicy], names: Collection[str], problems: Problems) -> None:
    """Note what is wrong with limits that were read; `names` are all that a request may ask for."""
    for name, limit in limits.items():
        path: KeyPath = ("limits", name)
        if all(getattr(limit, key) is None for key in (*_COUNTS, *_DOLLARS)):
            problems.add(path, f"[limits.{name}] limits nothing; give it one of {', '.join((*_COUNTS, *_DOLLARS))}")
        _check_numbers(path, limit, problems)
        _check_names(path, limit.workloads, names, problems)


def check_budgets(budgets: BudgetPolicy, problems: Problems) -> None:
    """Note a time zone that nobody knows, and an answer of no length."""
    try:
        zone_named(budgets.timezone)
    except ValueError as problem:
        problems.add(("budgets", "timezone"), str(problem))
    if budgets.assume_output_tokens < 1:
        problems.add(("budgets", "assume_output_tokens"), "assume_output_tokens must be at least 1")


def _check_numbers(path: KeyPath, limit: LimitPolicy, problems: Problems) -> None:
    for key in _COUNTS:
        value = getattr(limit, key)
        if value is not None and value < 0:
            problems.add((*path, key), f"{key} is {value}; 0 lets nobody through, and less means nothing")
    for key in _DOLLARS:
        usd = getattr(limit, key)
        if usd is not None and not 0 <= usd < math.inf:
            problems.add((*path, key), f"{key} is {usd:g}; give dollars, at least 0")
    if not 0 < limit.warn_at <= 1:
        problems.add((*path, "warn_at"), f"warn_at is {limit.warn_at:g}; give a share in (0, 1]")


def _check_names(path: KeyPath, named: tuple[str, ...], names: Collection[str], problems: Problems) -> None:
    for name in named:
        if name not in names:
            what = "provider serves" if "/" in name else "workload is called"
            problems.add((*path, "workloads"), f"no {what} {name}{nearest(name, names)}")


def unkept_budgets(limits: Mapping[str, LimitPolicy], providers: Mapping[str, Provider]) -> list[tuple[KeyPath, str]]:
    """Return a warning for each provider of whose targets a hard limit in dollars refuses some, as of unknown price."""
    binding = [name for name, limit in limits.items() if limit.binds and limit.budgets]
    if not binding:
        return []
    unpriced = {
        name: [model for model in provider.models if provider.price_of(model) is None]
        for name, provider in providers.items()
    }
    return [
        (("providers", name), f"no price is known of {', '.join(models)}: limits.{binding[0]} refuses them; set prices")
        for name, models in unpriced.items()
        if models
    ]
