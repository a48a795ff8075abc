"""The tables and views of fairlead-history(5), from the schema of a history that was just made."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from daemon.manual.mdoc import items, prose
from state.history.migrations import open_history

__all__ = ["Relation", "relation_lines", "relations"]


class Relation(NamedTuple):
    """A table or a view, and what its DDL says of it and of each of its columns."""

    kind: str
    name: str
    text: str
    columns: tuple[tuple[str, str, str], ...]
    """Name, type and meaning; those of a view have no more than a name."""


def relations() -> list[Relation]:
    """Return everything that a new history has, but for what is SQLite's own."""
    with TemporaryDirectory() as folder:
        history = open_history(Path(folder) / "history.sqlite")
        try:
            return list(_read(history))
        finally:
            history.close()


def relation_lines(kind: str) -> Iterator[str]:
    """Yield a subsection for each `table` or `view`; what only serves others comes last."""
    for one in sorted(relations(), key=lambda one: one.name.startswith("_")):
        if one.kind == kind:
            yield f".Ss {one.name}"
            yield from prose(one.text)
            yield from _columns(one)


def _columns(one: Relation) -> Iterator[str]:
    if one.kind == "view":
        yield from (".Pp", "Columns:", *(f".Va {name} {mark}" for name, mark in _listed(one.columns)))
    else:
        yield from items((f"Va {name} Pq {type_}", prose(text)) for name, type_, text in one.columns)


def _listed(columns: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    for place, (name, _, _) in enumerate(columns, 1):
        yield name, "." if place == len(columns) else ","


def _read(history: sqlite3.Connection) -> Iterator[Relation]:
    listed = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    for kind, name, sql in history.execute(listed).fetchall():
        columns = history.execute("SELECT name, type FROM pragma_table_xinfo(?)", (name,)).fetchall()
        told = tuple((column, type_ if kind == "table" else "", _meaning(sql, column)) for column, type_ in columns)
        yield Relation(kind, name, _purpose(sql), told)


def _purpose(sql: str) -> str:
    """Return the comment that a statement begins with."""
    said = re.match(r"[^\n]*\n((?:\s*--[^\n]*\n)*)", sql)
    return " ".join(line.strip().removeprefix("--").strip() for line in said[1].splitlines()) if said else ""


def _meaning(sql: str, column: str) -> str:
    """Return the comment behind a column: that of one that was added later, else that at the end of its line."""
    added = re.search(rf", {column} [A-Z]+\b(?:(?!, [a-z_]+ [A-Z]|\n).)*?/\* (.*?) \*/", sql)
    stood = re.search(rf"^(?:\s+|.*, ){column} [A-Z].*-- (.*)$", sql, re.MULTILINE)
    found = added or stood
    return found[1] if found else ""
