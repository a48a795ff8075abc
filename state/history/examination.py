"""Look at a history from outside: whether it is whole and ours, who may read it, what it holds."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from state.errors import HistoryError
from state.history.inspection import open_for_reading, quoted, told_plainly
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, schema_files
from state.history.places import beside, size
from state.people import group_name, user_name

__all__ = ["Depth", "Examination", "Finding", "TableSize", "examine"]

_LARGE_WAL: Final = 64 * 1024 * 1024
"""Four times what the recorder leaves: somebody reads for long, or nobody may write."""
_MOST_PROBLEMS: Final = 20
_SHOWN: Final = 3
_GROUP_READS: Final = stat.S_IRGRP
_ROWS_WITHOUT_TIME: Final = {"fault_kind", "latency_bucket", "rollup_mark", "latency_sketch"}


class Depth(NamedTuple):
    """How closely the pages are looked at."""

    pragma: str
    measure: str
    """Where a table's bytes are read from; empty where they are left out: it takes reading all of the file."""

    @classmethod
    def quick(cls) -> Depth:
        """Every page once."""
        return cls("quick_check", "")

    @classmethod
    def full(cls) -> Depth:
        """Every page, every index against its table, and the bytes of each table."""
        return cls("integrity_check", "dbstat")


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


class TableSize(NamedTuple):
    """How much of a table there is; `first_ms` and `last_ms` are None where rows have no time, or there are none."""

    name: str
    rows: int
    first_ms: int | None
    last_ms: int | None
    bytes: int | None


class Examination(NamedTuple):
    """What an examination found."""

    findings: tuple[Finding, ...]
    tables: tuple[TableSize, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.ok for finding in self.findings)


def examine(path: Path, depth: Depth) -> Examination:
    """Look at the history at `path`. Raises HistoryError where there is no file."""
    if path.is_fifo():  # opening it would wait for somebody who writes into it
        raise HistoryError(f"{path} is a pipe; name the history's file (--history)")
    try:
        opened = open_for_reading(path)
    except HistoryError as error:
        if not path.is_file():
            raise
        return Examination((Finding("opens", ok=False, detail=str(error)), *_files(path)), ())
    with told_plainly(path), closing(opened) as connection:
        findings = [*_identity(connection), *_integrity(connection, depth), *_files(path)]
        if not findings[0].ok:
            return Examination(tuple(findings), ())
        try:
            findings += [_foreign(connection), *_runs(connection), _gaps(connection)]
            tables = tuple(_tables(connection, depth))
        except sqlite3.DatabaseError as error:
            return Examination((*findings, Finding("content", ok=False, detail=f"cannot be read: {error}")), ())
    return Examination(tuple(findings), tables)


def _identity(connection: sqlite3.Connection) -> Iterator[Finding]:
    application, version = (_one(connection, f"PRAGMA {name}") for name in ("application_id", "user_version"))
    ours = application == APPLICATION_ID
    yield Finding("application_id", ours, f"{application:#x}{'' if ours else ': this is no history of fairlead'}")
    if not ours:
        return
    if version > SCHEMA_VERSION:
        detail = f"{version}: written by a newer fairlead, this one knows {SCHEMA_VERSION}; upgrade"
    elif version < SCHEMA_VERSION:
        detail = f"{version}: the next start of the daemon brings it to {SCHEMA_VERSION}, and keeps a copy"
    else:
        detail = str(version)
    yield Finding("schema", version <= SCHEMA_VERSION, detail)


def _integrity(connection: sqlite3.Connection, depth: Depth) -> Iterator[Finding]:
    try:
        lines = [str(row[0]) for row in connection.execute(f"PRAGMA {depth.pragma}({_MOST_PROBLEMS})")]
    except sqlite3.DatabaseError as error:
        lines = [str(error)]
    whole = lines == ["ok"]
    problems = [line for text in lines for line in text.splitlines() if not line.startswith("***")]
    more = f"; {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    told = f"{'; '.join(problems[:_SHOWN])}{more}; docs/history.md says how to recover what is left"
    yield Finding(depth.pragma, whole, "ok" if whole else told)


