"""Frozen values as few bytes: MessagePack without what is as it always is, read back by the fields' names.

What a struct's fields are is nobody's business here: a field that is added later takes its default from an older row,
and one that went away is passed over. Infinities and NaN survive, which they would not in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

__all__ = ["Packer", "unpacker"]

T = TypeVar("T")

_REMEMBERED: Final = 256
"""Parts whose bytes are kept: some hundreds of targets with their places; beyond it all are forgotten at once."""


class Packer:
    """Turns structs into bytes. Those of the types in `lasting` are seen again and again, and turned only once."""

    def __init__(self, lasting: tuple[type[msgspec.Struct], ...]) -> None:
        """Remember nothing yet."""
        self._lasting = lasting
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
        self._known: dict[int, tuple[msgspec.Struct, msgspec.Raw]] = {}

    def pack(self, value: msgspec.Struct) -> bytes:
        """Return the bytes of `value`.

        Raises UnicodeEncodeError for a text with a lone surrogate, and OverflowError for an integer beyond 64 bits.
        """
        return self._encoder.encode(self._sparse(value))

    def _sparse(self, value: msgspec.Struct) -> dict[str, object]:
        """Return the fields that are not what they are by default."""
        sparse: dict[str, object] = {}
        for name, default in _defaults(type(value)):
            part = getattr(value, name)
            if part is not default and part != default:
                sparse[name] = self._part(part)
        return sparse

    def _part(self, part: object) -> object:
        if isinstance(part, self._lasting):
            return self._remembered(part)
        if isinstance(part, msgspec.Struct):
            return self._sparse(part)
        if isinstance(part, dict):
            return {key: self._part(value) for key, value in part.items()}
        return part

    def _remembered(self, part: msgspec.Struct) -> msgspec.Raw:
        known = self._known.get(id(part))
        if known is not None:
            return known[1]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        raw = msgspec.Raw(self.pack(part))
        self._known[id(part)] = (part, raw)  # the part is kept too, or another could come to have its id
        return raw


def unpacker(kind: type[T]) -> Callable[[bytes], T]:
    """Return what reads a `kind` from its bytes; it raises msgspec.MsgspecError where they hold none."""
    return msgspec.msgpack.Decoder(kind, dec_hook=_typed).decode


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[tuple[str, object], ...]:
    """Return each field's name and its default: the field itself, which nothing equals, where it has none."""
    return tuple((field.name, _default(field)) for field in msgspec.structs.fields(kind))


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _plain(value: Any) -> object:
    """Return a number that has a type of its own (`Seconds`, `ByteSize`) as a plain one."""
    match value:
        case float():
            return float(value)
        case int():
            return int(value)
        case _:
            raise NotImplementedError(f"{type(value).__name__} has no place in a recorded setting")


def _typed(kind: type[Any], value: object) -> object:
    return kind(value)
