"""Histories that this version did not write: older, foreign, damaged; nobody who reads one may stumble over a row."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Hashable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from benchmarks.fuzz.mutation import mutated_bytes, mutated_json
from benchmarks.fuzz.odd import TEXTS
from benchmarks.fuzz.surface import Broken, Luck, Surface
from daemon.replay.comparing import compared
from state.errors import HistoryError
from state.history.decisions import choices_since
from state.history.following import Point, events_after, newest_point
from state.history.inspection import QueryLimits, query
from state.history.journeys import Journeys
from state.history.migrations import open_history
from state.history.recollection import recollect
from state.history.spending import recollect_spending
from state.policy import HealthPolicy
from state.recall import recall
from state.record import view
from state.targets import TargetName

__all__ = ["PAST"]

_NOW_MS: Final = 1_750_000_000_000
_TARGET: Final = TargetName("one/m")
_WORDS: Final = {
    "outcome": "failed",
    "fault": "timeout",
    "kind": "canary",
    "after": "cooling",
    "before": "healthy",
    "verb": "drain",
    "at_ms": _NOW_MS,
    "until_ms": _NOW_MS + 9000,
    "quarter_ms": _NOW_MS,
    "hour_ms": _NOW_MS,
    "request_id": "req_1",
    "number": 1,
    "purpose": "client",
    "candidates": '[{"target":"one/m","score":1.0}]',
    "blame": "provider",
    "strategy": "priority",
    "count": 1,
    "sampled_of": 1,
    "streamed": 0,
    "status": 503,
    "served_by": _TARGET,
    "target": _TARGET,
    "to_target": _TARGET,
    "from_target": _TARGET,
    "chosen": _TARGET,
}
_VALUES: Final = (
    None,
    -1,
    0,
    2**63 - 1,
    -(2**63),
    1e308,
    -1.5,
    float("inf"),
    "",
    "x",
    "timeout",
    "cooling",
    "ok",
    b"\xff",
)
_POLICIES: Final = {_TARGET: HealthPolicy(), TargetName("two/m"): HealthPolicy()}
_VIEWS: Final = (
    "health_now",
    "outages",
    "availability_daily",
    "latency_hourly",
    "fallbacks_recent",
    "slowest_requests",
)


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"fairlead-fuzz-{os.getpid()}-"))


@cache
def _bases() -> tuple[Path, Path]:
    """Return a history with a few rows in each table, and the same without STRICT and its checks."""
    strict, loose = _folder() / "strict.sqlite", _folder() / "loose.sqlite"
    open_history(strict).close()
    shutil.copy(strict, loose)
    with closing(sqlite3.connect(loose)) as database:
        database.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(replace(replace(replace(sql, "
            "') STRICT', ')'), 'WITHOUT ROWID', ''), ', WITHOUT', ' WITHOUT'), 'NOT NULL', '') "
            "WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID%'; PRAGMA writable_schema = RESET;"
        )
    for path in (strict, loose):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("PRAGMA ignore_check_constraints = ON")
            for table in _tables(database):
                for number in range(3):
                    _insert(database, table, number)
            database.commit()
    return strict, loose


def _tables(database: sqlite3.Connection) -> list[str]:
    found = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [name for (name,) in database.execute(found)]


def _insert(database: sqlite3.Connection, table: str, number: int) -> None:
    columns = [row for row in database.execute(f"PRAGMA table_xinfo({table})") if row[1] != "id" and not row[6]]
    values = [_plausible(name, kind, number) for _, name, kind, *_ in columns]
    names = ", ".join(row[1] for row in columns)
    with suppress(sqlite3.IntegrityError):
        database.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608


def _plausible(name: str, kind: str, number: int) -> Any:
    if name == "setting":
        return zlib.compress(b"\x80")
    word = _WORDS.get(name)
    if word is not None:
        return word + number if name.endswith("_ms") and isinstance(word, int) else word
    return {"INTEGER": number, "REAL": 12.5, "BLOB": bytes(32)}.get(kind, f"text {number}")


@cache
def _columns() -> tuple[tuple[str, str], ...]:
    with closing(sqlite3.connect(_bases()[0])) as database:
        return tuple(
            (table, row[1])
            for table in _tables(database)
            for row in database.execute(f"PRAGMA table_xinfo({table})")
            if not row[6]
        )


def _seeds() -> list[bytes]:
    plain: list[dict[str, object]] = [
        {"loose": loose, "edits": [], "flips": [], "version": 4} for loose in (False, True)
    ]
    edits = [{"loose": True, "edits": [[*column, "x"]], "flips": [], "version": 4} for column in _columns()]
    older: list[dict[str, object]] = [
        {"loose": False, "edits": [], "flips": [], "version": version} for version in (0, 1, 2, 3, 9)
    ]
    return [json.dumps(each).encode() for each in (*plain, *edits, *older)]


def _mutated(data: bytes, luck: Luck) -> bytes:
    """Change another cell, another byte of the file, or its version; a value is anything that SQLite holds."""
    wish = json.loads(data)
    match luck.randrange(8):
        case 0 | 1 | 2 | 3 | 4:
            value = luck.choice((*_VALUES, luck.choice(TEXTS).encode("utf-8", "replace").decode()))
            edit = [*luck.choice(_columns()), {"hex": value.hex()} if isinstance(value, bytes) else value]
            wish["edits"] = [*wish["edits"], edit][-4:]
        case 5:
            text = mutated_json(
                b'{"estimator":{"first":{"mean":1.0,"noise":1,"variance":0,"at":0}},"loads":[1,2]}', luck
            )
            wish["edits"] = [["estimate", "belief", text.decode("utf-8", "replace")]]
        case 6:
            flips = [[luck.randrange(120_000), luck.randrange(256)] for _ in range(luck.choice((1, 4, 30)))]
            wish["flips"] = [*wish["flips"], *flips][-60:]
        case _:
            wish["loose"], wish["version"] = not wish["loose"], luck.choice((0, 1, 2, 3, 4, 4, 5, 2**31 - 1))
    return json.dumps(wish).encode()


def _made(wish: dict[str, Any]) -> Path:
    path = _folder() / "history.sqlite"
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(_bases()[bool(wish["loose"])], path)
    with closing(sqlite3.connect(path)) as database:
        database.executescript("PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF;")
        for table, column, value in wish["edits"]:
            held = bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
            with suppress(sqlite3.Error, OverflowError):
                database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid % 2 = 1", (held,))  # noqa: S608
        database.execute(f"PRAGMA user_version = {int(wish['version'])}")
        database.commit()
    if wish["flips"]:
        content = bytearray(path.read_bytes())
        for place, byte in wish["flips"]:
            content[place % len(content)] = byte
        path.write_bytes(content)
    return path


def _take(data: bytes) -> Hashable:
    path = _made(json.loads(data))
    wall_now = _NOW_MS / 1000 + 1
    past = recollect(path, now=100.0, wall_now=wall_now, policies=_POLICIES)
    for remembered in past.remembered.values():
        shown = view(recall(remembered, HealthPolicy(), 100.0), 100.0)
        if shown.until is not None and shown.until != shown.until:
            raise Broken("a cooldown without an end that can be compared")
    spending = recollect_spending(path, wall_now)
    for each in spending.unsettled:
        each.as_attempt(100.0)
    return (bool(past.trouble), past.cooling, past.drained, past.outcomes, len(spending.spent), *_others(path))


def _others(path: Path) -> tuple[Hashable, ...]:
    """Let everyone else read who does; each may only say, in its own words, that the history cannot be read."""
    return tuple(_told(each, path) for each in (_journeys, _events, _views, _choices))


def _told(reader: Any, path: Path) -> Hashable:
    try:
        return reader(path)  # type: ignore[no-any-return]
    except HistoryError as error:
        return str(error).replace(str(path), "")[:25]


def _journeys(path: Path) -> Hashable:
    journeys = Journeys(path)
    try:
        requests = list(journeys.requests(0, 2**62))
        seen = list(journeys.observations(0, 2**62))
        journeys.hour(_TARGET, 0, _NOW_MS)
        return (len(requests), len(seen), len(journeys.drains(_NOW_MS)))
    finally:
        journeys.close()


def _events(path: Path) -> Hashable:
    newest_point(path)
    return len(events_after(path, Point()))


def _views(path: Path) -> Hashable:
    return sum(len(query(path, f"SELECT * FROM {name}", limits=QueryLimits(rows=20)).rows) for name in _VIEWS)  # noqa: S608


def _choices(path: Path) -> Hashable:
    return tuple({compared(row).finding.value for row in choices_since(path, 1e9)})


def _mutation(data: bytes, luck: Luck) -> bytes:
    try:
        return _mutated(data, luck)
    except (ValueError, KeyError, TypeError):
        return mutated_bytes(data, luck)


PAST: Final = Surface("past", _seeds, _mutation, _take, share=1, grows=False)
