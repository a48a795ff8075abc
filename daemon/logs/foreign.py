"""What others say in this process: libraries by way of `logging`, and the interpreter's own last words.

Their texts may hold what clients sent (a callback's arguments, a malformed line), so only what their code says is told.
"""

from __future__ import annotations

import logging
import re
import sys
from types import TracebackType
from typing import Final

import structlog

__all__ = ["listen_to_others"]

_log = structlog.get_logger("fairlead.foreign")
_DATA: Final = re.compile(r"[('\"<={\[:\n]")
"""Where a finished text may begin to repeat data."""
_LONGEST: Final = 120


class _Listener(logging.Handler):
    """Passes warnings and errors of libraries on as events."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        say = _log.error if record.levelno >= logging.ERROR else _log.warning
        say(
            "library_trouble",
            library=record.name,
            at=f"{record.module}.{record.funcName}:{record.lineno}",
            text=_said_by_code(record),
            exc_info=record.exc_info,
        )


def listen_to_others() -> None:
    """Tell what libraries warn of, and the exceptions that nobody caught, as events of the log."""
    logging.basicConfig(handlers=[_Listener(logging.WARNING)], level=logging.WARNING, force=True)
    sys.excepthook = _crashed
    sys.unraisablehook = _unraisable


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _log.critical("crashed", exc_info=(kind, error, trace))


def _unraisable(raised: sys.UnraisableHookArgs) -> None:
    error = raised.exc_value
    exc_info = None if error is None else (raised.exc_type, error, raised.exc_traceback)
    _log.error("library_trouble", library="python", text=raised.err_msg or "exception ignored", exc_info=exc_info)


def _said_by_code(record: logging.LogRecord) -> str:
    """Return a record's text as the code has it: with its placeholders, or as far as no data can have been put in."""
    text = str(record.msg)
    return text[:_LONGEST] if record.args else _DATA.split(text, maxsplit=1)[0][:_LONGEST].strip()
