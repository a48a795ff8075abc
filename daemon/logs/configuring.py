"""Sets the log up: which events, in which shape, to whom. One process has one log, as structlog has it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import Processor

from daemon.config.settings import LogFormat
from daemon.logs.flood import Flood, FloodPolicy, LeftOut
from daemon.logs.outlets import JournalOutlet, PrefixedOutlet, StandardError
from daemon.logs.sentences import Entry, entry_of, harmless
from daemon.logs.shapes import Shape, reader_of, shape_for
from daemon.logs.tracebacks import told_exception
from daemon.service.journald import SOCKET, JournalSocket

__all__ = ["Log", "configure_logs", "end_log", "tell_left_out"]

_log = structlog.get_logger("fairlead.log")
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_ALL: Final = FloodPolicy(most=sys.maxsize)
_flood: Final = Flood(FloodPolicy(), time.monotonic)
_journals: Final[list[JournalOutlet]] = []
_Event = MutableMapping[str, Any]


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """How the log is told."""

    level: str = "info"
    """`debug`, which leaves nothing out, `info`, `warning` or `error`: events of that level and above are told."""
    format: LogFormat = "auto"
    journal: str = SOCKET
    """Where the journal reads."""


def configure_logs(log: Log, stream: TextIO) -> Shape:
    """Tell events as `log` says: to `stream`, or to the journal. Return the shape that they have."""
    shape = shape_for(log.format, reader_of(os.environ, stream))
    _flood.follow(_ALL if log.level == "debug" else FloodPolicy())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _without_floods,
            structlog.processors.add_log_level,
            structlog.processors.ExceptionRenderer(told_exception),
            *_rendering(shape, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=_factory(shape, log, stream),
        cache_logger_on_first_use=True,
    )
    atexit.register(end_log)
    return shape


def tell_left_out() -> None:
    """Say what was left out of floods that are over, and send on what a busy journal let wait. Now and then."""
    _say(*_flood.settled())
    for journal in _journals:
        journal.settle()


def end_log() -> None:
    """Say what was left out so far, and give the journal a moment for what waits. At the end, however it comes."""
    _say(*_flood.ended())
    while _journals:
        _journals.pop().close()


def _say(*left_out: LeftOut) -> None:
    for one in left_out:
        _log.warning("left_out", kind=one.event, count=one.count, **{f"of_{name}": value for name, value in one.of})


def _without_floods(_logger: object, _method: str, event: _Event) -> _Event:
    before = 0 if event["event"] == "left_out" else _flood.admits(event)
    if before is None:
        raise structlog.DropEvent
    if before:
        event["left_out"] = before
    return event


def _rendering(shape: Shape, stream: TextIO) -> list[Processor]:
    match shape:
        case Shape.JOURNAL | Shape.PREFIXED:
            return [_as_entry]
        case Shape.JSON:
            return [
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=_serialize),
            ]
        case Shape.TEXT:
            colors = stream.isatty() and not os.environ.get("NO_COLOR")
            plain = structlog.dev.plain_traceback
            return [
                structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
                _harmlessly,
                structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),
            ]


def _factory(shape: Shape, log: Log, stream: TextIO) -> Any:
    if shape in {Shape.JSON, Shape.TEXT}:
        return structlog.WriteLoggerFactory(file=stream)
    stderr = StandardError(stream.fileno())
    if shape is Shape.PREFIXED:
        prefixed = PrefixedOutlet(stderr)
        return lambda *_: prefixed
    outlet = JournalOutlet(JournalSocket(log.journal), stderr)
    _journals[:] = [outlet]
    return lambda *_: outlet


def _as_entry(_logger: object, _method: str, event: _Event) -> tuple[tuple[Entry], dict[str, Any]]:
    return (entry_of(event),), {}


def _harmlessly(_logger: object, _method: str, event: _Event) -> _Event:
    for name, value in event.items():
        if type(value) is str and name != "exception":
            event[name] = harmless(value)
    return event


def _serialize(event: Mapping[str, Any], **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