def _files(path: Path) -> Iterator[Finding]:
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    readable = bool(mode & _GROUP_READS)
    owner, group = user_name(found.st_uid) or found.st_uid, group_name(found.st_gid) or found.st_gid
    advice = "" if readable else ": its group may not read it; the next start of the daemon heals that"
    yield Finding("mode", readable, f"{mode:04o} {owner}:{group}{advice}")
    wal = size(Path(f"{path}-wal"))
    large = wal > _LARGE_WAL
    why = "; a reader that stays open holds it" if large else ""
    yield Finding("size", not large, f"{found.st_size} bytes and {wal} in its log{why}")
    copies, damaged = (beside(path, ending) for ending in (".v*-*.bak", ".corrupt-*"))
    if copies:
        yield Finding("copies", ok=True, detail=", ".join(copy.name for copy in copies))
    if damaged:
        names = ", ".join(each.name for each in damaged)
        yield Finding("set_aside", ok=False, detail=f"{names}: damaged; recover what is in them, then move them away")


def _foreign(connection: sqlite3.Connection) -> Finding:
    """Look for tables, views, indexes and triggers that fairlead has not made, and for those of its own that lack."""
    with closing(sqlite3.connect(":memory:")) as plain:
        version = _one(connection, "PRAGMA user_version")
        for name in schema_files(version):
            plain.executescript(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
        ours = _things(plain)
    theirs = _things(connection)
    views = {thing for thing in ours | theirs if thing.startswith("view ")} if version < SCHEMA_VERSION else set()
    extra, missing = sorted(theirs - ours - views), sorted(ours - theirs - views)
    parts = [f"not fairlead's: {', '.join(extra)}"] if extra else []
    parts += [f"missing: {', '.join(missing)}"] if missing else []
    return Finding("things", not parts, "; ".join(parts) or f"{len(theirs)} as fairlead made them")


def _things(connection: sqlite3.Connection) -> set[str]:
    return {f"{kind} {name}" for kind, name in connection.execute("SELECT type, name FROM sqlite_schema")}


def _runs(connection: sqlite3.Connection) -> Iterator[Finding]:
    ended = connection.execute("SELECT ended_ms, pid FROM run ORDER BY id DESC LIMIT 1").fetchone()
    if ended is None:
        return
    last = _one(connection, "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(ended_ms) / 1000, 'unixepoch') FROM run")
    state = "the last run ended cleanly" if ended[0] is not None else f"process {ended[1]} writes it, or was killed"
    yield Finding("last_clean_end", ok=True, detail=f"{last or 'never'}; {state}")


def _gaps(connection: sqlite3.Connection) -> Finding:
    gaps, rows = connection.execute("SELECT count(*), coalesce(sum(count), 0) FROM gap").fetchone()
    detail = f"{gaps}, of {rows} rows; the table gap says why" if gaps else "none"
    return Finding("gaps", ok=True, detail=detail)


def _tables(connection: sqlite3.Connection, depth: Depth) -> Iterator[TableSize]:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    sizes = _bytes(connection) if depth.measure else {}
    for name in names:
        if name.startswith("sqlite_"):
            continue
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")}
        time = next((column for column in ("at_ms", "hour_ms", "quarter_ms") if column in columns), None)
        span = f"min({time}), max({time})" if time and name not in _ROWS_WITHOUT_TIME else "NULL, NULL"
        rows, first, last = connection.execute(f"SELECT count(*), {span} FROM {quoted(name)}").fetchone()  # noqa: S608
        yield TableSize(name, rows, first, last, sizes.get(name, 0) if depth.measure else None)


def _bytes(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the bytes of each table with its indexes; nothing where this SQLite was built without dbstat."""
    sql = """
SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) WHERE aggregate = 1 GROUP BY tbl_name"""
    try:
        return dict(connection.execute(sql).fetchall())
    except sqlite3.OperationalError:
        return {}


def _one(connection: sqlite3.Connection, sql: str) -> Any:
    return connection.execute(sql).fetchone()[0]
