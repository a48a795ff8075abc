"""Whether a value fits a client's JSON Schema, at a price that no schema can drive up.

A schema comes from outside and may be made to cost, or to break whoever reads it: patterns that backtrack for hours,
references that multiply, a keyword of the wrong type. So nothing here runs a pattern, resolves what lies elsewhere or
trusts a type; what is not judged leaves the verdict open, and a judgement that takes too many steps is given up.
Only what surely does not fit is said not to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote

from probes.dialects.limits import OF_VALUES, OfValue, Verdict, same

__all__ = ["MOST_STEPS", "Judge"]

MOST_STEPS: Final = 12_000
"""What is looked at before a judgement is given up: 10 to 40 ms."""
_DEEPEST: Final = 100
"""Of schemas within schemas: far below where Python stops."""
_AT_A_TIME: Final = 8
"""So many plain comparisons take as long as one step."""


class _GivenUp(Exception):
    """A judgement took too many steps."""


class Judge:
    """Judges values by one schema of JSON Schema 2020-12. All its judgements together take no more than MOST_STEPS."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Judge by `schema`, whatever is in it."""
        self._root = schema
        self._left = MOST_STEPS
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def fits(self, value: object) -> bool:
        """Return whether `value` fits; what no schema can say, or not at this price, is not its fault. Never raises."""
        self._depth = 0
        try:
            return self.verdict(self._root, value) is not False
        except (_GivenUp, RecursionError):
            return True

    def verdict(self, schema: object, value: Any) -> Verdict:
        """Return what a part of the schema says of a part of the value."""
        self.pays(1)
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict) or ("$id" in schema and schema is not self._root):
            return None  # below an id of its own, references mean something else
        self.pays(len(schema) + sum(len(part) for part in schema.values() if isinstance(part, list)) // _AT_A_TIME)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _GivenUp
        found = _all(_KEYWORDS[name](self, schema, value) for name in schema if name in _KEYWORDS)
        self._depth -= 1
        return found

    def pays(self, steps: int) -> None:
        """Take `steps` off what is left."""
        self._left -= steps
        if self._left < 0:
            raise _GivenUp

    def size(self, value: object) -> int:
        """Return how many values are in a part of the schema, itself included; counted once."""
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in self._sizes:
            size, waiting = 0, [value]
            while waiting:
                self.pays(1)
                inner: Iterable[Any] = waiting.pop()
                parts = list(inner.values() if isinstance(inner, dict) else inner)
                size += 1 + len(parts)
                waiting += [part for part in parts if isinstance(part, dict | list)]
            self._sizes[id(value)] = size
        return self._sizes[id(value)]

    def lookup(self, reference: object) -> object:
        """Return the part of the schema to which `reference` points; None where that is no place in it."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            return None
        place: Any = self._root
        for step in reference.split("/", _DEEPEST)[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(place, dict) and name in place:
                place = place[name]
            elif isinstance(place, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(place):
                place = place[int(name[:9])]
            else:
                return None
        return place


_Keyword = Callable[[Judge, dict[str, Any], Any], Verdict]


def _all(verdicts: Iterable[Verdict]) -> Verdict:
    open_ = False
    for verdict in verdicts:
        if verdict is False:
            return False
        open_ = open_ or verdict is None
    return None if open_ else True


def _any(verdicts: Iterable[Verdict]) -> Verdict:
    open_ = False
    for verdict in verdicts:
        if verdict:
            return True
        open_ = open_ or verdict is None
    return None if open_ else False


def _branches(judge: Judge, schema: dict[str, Any], name: str, value: object) -> Iterable[Verdict]:
    branches = schema[name]
    if not isinstance(branches, list) or not branches:
        return (None,)
    return (judge.verdict(branch, value) for branch in branches)


def _one_of(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    verdicts = list(_branches(judge, schema, "oneOf", value))
    if verdicts.count(True) > 1:
        return False
    return None if None in verdicts else True in verdicts


def _not(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    verdict = judge.verdict(schema["not"], value)
    return None if verdict is None else not verdict


def _if(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    verdict = judge.verdict(schema["if"], value)
    return None if verdict is None else judge.verdict(schema.get("then" if verdict else "else", True), value)


def _ref(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    reference = schema["$ref"]
    judge.pays(len(reference) // _AT_A_TIME if isinstance(reference, str) else 0)
    return judge.verdict(judge.lookup(reference), value)


def _enum(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    judge.pays(judge.size(schema["enum"]) // _AT_A_TIME)
    return any(same(each, value) for each in schema["enum"]) if isinstance(schema["enum"], list) else None


def _const(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    judge.pays(judge.size(schema["const"]) // _AT_A_TIME)
    return same(schema["const"], value)


def _properties(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    named = schema["properties"]
    if not isinstance(named, dict):
        return None
    if not isinstance(value, dict):
        return True
    judge.pays(len(named) // _AT_A_TIME)
    return _all(judge.verdict(part, value[name]) for name, part in named.items() if name in value)


def _additional(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    named = schema.get("properties", {})
    if not isinstance(named, dict) or "patternProperties" in schema:
        return None  # which properties are additional, only the patterns could tell
    if not isinstance(value, dict):
        return True
    judge.pays(len(value) // _AT_A_TIME)
    part = schema["additionalProperties"]
    return _all(judge.verdict(part, value[name]) for name in value if name not in named)


def _prefix(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    parts = schema["prefixItems"]
    if not isinstance(parts, list):
        return None
    if not isinstance(value, list):
        return True
    return _all(judge.verdict(part, item) for part, item in zip(parts, value, strict=False))


def _items(judge: Judge, schema: dict[str, Any], value: object) -> Verdict:
    before = schema.get("prefixItems", [])
    if not isinstance(before, list):
        return None
    if not isinstance(value, list):
        return True
    judge.pays(len(value) // _AT_A_TIME)
    return _all(judge.verdict(schema["items"], item) for item in value[len(before) :])


def _of_value(say: OfValue) -> _Keyword:
    def judged(_: Judge, schema: dict[str, Any], value: object) -> Verdict:
        return say(schema, value)

    return judged


def _open(*_: object) -> Verdict:
    return None


_KEYWORDS: Final[dict[str, _Keyword]] = {
    "$ref": _ref,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "additionalProperties": _additional,
    "prefixItems": _prefix,
    "items": _items,
    "allOf": lambda judge, schema, value: _all(_branches(judge, schema, "allOf", value)),
    "anyOf": lambda judge, schema, value: _any(_branches(judge, schema, "anyOf", value)),
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    **{name: _of_value(say) for name, say in OF_VALUES.items()},
    **dict.fromkeys(("pattern", "patternProperties", "propertyNames", "contains", "uniqueItems"), _open),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef"), _open),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), _open),
}
"""What is judged, and what leaves the verdict open; any other member of a schema is a remark."""
