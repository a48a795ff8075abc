"""An event as a sentence for people, and as fields for the journal. Pure, and safe for a terminal."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from daemon.logs.kinds import Kind, kind_of, priority_of
from daemon.service.journald import field_name

__all__ = ["Entry", "entry_of", "harmless", "values_of"]

_TARGETS: Final = ("target", "from_target", "fallback", "hedge", "of_target", "of_from_target", "of_fallback")
"""The fields that name a target which the event is about: each is found under FAIRLEAD_TARGET."""
_NOT_FIELDS: Final = frozenset({"event", "level", "exception", "timestamp"})
_CONTROLS: Final = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""C0, DEL, C1, and what turns the direction of text around."""
_HARMLESS: Final = {code: f"\\x{code:02x}" for code in _CONTROLS} | {ord("\n"): "\\n", ord("\t"): " "}


class Entry(msgspec.Struct, frozen=True):
    """One event, ready for the journal."""

    priority: int
    message: str
    fields: tuple[tuple[str, str], ...]
    """What the journal keeps besides PRIORITY and MESSAGE; a name may come several times."""


def entry_of(event: Mapping[str, Any]) -> Entry:
    """Return what the journal is told of a structlog event."""
    kind = kind_of(event)
    return Entry(
        priority=priority_of(kind, event.get("level", "info")),
        message=_message(event, kind),
        fields=tuple(_fields(event, kind)),
    )


def values_of(value: object) -> tuple[str, ...]:
    """Return a field's value as text: one for each member of a collection, none for None."""
    if value is None:
        return ()
    if isinstance(value, bool):
        return (str(value).lower(),)
    if not isinstance(value, str | int | float):
        if isinstance(value, Mapping):
            return tuple(f"{name}={' '.join(values_of(one))}" for name, one in value.items())
        if isinstance(value, Iterable):
            return tuple(text for one in value for text in values_of(one))
    return (str(value.value if isinstance(value, Enum) else value),)


def harmless(text: str) -> str:
    """Return `text` on one line, without anything that a terminal obeys."""
    return text if text.isprintable() else text.translate(_HARMLESS)


def _fields(event: Mapping[str, Any], kind: Kind | None) -> Iterator[tuple[str, str]]:
    if kind is not None:
        yield "MESSAGE_ID", kind.id
    yield "FAIRLEAD_EVENT", str(event.get("event", ""))
    about = dict.fromkeys(text for name in _TARGETS for text in values_of(event.get(name)))
    for target in about:
        yield "FAIRLEAD_TARGET", target
    for name, value in event.items():
        if name in _NOT_FIELDS or name == "target":
            continue
        for text in values_of(value):
            yield _under(name), text


def _message(event: Mapping[str, Any], kind: Kind | None) -> str:
    told = {name: harmless(", ".join(values_of(value))) for name, value in event.items() if name not in _NOT_FIELDS}
    sentence, used = _sentence(event, kind, told)
    rest = ", ".join(f"{name} {value}" for name, value in told.items() if value and name not in used)
    message = f"{sentence} ({rest})" if rest else sentence
    return f"{message}\n{event['exception']}" if event.get("exception") else message


def _sentence(event: Mapping[str, Any], kind: Kind | None, told: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """Return the sentence, and which fields are in it."""
    if kind is not None and kind.text:
        named = _named(kind.text)
        if all(told.get(name) for name in named):
            return kind.text.format_map(told), named
    return harmless(str(event.get("event", ""))).replace("_", " "), frozenset()


@cache
def _named(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name)


@cache
def _under(name: str) -> str:
    """Return the journal's name for a field; events have few."""
    return f"FAIRLEAD_{field_name(name)}"[:64]
