"""Where an exception was raised, without what it says of data: a text of somebody else's may hold a prompt or a key."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Final

__all__ = ["told_exception"]

_OURS: Final = frozenset({"daemon", "probes", "state"})
_OF_CODE: Final = (AttributeError, ImportError, NameError, RecursionError)
"""What the interpreter says of these names code alone."""
_DEEPEST: Final = 12
"""Of causes and of groups within groups."""
_FRAMES: Final = 60
_CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n"
_DURING: Final = "\nDuring handling of the above exception, another exception occurred:\n"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def told_exception(exc_info: _ExcInfo) -> str:
    """Return the traceback as lines of text: files, lines, types, and the words of exceptions of our own alone."""
    return "\n".join(_story(exc_info[1], 0))


def _story(error: BaseException, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield "…"
        return
    before, between = _before(error)
    if before is not None:
        yield from _story(before, depth + 1)
        yield between
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(error.__traceback__, limit=-_FRAMES)).rstrip("\n")
    yield _named(error)
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions, 1):
            yield f"---- {number} of {len(error.exceptions)} ----"
            yield from _story(one, depth + 1)


def _before(error: BaseException) -> tuple[BaseException | None, str]:
    if error.__cause__ is not None:
        return error.__cause__, _CAUSED
    return (None if error.__suppress_context__ else error.__context__), _DURING


def _named(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {_words(error)}"


def _words(error: BaseException) -> str:
    if type(error).__module__.partition(".")[0] in _OURS or isinstance(error, _OF_CODE):
        return str(error)
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"[Errno {error.errno}] {os.strerror(error.errno)}"
    return "(its words are left out, they may hold what clients sent)"
