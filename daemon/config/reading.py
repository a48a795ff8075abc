"""Reading TOML into a struct piece by piece, so that every problem is found and not only the first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from daemon.config.locate import KeyPath
from daemon.config.settings import decode_special

__all__ = ["Problems", "nearest", "read_struct"]

T = TypeVar("T", bound=msgspec.Struct)
_LATER = {
    "translate": "translating between dialects is not available in this version",
}


class Problems:
    """What is wrong so far, each with the key that it is about."""

    def __init__(self) -> None:
        """Start with nothing wrong."""
        self.found: list[tuple[KeyPath, str]] = []

    def add(self, path: KeyPath, text: str) -> None:
        """Note that the value at `path` is wrong."""
        self.found.append((path, text))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean …?` where something known is like `word`, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


def read_struct(
    kind: type[T], table: object, path: KeyPath, problems: Problems, stand_ins: Mapping[str, Any] = MappingProxyType({})
) -> T:
    """Return `table` as `kind`, every problem in it noted.

    What is wrong or lacking is replaced by its default, or from `stand_ins`, so that the rest can still be checked:
    `stand_ins` has something for every key that must be there.
    """
    return kind(**_values(kind, table, path, problems, stand_ins))


def _values(
    kind: type[msgspec.Struct], table: object, path: KeyPath, problems: Problems, stand_ins: Mapping[str, Any]
) -> dict[str, Any]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    if not isinstance(table, Mapping):
        problems.add(path, f"{_named(path)} must be a table")
        return dict(stand_ins)
    for unknown in [key for key in table if key not in fields]:
        problems.add((*path, unknown), f"unknown key {unknown}{nearest(unknown, fields)}")
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in table:
            value = _read(field.type, table[key], (*path, key), problems)
            if value is not msgspec.UNSET:
                values[field.name] = value
        elif field.required:
            problems.add(path, f"{_named(path)} lacks the key {key}")
    return {**stand_ins, **values}


def _read(kind: Any, value: object, path: KeyPath, problems: Problems) -> Any:
    """Return `value` as `kind`, UNSET where it is not."""
    if (struct := _struct_in(kind)) is not None:
        return _read_part(struct, value, path, problems)
    if get_origin(kind) is tuple and isinstance(value, list):
        items = tuple(_read(get_args(kind)[0], item, path, problems) for item in value)
        return msgspec.UNSET if msgspec.UNSET in items else items
    if get_origin(kind) is dict and isinstance(value, Mapping):
        return _read_entries(get_args(kind)[1], value, path, problems)
    return _read_plain(kind, value, path, problems)


def _read_entries(kind: Any, table: Mapping[str, Any], path: KeyPath, problems: Problems) -> dict[str, Any]:
    """Return the entries of a table with any keys that are a `kind`, the others noted."""
    entries = {key: _read(kind, value, (*path, key), problems) for key, value in table.items()}
    return {key: entry for key, entry in entries.items() if entry is not msgspec.UNSET}


def _read_plain(kind: Any, value: object, path: KeyPath, problems: Problems) -> Any:
    try:
        return msgspec.convert(value, kind, dec_hook=decode_special)
    except msgspec.ValidationError as error:
        problems.add(path, _in_words(kind, value, path, error))
        return msgspec.UNSET


def _read_part(kind: type[msgspec.Struct], value: object, path: KeyPath, problems: Problems) -> Any:
    """Return a table within a table as `kind`, UNSET where something that must be there is not."""
    values = _values(kind, value, path, problems, {})
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    return kind(**values) if required <= values.keys() else msgspec.UNSET


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct that `kind` is, or would be if it were not None; None for all else."""
    parts = get_args(kind) if get_origin(kind) in {UnionType, Union} else (kind,)
    structs = [part for part in parts if isinstance(part, type) and issubclass(part, msgspec.Struct)]
    return structs[0] if structs else None


def _in_words(kind: Any, value: object, path: KeyPath, error: msgspec.ValidationError) -> str:
    if isinstance(value, str) and value in _LATER:
        return f"{path[-1]} is {value!r}: {_LATER[value]}"
    words = _words_of(kind)
    if words and isinstance(value, str):
        return f"{path[-1]} is {value!r}, which is not one of {', '.join(words)}{nearest(value, words)}"
    return f"{path[-1]}: {str(error).partition(' - at ')[0]}"


def _words_of(kind: Any) -> tuple[str, ...]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    return tuple(str(word) for word in get_args(kind)) if get_origin(kind) is Literal else ()


def _named(path: KeyPath) -> str:
    return f"[{'.'.join(path)}]" if path else "the file"
