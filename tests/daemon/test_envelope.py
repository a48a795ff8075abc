"""What routing reads of a body, and the only thing it changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.relay.envelope import Envelope, EnvelopeProblem, read_envelope, with_model, with_usage

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("model"), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.dictionaries(st.text(), _JSON, max_size=6),
    st.text(),
    st.text(),
    st.sampled_from([json.JSONEncoder(), json.JSONEncoder(ensure_ascii=False)]),
)
def test_only_the_models_value_changes(rest: dict[str, object], old: str, new: str, encoder: json.JSONEncoder) -> None:
    """Law: whatever else a body holds, and however it is spelled, only the top-level model is another."""
    members = {**rest, "model": old}
    body = encoder.encode(members).encode()
    assert json.loads(with_model(body, new)) == {**members, "model": new}


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (b'{"model":"a","t":1.50}', b'{"model":"b","t":1.50}'),
        (b'{ "t" : 1e2, "model" :\n "a" }', b'{ "t" : 1e2, "model" :\n "b" }'),
        (b'{"m":[{"c":"\\"model\\": \\"x\\""}],"model":"a"}', b'{"m":[{"c":"\\"model\\": \\"x\\""}],"model":"b"}'),
        (b'{"tools":[{"model":"inner"}],"model":"a"}', b'{"tools":[{"model":"inner"}],"model":"b"}'),
        (b'{"mod\\u0065l":"a","x":{"model":"c"}}', b'{"model":"b","x":{"model":"c"}}'),
        (b'{"model":"a","\\u006Dodel":"c"}', b'{"model":"b"}'),
        (b'{"model":"a","model":"a"}', b'{"model":"b","model":"b"}'),
        (b'{"x":"model","model":"a"}', b'{"x":"model","model":"b"}'),
    ],
)
def test_every_other_byte_stays_as_the_client_wrote_it(body: bytes, changed: bytes) -> None:
    """Law: spacing, order, numbers and duplicates pass untouched."""
    assert with_model(body, "b") == changed


def test_a_key_spelled_with_escapes_is_still_found() -> None:
    """Law: JSON's own escapes do not hide the model."""
    assert json.loads(with_model(b'{"mod\\u0065l":"a","t":1}', "b")) == {"model": "b", "t": 1}


def test_the_envelope_reads_what_it_needs_and_nothing_else() -> None:
    """Law: unknown members are no problem, and a null stream means none."""
    assert read_envelope(b'{"model":"m","stream":null,"foo":{"bar":[1]}}') == Envelope("m", None)


@pytest.mark.parametrize(
    ("members", "limit", "answers"),
    [
        (b"", None, 1),
        (b',"max_tokens":7', 7, 1),
        (b',"max_tokens":1,"max_completion_tokens":900', 900, 1),
        (b',"max_tokens":7,"n":4', 7, 4),
        (b',"max_tokens":-7,"n":-4', None, 1),
        (b',"max_tokens":1e9,"n":"4"', None, 1),
        (b',"max_tokens":null,"n":0', None, 1),
    ],
)
def test_how_much_may_be_answered_is_the_most_that_the_request_says(
    members: bytes, limit: int | None, answers: int
) -> None:
    """Law: a small number beside a large one, or several answers at once, do not make money set aside too little."""
    envelope = read_envelope(b'{"model":"m"' + members + b"}")
    assert isinstance(envelope, Envelope)
    assert (envelope.limit, envelope.answers) == (limit, answers)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"not json", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"model":"\xff"}', "JSON"),
        (b"[1]", "object"),
        (b"{}", "model"),
        (b'{"model":7}', "model"),
        (b'{"model":"m","stream":"yes"}', "stream"),
        (b'{"model":"m","a":' + b"[" * 200_000, "nested"),
        (b"[" * 200_000, "object"),
    ],
)
def test_a_body_that_cannot_be_routed_says_why(body: bytes, word: str) -> None:
    """Law: each kind of bad body has words of its own, and none raises."""
    problem = read_envelope(body)
    assert isinstance(problem, EnvelopeProblem)
    assert word in problem.message


@given(st.binary(max_size=200))
def test_no_bytes_make_the_envelope_raise(body: bytes) -> None:
    """Law: any bytes give an envelope or a problem."""
    assert isinstance(read_envelope(body), Envelope | EnvelopeProblem)


@pytest.mark.parametrize(
    ("members", "limit", "answers"),
    [
        (b"", None, 1),
        (b',"max_tokens":5', 5, 1),
        (b',"max_tokens":5,"max_completion_tokens":900,"n":3', 900, 3),
        (b',"n":null', None, 1),
        (b',"n":"8","max_tokens":"9"', None, 1),
        (b',"n":0', None, 1),
        (b',"n":-4', None, 1),
    ],
)
def test_how_much_an_answer_may_have_is_the_most_that_is_said(members: bytes, limit: int | None, answers: int) -> None:
    """Law: of several limits the highest is believed, since it is the one that may have to be paid for."""
    envelope = read_envelope(b'{"model":"m"' + members + b"}")
    assert isinstance(envelope, Envelope)
    assert (envelope.limit, envelope.answers) == (limit, answers)


def test_a_name_spelled_with_escapes_in_a_body_that_is_no_text_is_a_problem_at_once() -> None:
    """Law: what must be read as a whole later on is not let in half read."""
    problem = read_envelope(b'{"mod\\u0065l":"m","\xed\xa0\x80":1}')
    assert isinstance(problem, EnvelopeProblem)
    assert "not valid JSON" in problem.message


@pytest.mark.parametrize("unread", [b'"stream_options":{},"\xff":1', b'"stream_options":{"\xff":1}'])
def test_usage_is_not_asked_for_in_a_body_whose_names_cannot_be_read(unread: bytes) -> None:
    """Law: it is passed on as it is, for its provider to judge."""
    body = b'{"model":"m","stream":true,' + unread + b"}"
    assert isinstance(read_envelope(body), Envelope)
    assert with_usage(body) is None
