"""In which shape the log is told, by who reads it: people, programs or the journal."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TextIO, get_args

import msgspec

from daemon.config.settings import LogFormat
from daemon.service.journald import is_journal

__all__ = ["Reader", "Shape", "asked_format", "reader_of", "shape_for"]

_FORMATS: Final[tuple[LogFormat, ...]] = get_args(LogFormat)


class Shape(StrEnum):
    """How an event is written."""

    TEXT = "text"
    """A line for people."""
    JSON = "json"
    """A line of JSON."""
    JOURNAL = "journal"
    """An entry with fields, by the journal's own protocol."""
    PREFIXED = "prefixed"
    """A line for people with its priority before it, as systemd reads it from standard error."""


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """What is at the other end of standard error."""

    terminal: bool = False
    journal: bool = False
    """Whether it is the journal, by `$JOURNAL_STREAM`."""
    supervised: bool = False
    """Whether it is a socket or a device that systemd gave a service, such as the kernel's log."""


def shape_for(asked: LogFormat, reader: Reader) -> Shape:
    """Return the shape that was asked for, or by `auto` the one that fits the reader."""
    if asked != "auto":
        return Shape(asked)
    if reader.terminal:
        return Shape.TEXT
    if reader.journal:
        return Shape.JOURNAL
    return Shape.PREFIXED if reader.supervised else Shape.JSON


def asked_format(environ: Mapping[str, str], configured: LogFormat) -> LogFormat:
    """Return what `$FAIRLEAD_LOG_FORMAT` asks for, else what is configured. Raises ValueError with what to write."""
    named = environ.get("FAIRLEAD_LOG_FORMAT", "") or configured
    for one in _FORMATS:
        if named == one:
            return one
    raise ValueError(f"FAIRLEAD_LOG_FORMAT is {named[:20]!r}; it can be {', '.join(_FORMATS)}")


def reader_of(environ: Mapping[str, str], stream: TextIO) -> Reader:
    """Return who reads what is written to `stream`."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return Reader()
    return Reader(
        terminal=stream.isatty(),
        journal=is_journal(environ, descriptor),
        supervised="INVOCATION_ID" in environ and (stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)),
    )
