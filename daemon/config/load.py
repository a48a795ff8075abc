"""Loading the configuration: every problem at once, each with its file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from daemon.alerts.policy import AlertPolicy
from daemon.config.access import access_of, check_access, parse_listen, unknown_names
from daemon.config.checks import (
    check_alerts,
    check_health,
    check_providers,
    check_targets,
    check_workloads,
)
from daemon.config.client_keys import STAND_IN_DIGEST, check_keys, client_key
from daemon.config.configuration import Configuration, DaemonPolicy
from daemon.config.discovery import discovered
from daemon.config.doors import check_doors, door_policy
from daemon.config.files import Document, read_files
from daemon.config.limiting import check_budgets, check_limits, unkept_budgets
from daemon.config.locate import KeyPath
from daemon.config.reading import Problems, nearest, read_struct
from daemon.config.secrets import SecretProblem, resolve_secret
from daemon.config.settings import DaemonSettings, FileSettings, KeySettings, ProviderSettings, WorkloadSettings
from daemon.config.sorting import all_targets, all_tasks, check_sorting, targets_named_beside
from daemon.limits.policy import BudgetPolicy, LimitPolicy, Limits
from daemon.routing.policy import Strategy, Workload
from probes.cascade import CascadePolicy
from probes.policy import Dialect, Provider, Secret
from state.errors import ConfigError
from state.policy import HealthPolicy, HistoryPolicy
from state.targets import TargetName

__all__ = ["demo_configuration", "load", "read_settings"]

T = TypeVar("T", bound=msgspec.Struct)
_STAND_INS: Final[Mapping[str, Mapping[str, Any]]] = {
    "keys": {"sha256": STAND_IN_DIGEST},
    "providers": {"dialect": Dialect.OPENAI, "models": ("unknown",)},
    "workloads": {},
    "limits": {},
}
"""What takes the place of a required key that is missing or wrong, so that the rest of its table is checked too."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""What would break a problem's line, or upset a terminal, where a file's own words are repeated in it."""
_Notes = list[tuple[KeyPath, str]]


def load(files: tuple[Path, ...], environ: Mapping[str, str]) -> Configuration:
    """Return the configuration of `files`, or what the environment offers where there are none.

    Raises ConfigError with every problem.
    """
    if not files:
        return discovered(environ)
    document = read_files(files)
    problems = Problems()
    warnings: _Notes = []
    settings, listen = _settle(document, problems)
    secrets = _secrets(settings.providers, environ, problems, warnings)
    if problems.found:
        raise ConfigError(_lines(document, problems.found))
    providers = {name: _provider(name, each, secrets[name]) for name, each in settings.providers.items()}
    warnings += [*unkept_budgets(settings.limits, providers), *unknown_names(settings.daemon)]
    return Configuration(
        providers=providers,
        workloads={name: _workload(name, each) for name, each in settings.workloads.items()},
        daemon=DaemonPolicy(
            listen=listen,
            drain_grace=settings.daemon.drain_grace,
            doors=door_policy(settings.daemon),
            log_level=settings.daemon.log_level,
            log_format=settings.daemon.log_format,
        ),
        access=access_of(settings.daemon, listen or ()),
        keys=tuple(client_key(name, each) for name, each in settings.keys.items()),
        history=settings.history,
        alerts=settings.alerts,
        limits=Limits(by_name=settings.limits, budgets=settings.budgets),
        source=", ".join(map(str, files)),
        warnings=_lines(document, warnings),
    )


def read_settings(files: tuple[Path, ...]) -> tuple[Document, FileSettings]:
    """Return what `files` say, and every value that follows from it; references to secrets stay references.

    Raises ConfigError with every problem.
    """
    document = read_files(files)
    problems = Problems()
    settings, _ = _settle(document, problems)
    if problems.found:
        raise ConfigError(_lines(document, problems.found))
    return document, settings


def demo_configuration() -> Configuration:
    """Return what `serve --demo` serves: a workload `demo` over three simulated targets."""
    provider = Provider(name="lab", dialect=Dialect.SIMULATED, base_url="", models=("fast", "steady", "flaky"))
    workload = Workload(name="demo", targets=provider.targets, default=True)
    return Configuration(providers={"lab": provider}, workloads={"demo": workload}, source="demo")


def _settle(document: Document, problems: Problems) -> tuple[FileSettings, tuple[tuple[str, int], ...] | None]:
    """Return the settings and where TCP listens, with every problem noted that is not about secrets."""
    settings = _read(document.table, problems)
    listen = _listen(settings.daemon, problems)
    check_access(settings.daemon, listen or (), settings.keys, problems)
    check_doors(settings.daemon, problems)
    return settings, listen


