"""What a JSON Schema says of one value alone: its type, its size, and what a number may be."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

__all__ = ["OF_VALUES", "OfValue", "Verdict", "same"]

Verdict = bool | None
"""True: it fits; False: it does not; None: nobody knows."""
OfValue = Callable[[dict[str, Any], Any], Verdict]
"""A keyword: what a schema that has it says of a value."""
_NEAR: Final = 1e-9


def same(one: object, other: object) -> bool:
    """Return whether two values are equal, as JSON has it at least at the top: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
}


def _type(schema: dict[str, Any], value: object) -> Verdict:
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    known = [_TYPES[name] for name in names if isinstance(name, str) and name in _TYPES]
    return None if not known or len(known) < len(names) else any(is_one(value) for is_one in known)


def _required(schema: dict[str, Any], value: object) -> Verdict:
    names = schema["required"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return not isinstance(value, dict) or all(name in value for name in names)


def _multiple(schema: dict[str, Any], value: Any) -> Verdict:
    of = schema["multipleOf"]
    if not _is_number(of) or of <= 0:
        return None
    if not _is_number(value):
        return True
    if isinstance(of, int) and isinstance(value, int):
        return value % of == 0
    try:
        times = value / of
    except OverflowError:
        return None
    # Tenths are not exact in binary: what is that near is a multiple.
    return abs(times - round(times)) <= _NEAR * max(1.0, abs(times)) if isfinite(times) else None


def _limit(name: str, kept: Callable[[Any, Any], bool], measure: Callable[[Any], Any]) -> OfValue:
    """Return a keyword that holds a measure of the value, None where it has none, against a number."""

    def judged(schema: dict[str, Any], value: object) -> Verdict:
        bound, measured = schema[name], measure(value)
        if not _is_number(bound):
            return None
        return measured is None or kept(measured, bound)

    return judged


def _at_least(measured: Any, bound: Any) -> bool:
    return bool(measured >= bound)


def _at_most(measured: Any, bound: Any) -> bool:
    return bool(measured <= bound)


def _number(value: Any) -> Any:
    return value if _is_number(value) else None


def _length_of(kind: type[Any]) -> Callable[[Any], int | None]:
    return lambda value: len(value) if isinstance(value, kind) else None


OF_VALUES: Final[dict[str, OfValue]] = {
    "type": _type,
    "required": _required,
    "multipleOf": _multiple,
    "minimum": _limit("minimum", _at_least, _number),
    "maximum": _limit("maximum", _at_most, _number),
    "exclusiveMinimum": _limit("exclusiveMinimum", lambda number, bound: number > bound, _number),
    "exclusiveMaximum": _limit("exclusiveMaximum", lambda number, bound: number < bound, _number),
    "minLength": _limit("minLength", _at_least, _length_of(str)),
    "maxLength": _limit("maxLength", _at_most, _length_of(str)),
    "minItems": _limit("minItems", _at_least, _length_of(list)),
    "maxItems": _limit("maxItems", _at_most, _length_of(list)),
    "minProperties": _limit("minProperties", _at_least, _length_of(dict)),
    "maxProperties": _limit("maxProperties", _at_most, _length_of(dict)),
}
