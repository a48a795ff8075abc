"""Writing TOML, a line for each value: what no library does that the project has, and none does with a comment each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from daemon.config.effective import DEFAULT, HIDDEN, Value
from daemon.config.locate import KeyPath

__all__ = ["toml_lines", "toml_value"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAMED: Final = frozenset({"keys", "providers", "workloads", "limits"})
"""The sections whose tables have names."""


def toml_lines(values: Sequence[Value]) -> Iterator[tuple[str, str]]:
    """Yield the lines of a document of `values`, each with who set it, grouped by their tables.

    What nothing sets is left out, and so is what is empty by default; a secret is a comment.
    """
    table: KeyPath = ()
    for each in values:
        if each.value is None or (each.origin == DEFAULT and each.value in ("", [])):
            continue
        if (stands_in := _table(each.path)) != table:
            table = stands_in
            yield "", ""
            yield f"[{_dotted(table)}]", ""
        key = _dotted(each.path[len(table) :])
        if each.value == HIDDEN:
            yield f"# {key} = {HIDDEN}", each.origin
        else:
            yield f"{key} = {toml_value(each.value)}", each.origin


def toml_value(value: Any) -> str:
    """Return a value as TOML, on one line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_dotted((key,))} = {toml_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _table(path: KeyPath) -> KeyPath:
    """Return the table that a key stands in; tables within it are written with dots."""
    return path[: 2 if path[0] in _NAMED else 1] if len(path) > 1 else ()


def _dotted(path: KeyPath) -> str:
    return ".".join(part if _BARE.fullmatch(part) else toml_value(part) for part in path)
