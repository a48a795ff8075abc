"""The configuration file's JSON Schema, for editors."""

from __future__ import annotations

from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from daemon.config.settings import FileSettings
from state.durations import Seconds
from state.sizes import ByteSize

__all__ = ["configuration_schema"]

_DURATION = Annotated[str, msgspec.Meta(pattern=r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", examples=["250ms", "30s", "1h30m"])]
_SIZE = Annotated[str, msgspec.Meta(pattern=r"^\d+(B|kB|MB|GB|KiB|MiB|GiB)$", examples=["16MiB"])]


def configuration_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12)."""
    schema = msgspec.json.schema(_as_written(FileSettings))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "fairlead.toml", **schema}


def _as_written(kind: Any) -> Any:
    """Return `kind` as a person writes it: durations and sizes are strings, in structs and in containers of them."""
    if kind is Seconds:
        return _DURATION
    if kind is ByteSize:
        return _SIZE
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct_as_written(kind)
    if get_origin(kind) in {UnionType, Union}:
        return reduce(or_, map(_as_written, get_args(kind)))
    if get_origin(kind) in {tuple, dict}:
        return get_origin(kind)[tuple(part if part is ... else _as_written(part) for part in get_args(kind))]
    return kind


@cache
def _struct_as_written(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return a struct whose schema is that of `kind` in a file; optional keys carry no default in it."""
    fields: list[Any] = [
        (field.encode_name, _as_written(field.type))
        if field.required
        else (field.encode_name, _as_written(field.type) | msgspec.UnsetType, msgspec.UNSET)
        for field in msgspec.structs.fields(kind)
    ]
    return msgspec.defstruct(kind.__name__, fields, kw_only=True, forbid_unknown_fields=True)
