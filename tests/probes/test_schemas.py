"""A judgement by a client's JSON Schema: right where it is sure, open where it is not, and cheap whatever is asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from probes.dialects.schemas import Judge

CHEAP_S = 0.5
"""For a busy machine; a judgement takes 40 ms at most."""
_BRANCHES = ("allOf", "anyOf", "oneOf")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, 2.5])
    | st.sampled_from(["", "a", "bb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
_types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas of which everything is judged."""
    numbers, lengths, several = st.integers(-2, 2), st.integers(0, 2), st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _types | st.lists(_types, min_size=1, max_size=3, unique=True),
            "enum": st.lists(st.integers(-3, 3) | st.booleans() | st.sampled_from(["a", None]), min_size=1, max_size=4),
            "const": st.sampled_from([0, 1, True, "a"]),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "additionalProperties": inner,
            "prefixItems": several,
            "items": inner,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y~1z"]),
            **dict.fromkeys(_BRANCHES, several),
            **dict.fromkeys(_BOUNDS, numbers),
            **dict.fromkeys(_LENGTHS, lengths),
        },
    )


@settings(max_examples=400, deadline=None)
@given(_values, st.recursive(st.booleans(), _schemas, max_leaves=5).filter(lambda schema: isinstance(schema, dict)))
def test_what_is_judged_is_judged_as_the_standard_has_it(value: object, schema: dict[str, Any]) -> None:
    """Law: the same verdict as the reference implementation's."""
    schema = {**schema, "$defs": {"x": {"type": "integer"}, "y/z": {"maxLength": 1}}}
    Draft202012Validator.check_schema(schema)
    assert Judge(schema).fits(value) == Draft202012Validator(schema).is_valid(value)


_SCHEMAS_THAT_SAY_NOTHING: list[dict[str, Any]] = [
    {"pattern": "a{99999999999999999999}"},
    {"patternProperties": {"(": False}, "additionalProperties": False},
    {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
    {"allOf": [{}], "$ref": "#/allOf/foo"},
    {"title": "abc", "$ref": "#/title/0"},
    {"$id": "http://[", "$ref": "x"},
    {"minItems": 0, "$ref": "#/minItems"},
    {"$ref": "http://127.0.0.1:9/x"},
    {"properties": {"a": {"$id": "y", "$ref": "#/z"}}, "z": False},
    {"type": 7},
    {"type": ["object", "nope"]},
    {"required": "name"},
    {"required": [[]]},
    {"properties": 5, "additionalProperties": False},
    {"multipleOf": 0},
    {"minimum": "x"},
    {"enum": "abc"},
    {"anyOf": {}},
    {"not": {"pattern": "a"}},
    {"oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
    {"if": {"uniqueItems": True}, "then": False},
    {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^b", "items": [False]},
]


@pytest.mark.parametrize("schema", _SCHEMAS_THAT_SAY_NOTHING, ids=str)
@pytest.mark.parametrize("value", ["a" * 60 + "!", {"a": 1, "a" * 60 + "!": 2}, [1, [1]], 10**400, 1.5, None], ids=type)
def test_what_cannot_be_judged_is_not_the_answers_fault(schema: dict[str, Any], value: object) -> None:
    """Law: nothing raises, and what is not sure to be wrong passes."""
    assert Judge(schema).fits(value)


def test_a_number_beyond_any_float_is_judged_or_left() -> None:
    """Law: an integer of 401 digits raises nothing."""
    assert Judge({"multipleOf": 0.5}).fits(10**400)
    assert not Judge({"maximum": 0.5}).fits(10**400)
    assert Judge({"multipleOf": 0.01}).fits(19.99)


_DOUBLING = {
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {"type": "object"}},
    "$ref": "#/$defs/d0",
}
_NUMBERS = list(range(9_000))
_DEAR: list[tuple[dict[str, Any], object]] = [
    ({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}, {"a" * 60 + "!": 1}),
    ({"allOf": [{}] * 20_000}, 1),
    (_DOUBLING, {}),
    ({"$ref": "#"}, 1),
    ({"allOf": [{"$ref": "#"}] * 3}, 1),
    ({"items": {"enum": _NUMBERS}}, [9_001] * 100_000),
    ({"$defs": {"e": {"enum": [[0] * 30_000]}}, "anyOf": [{"items": {"$ref": "#/$defs/e"}}] * 900}, [[0] * 30_000]),
    ({"anyOf": [{"not": {}}, False] * 10_000}, ["x" * 100_000]),
    ({"items": {"title": "x"}}, [1] * 100_000),
    ({"required": [f"x{number}" for number in range(9_000)] * 3}, {}),
    ({"items": {"required": ["a"] * 9_000}}, [{"a": 1}] * 9_000),
    ({"$ref": "#/" + "%41/" * 20_000}, 1),
]


@pytest.mark.parametrize(("schema", "value"), _DEAR, ids=range(len(_DEAR)))
def test_no_schema_can_make_a_judgement_dear(schema: dict[str, Any], value: object) -> None:
    """Law: all judgements of one request together take a moment, however many there are."""
    judge, begun = Judge(schema), time.perf_counter()
    for _ in range(100):
        judge.fits(value)
    assert time.perf_counter() - begun < CHEAP_S
