"""A whole table, or all that a query finds, piece by piece: as much as it is, a few thousand rows are held at once.

Tables are read in pages by their ids, each page a statement of its own, so that whoever is slow to take them keeps no
snapshot of the file and no log from being emptied. `Asks` reads a page: from the file, or through the daemon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from state.errors import HistoryError
from state.history.inspection import Cell, quoted

__all__ = ["Asks", "Column", "Export", "Page", "query_export", "table_export"]

_TIMES: Final = ("at_ms", "hour_ms", "quarter_ms", "from_ms")
"""By which of a table's columns its rows are old or new."""


class Page(NamedTuple):
    """What one question found; `cut` says that there was more than may be answered at once."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    cut: bool


class Asks(Protocol):
    """Whoever answers SQL. Methods raise HistoryError."""

    page_rows: int
    """How many rows are asked for at once."""

    def ask(self, sql: str) -> Page:
        """Return all that is found, as far as it may be answered at once."""
        ...

    def stream(self, sql: str) -> Iterator[Page]:
        """Yield all that is found, in pages; at least one, with the columns."""
        ...


class Column(NamedTuple):
    """A column and its type: INTEGER, REAL, TEXT, BLOB, or nothing where SQLite knows none."""

    name: str
    kind: str = ""


class Export(NamedTuple):
    """What is exported: columns that hold for all rows, and the rows in pages."""

    columns: tuple[Column, ...]
    pages: Iterator[Sequence[Sequence[Cell]]]


def table_export(source: Asks, table: str, since_ms: int | None) -> Export:
    """Return the rows of a table or view from Unix time `since_ms` on. Raises HistoryError where there is none."""
    columns = _columns(source, table)
    names = {column.name for column in columns}
    condition = "" if since_ms is None else f"{_time_of(table, names)} >= {since_ms}"
    if "id" in names and columns[0].kind == "INTEGER":
        return Export(columns, _pages_by_id(source, table, condition))
    where = f" WHERE {condition}" if condition else ""
    pages = source.stream(f"SELECT * FROM {quoted(table)}{where}")  # noqa: S608 - quoted, and the reader only reads
    return Export(columns, (page.rows for page in pages))


def query_export(source: Asks, sql: str) -> Export:
    """Return what `sql` finds."""
    pages = source.stream(sql)
    first = next(pages)

    def every() -> Iterator[Sequence[Sequence[Cell]]]:
        yield first.rows
        yield from (page.rows for page in pages)

    return Export(tuple(Column(name) for name in first.columns), every())


def _columns(source: Asks, table: str) -> tuple[Column, ...]:
    found = source.ask(f"SELECT name, type FROM pragma_table_xinfo({_text(table)}) WHERE hidden <> 1")  # noqa: S608
    if not found.rows:
        every = source.ask(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE '\\_%' ESCAPE '\\'"
        )
        names = ", ".join(sorted(str(row[0]) for row in every.rows))
        raise HistoryError(f"there is no table or view {table}; there are {names}")
    return tuple(Column(str(name), str(kind).upper()) for name, kind in found.rows)


def _time_of(table: str, names: set[str]) -> str:
    for name in _TIMES:
        if name in names:
            return name
    raise HistoryError(f"{table} has no time to go by; leave --since out, or give a --query with a WHERE of its own")


def _pages_by_id(source: Asks, table: str, condition: str) -> Iterator[Sequence[Sequence[Cell]]]:
    """Yield rows in the order of their ids: what is written meanwhile comes too, once."""
    name = quoted(table)
    where = f" WHERE {condition}" if condition else ""
    last = source.ask(f"SELECT min(id) - 1 FROM {name}{where}").rows[0][0]  # noqa: S608
    also = f" AND {condition}" if condition else ""
    while last is not None:
        sql = f"SELECT * FROM {name} WHERE id > {last!r}{also} ORDER BY id LIMIT {source.page_rows}"  # noqa: S608
        page = source.ask(sql)
        if page.rows:
            yield page.rows
        last = page.rows[-1][list(page.columns).index("id")] if page.rows else None


def _text(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