def _read(table: Mapping[str, Any], problems: Problems) -> FileSettings:
    """Return what could be read of every section, with the problems of all of them noted."""
    known = {field.name for field in msgspec.structs.fields(FileSettings)}
    for key in [key for key in table if key not in known]:
        problems.add((key,), f"unknown key {key}{nearest(key, known)}")
    if table.get("version") != 1:
        problems.add(("version",), "version must be 1: write `version = 1` at the top")
    health = read_struct(HealthPolicy, table.get("health", {}), ("health",), problems)
    check_health(("health",), health, problems)
    named = table.get("providers", {})
    providers = _read_each(ProviderSettings, _with_health(named, table.get("health", {})), "providers", problems)
    workloads = _read_each(WorkloadSettings, table.get("workloads", {}), "workloads", problems)
    check_providers(providers, problems)
    check_workloads(workloads, problems)
    check_sorting(workloads, problems)
    _check_references(table.get("workloads"), _served(named), problems)
    alerts = read_struct(AlertPolicy, table.get("alerts", {}), ("alerts",), problems)
    check_alerts(alerts, problems)
    limits = _read_each(LimitPolicy, table.get("limits", {}), "limits", problems)
    check_limits(limits, {*workloads, *_served(named)}, problems)
    budgets = read_struct(BudgetPolicy, table.get("budgets", {}), ("budgets",), problems)
    check_budgets(budgets, problems)
    keys = _read_each(KeySettings, table.get("keys", {}), "keys", problems)
    check_keys(keys, problems)
    return FileSettings(
        version=1,
        alerts=alerts,
        keys=keys,
        limits=limits,
        budgets=budgets,
        daemon=read_struct(DaemonSettings, table.get("daemon", {}), ("daemon",), problems),
        providers=providers,
        workloads=workloads,
        health=health,
        history=read_struct(HistoryPolicy, table.get("history", {}), ("history",), problems),
    )


def _read_each(kind: type[T], tables: object, section: str, problems: Problems) -> dict[str, T]:
    if not isinstance(tables, Mapping):
        problems.add((section,), f"{section} must be tables, as [{section}.NAME]")
        return {}
    stand_ins = _STAND_INS[section]
    return {name: read_struct(kind, table, (section, name), problems, stand_ins) for name, table in tables.items()}


def _with_health(providers: object, health: object) -> object:
    """Lay each provider's own `health` over the common one, key by key."""
    if not isinstance(providers, Mapping) or not isinstance(health, Mapping):
        return providers
    return {
        name: {**table, "health": {**health, **table["health"]}}
        if isinstance(table, Mapping) and isinstance(table.get("health", None), Mapping)
        else {**table, "health": health}
        if isinstance(table, Mapping) and health
        else table
        for name, table in providers.items()
    }


def _check_references(workloads: object, served: list[str], problems: Problems) -> None:
    """Check the targets of every workload, also of those with other problems."""
    if not workloads or not isinstance(workloads, Mapping):
        problems.add((), "there is no workload; add one as [workloads.NAME] with targets")
        return
    for name, table in workloads.items():
        if not isinstance(table, Mapping):
            continue
        targets = table.get("targets")
        if isinstance(targets, list) and all(isinstance(target, str) for target in targets):
            check_targets(("workloads", name), targets, served, problems)
        elif targets is None and not table.get("tiers"):
            problems.add(("workloads", name), f"[workloads.{name}] lacks the key targets")
        for path, target in targets_named_beside(table):
            if target not in served:
                problems.add(("workloads", name, *path), f"no provider serves {target}{nearest(target, served)}")


def _served(providers: object) -> list[str]:
    """Return the targets that the file names, also those of providers with other problems."""
    tables = providers if isinstance(providers, Mapping) else {}
    return [
        f"{name}/{model}"
        for name, table in tables.items()
        if isinstance(table, Mapping) and isinstance(table.get("models"), list)
        for model in table["models"]
    ]


def _secrets(
    providers: Mapping[str, ProviderSettings], environ: Mapping[str, str], problems: Problems, warnings: _Notes
) -> dict[str, Secret]:
    secrets: dict[str, Secret] = {}
    for name, provider in providers.items():
        path = ("providers", name, "api_key")
        try:
            secrets[name], warning = resolve_secret(provider.api_key, environ)
        except SecretProblem as problem:
            problems.add(path, f"api_key {problem}")
        else:
            if warning is not None:
                warnings.append((path, f"api_key {warning}"))
    return secrets


def _listen(daemon: DaemonSettings, problems: Problems) -> tuple[tuple[str, int], ...] | None:
    addresses = []
    for text in daemon.listen or ():
        try:
            addresses.append(parse_listen(text))
        except ValueError as problem:
            problems.add(("daemon", "listen"), f"listen: {problem}")
    return None if daemon.listen is None else tuple(addresses)


def _provider(name: str, settings: ProviderSettings, key: Secret) -> Provider:
    return Provider(
        name=name,
        dialect=settings.dialect,
        base_url=settings.base_url,
        api_key=key,
        models=settings.models,
        max_in_flight=settings.max_in_flight,
        timeouts=settings.timeouts,
        probe=settings.probe,
        health=settings.health,
        abilities=tuple(settings.abilities.items()),
        status_page=settings.status_page,
        status_component=settings.status_component,
        prices=tuple(settings.prices.items()),
        billing=settings.billing,
    )


def _workload(name: str, settings: WorkloadSettings) -> Workload:
    shared = {field: getattr(settings, field) for field in settings.__struct_fields__ if field != "compatibility"}
    shared["escalate"] = TargetName(settings.escalate) if settings.escalate else None
    shared["cascade"] = settings.cascade or (CascadePolicy() if settings.strategy == Strategy.CASCADE else None)
    return Workload(**{**shared, "name": name, "targets": all_targets(settings), "tasks": all_tasks(settings)})


def _lines(document: Document, notes: _Notes) -> tuple[str, ...]:
    placed = sorted((*document.place(path), text) for path, text in dict.fromkeys(notes))
    return tuple(f"{place}: {_UNPRINTABLE.sub(' ', text)}" for _, _, place, text in placed)
