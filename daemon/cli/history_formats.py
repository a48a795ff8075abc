"""The formats of an export: CSV, JSON lines, Parquet. Each takes rows in pieces and keeps none."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

from daemon.cli.exits import Exit, VerbFailed
from state.history.exporting import Column
from state.history.inspection import Cell

__all__ = ["FORMATS", "Format"]

_Rows: TypeAlias = Sequence[Sequence[Cell]]
_Write: TypeAlias = Callable[[_Rows], None]


class Format(NamedTuple):
    """How a format is written, and what must be there for it."""

    writing: Callable[[Sequence[Column], BinaryIO], AbstractContextManager[_Write]]
    insist_that_it_can_be_written: Callable[[], None] = lambda: None
    """Raises VerbFailed where a package is missing."""


@contextmanager
def _csv(columns: Sequence[Column], file: BinaryIO) -> Iterator[_Write]:
    text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    try:
        yield lambda rows: writer.writerows([[_text(cell) for cell in row] for row in rows])
        text.flush()
    finally:
        text.detach()


@contextmanager
def _jsonl(columns: Sequence[Column], file: BinaryIO) -> Iterator[_Write]:
    names = [column.name for column in columns]

    def write(rows: _Rows) -> None:
        for row in rows:
            line = json.dumps(dict(zip(names, map(_json, row), strict=True)), ensure_ascii=False)
            file.write(line.encode("utf-8", "replace") + b"\n")

    yield write


@contextmanager
def _parquet(columns: Sequence[Column], file: BinaryIO) -> Iterator[_Write]:
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    writer: Any = None

    def write(rows: _Rows) -> None:
        nonlocal writer
        if writer is None:
            writer = parquet.ParquetWriter(file, _arrow_schema(arrow, columns, rows), compression="zstd")
        try:
            cells = [
                [_typed(cell, column) for cell in place]
                for column, place in zip(columns, _turned(columns, rows), strict=True)
            ]
            writer.write_batch(arrow.record_batch(cells, schema=writer.schema))
        except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
            raise VerbFailed(
                Exit.FAILED, f"a column changes its type within the rows: {error}; CAST it in a --query"
            ) from error

    try:
        yield write
        if writer is None:
            write(())
    finally:
        if writer is not None:
            writer.close()


def _insist_on_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise VerbFailed(Exit.FAILED, "Parquet needs the extra: pip install 'fairlead[parquet]'; csv and jsonl do not")


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(_csv),
    "jsonl": Format(_jsonl),
    "parquet": Format(_parquet, _insist_on_pyarrow),
}


def _arrow_schema(arrow: Any, columns: Sequence[Column], rows: _Rows) -> Any:
    """Return the schema by the declared types; where there is none, by what the first rows hold."""
    declared = {"INTEGER": arrow.int64(), "REAL": arrow.float64(), "TEXT": arrow.string(), "BLOB": arrow.binary()}
    fields = []
    for place, column in enumerate(columns):
        held = {type(row[place]) for row in rows} - {type(None)}
        met = (
            "BLOB"
            if held == {bytes}
            else "INTEGER"
            if held == {int}
            else "REAL"
            if held and held <= {int, float}
            else "TEXT"
        )
        fields.append(arrow.field(column.name, declared.get(column.kind) or declared[met]))
    return arrow.schema(fields)


def _turned(columns: Sequence[Column], rows: _Rows) -> list[tuple[Cell, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * len(columns)


def _typed(cell: Cell, column: Column) -> Cell:
    """Return what the daemon had to write in base64 as the bytes that it is."""
    return b64decode(cell) if column.kind == "BLOB" and isinstance(cell, str) else cell


def _text(cell: Cell) -> str | int | float | None:
    return b64encode(cell).decode() if isinstance(cell, bytes) else cell


def _json(cell: Cell) -> str | int | float | None:
    """Return the cell as JSON has it, which knows no infinity."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else _text(cell)
