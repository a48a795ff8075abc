"""What is in force, value by value, and the layer that set each: a default, a file's line, the environment, a word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from daemon.config.configuration import Configuration
from daemon.config.discovery import KNOWN
from daemon.config.files import Document
from daemon.config.locate import KeyPath
from daemon.config.settings import FileSettings, ProviderSettings, WorkloadSettings
from state.durations import Seconds, spell_duration
from state.sizes import ByteSize, spell_size

__all__ = ["DEFAULT", "HIDDEN", "Value", "by_environment", "by_files", "settings_found", "values_of"]

DEFAULT: Final = "default"
HIDDEN: Final = "(not shown)"
"""What stands for a secret."""
_REFERENCE: Final = re.compile(r"(\$\{[a-z]+:[^}]*\})?")
Origin = Callable[[KeyPath], str]


class Value(msgspec.Struct, frozen=True):
    """One key, what it is set to as a person writes it, and who set it."""

    path: KeyPath
    value: Any
    """Text, a number, a list or, for tables within a list, a table; None where nothing is set."""
    origin: str


def values_of(settings: FileSettings, origin: Origin) -> Iterator[Value]:
    """Yield every value, in the order of the sections; secrets are hidden."""
    for path, value in _leaves((), settings):
        yield Value(path, HIDDEN if _is_secret(path, value) else _written(value), origin(path))


def by_files(document: Document) -> Origin:
    """Return what knows the line that sets a key; for a provider's health that of the common one, too."""

    def origin(path: KeyPath) -> str:
        common = path[2:] if path[0] == "providers" and path[2] == "health" else path
        return document.origin(path) or document.origin(common) or DEFAULT

    return origin


def by_environment(settings: FileSettings) -> Origin:
    """Return what knows of settings that were found in the environment which of their values were."""
    plain = FileSettings(
        version=1,
        providers=dict.fromkeys(settings.providers, _UNNAMED),
        workloads=dict.fromkeys(settings.workloads, WorkloadSettings()),
    )
    found = {path for path, value in _leaves((), settings) if (path, value) not in _pairs(plain)}
    return lambda path: "environment" if path in found else DEFAULT


def settings_found(configuration: Configuration) -> FileSettings:
    """Return the file that would say what was found without one; keys are references to their variables."""
    variables = {known.name: known.variable for known in KNOWN}
    providers = {
        name: ProviderSettings(
            dialect=each.dialect,
            models=each.models,
            base_url=each.base_url,
            api_key=f"${{env:{variables[name]}}}" if each.api_key else "",
            max_in_flight=each.max_in_flight,
        )
        for name, each in configuration.providers.items()
    }
    workloads = {
        name: WorkloadSettings(targets=each.targets, default=each.default)
        for name, each in configuration.workloads.items()
    }
    return FileSettings(version=1, providers=providers, workloads=workloads)


_UNNAMED: Final = msgspec.convert({"dialect": "simulated", "models": []}, ProviderSettings)


def _pairs(settings: FileSettings) -> list[tuple[KeyPath, Any]]:
    return list(_leaves((), settings))


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from _leaves((*path, field.encode_name), getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves((*path, str(getattr(key, "value", key))), part)
    else:
        yield path, value


def _is_secret(path: KeyPath, value: Any) -> bool:
    """Return whether a value is a key or its digest, or may hold a token; a reference to a key is neither."""
    if path[0] == "providers" and path[2:] == ("api_key",):
        return _REFERENCE.fullmatch(value) is None
    if path[0] == "keys":
        return path[2:] == ("sha256",)
    return path == ("alerts", "webhook") and bool(value)


def _written(value: Any) -> Any:
    """Return a value as a person writes it."""
    if isinstance(value, tuple):
        return [_written(part) for part in value]
    if isinstance(value, msgspec.Struct):
        parts = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return {key: _written(part) for key, part in parts.items() if part is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Seconds):
        return spell_duration(value)
    return spell_size(value) if isinstance(value, ByteSize) else value
