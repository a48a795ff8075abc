"""Whether a value fits a client's JSON Schema, at a price that no schema can drive up.

A schema comes from outside and may be made to cost: patterns that backtrack for hours, references that multiply. So
patterns are not judged, and a judgement that takes too many steps is given up in the answer's favour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

__all__ = ["MOST_STEPS", "fits"]

MOST_STEPS: Final = 5_000
"""Keywords that are looked at before a judgement is given up: about 50 ms."""
_MOST_SCHEMA_BYTES: Final = 64 * 1024
_MOST_VALUE_BYTES: Final = 256 * 1024
_UNJUDGED: Final = ("pattern", "patternProperties", "uniqueItems")

_Keyword = Callable[..., Iterator[Any] | None]


class _TooMuch(Exception):
    """A judgement took too many steps."""


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Return whether `value` fits `schema`; one that is none, lies elsewhere or costs too much is not its fault."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 60 ms of import that few daemons need
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    from jsonschema.validators import extend  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    if _size(schema) > _MOST_SCHEMA_BYTES or _size(value) > _MOST_VALUE_BYTES:
        return True
    steps = _Steps()
    keywords = {name: steps.counted(keyword) for name, keyword in Draft202012Validator.VALIDATORS.items()}
    bounded: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {**keywords, **dict.fromkeys(_UNJUDGED, _passes)}
    )
    try:
        Draft202012Validator.check_schema(schema)
        return bool(bounded(schema, registry=Registry()).is_valid(value))
    except (SchemaError, Unresolvable, RecursionError, _TooMuch):
        return True


def _size(value: Any) -> int:
    try:
        return len(msgspec.json.encode(value))
    except (ValueError, RecursionError):
        return _MOST_VALUE_BYTES + 1


class _Steps:
    """Counts the keywords that one judgement looks at."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def counted(self, keyword: _Keyword) -> _Keyword:
        """Return `keyword`, which gives up once there are too many steps."""

        def judge(*words: Any) -> Iterator[Any]:
            self._left -= 1
            if self._left < 0:
                raise _TooMuch
            found = keyword(*words)
            if found is not None:
                yield from found

        return judge


def _passes(*_: Any) -> Iterator[Any]:
    return iter(())
