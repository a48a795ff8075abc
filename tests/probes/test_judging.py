"""Whether an answer does by the settings of a cascade: whole, streamed, and by its beginning alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.cascade import CascadePolicy
from probes.dialects.beginnings import Beginning
from probes.dialects.judging import judge, judge_beginning, judge_stream
from probes.dialects.saying import Said, said_of
from probes.surfaces import Surface
from tests.rigs.streamed import DONE, STOP, chunk, data, event

LENIENT = CascadePolicy(refusals=False, empty=False, schema=False)
ASKED = json.dumps({"response_format": {"type": "json_object"}}).encode()
SPEAKING = (Surface.CHAT, Surface.MESSAGES, Surface.RESPONSES)


def body(text: str | None, surface: Surface = Surface.CHAT, **more: Any) -> bytes:
    """Return an answer that says `text`; `more` goes to the choice of a chat, and to the top elsewhere."""
    match surface:
        case Surface.MESSAGES:
            return json.dumps({"content": [{"type": "text", "text": text}], "stop_reason": "end_turn", **more}).encode()
        case Surface.RESPONSES:
            parts = [{"type": "output_text", "text": text}]
            return json.dumps({"output": [{"type": "message", "content": parts}], **more}).encode()
        case _:
            choice = {"message": {"content": text, **more.pop("message", {})}, "finish_reason": "stop", **more}
            return json.dumps({"choices": [choice]}).encode()


def sure(*logprobs: float) -> dict[str, Any]:
    """Return the log-probabilities of tokens as OpenAI writes them."""
    return {"content": [{"token": "x", "logprob": each} for each in logprobs]}


@pytest.mark.parametrize("surface", SPEAKING)
@pytest.mark.parametrize(
    ("text", "policy", "lack"),
    [
        ("I can't do that.", CascadePolicy(), "refused"),
        ("I can't do that.", LENIENT, None),
        (" \n", CascadePolicy(), "empty"),
        (" \n", LENIENT, None),
        ("<think>I can't do that.</think>Certainly.", CascadePolicy(), None),
        ("<think>Certainly.</think>I can't do that.", CascadePolicy(), "refused"),
        ("short", CascadePolicy(min_chars=6), "shorter than min_chars = 6"),
        ("longer", CascadePolicy(min_chars=6), None),
        ("the colour is red", CascadePolicy(must_match=r"\d"), "it lacks what must_match asks for"),
        ("the colour is 7", CascadePolicy(must_match=r"\d"), None),
        ("as far as I know", CascadePolicy(must_not_match="(?i)i know"), "it has what must_not_match forbids"),
        ("x" * 70_000 + "!", CascadePolicy(must_not_match="!"), None),
        ("all is well", CascadePolicy(must_not_match="(?i)i know"), None),
    ],
)
def test_each_setting_finds_what_it_is_for(
    surface: Surface, text: str, policy: CascadePolicy, lack: str | None
) -> None:
    """Law: in all dialects alike, whole and streamed, in words that hold nothing of the answer."""
    answer = body(text, surface)
    assert judge(policy, surface, b"{}", answer) == lack
    assert judge_stream(policy, surface, b"{}", said_of(surface, answer)) == lack


@pytest.mark.parametrize(
    ("answer", "policy", "lack"),
    [
        (body("roses are red"), CascadePolicy(), "the answer is not JSON"),
        (body("roses are red"), LENIENT, None),
        (body('{"a": 1}'), CascadePolicy(), None),
        (body(None, message={"refusal": "no"}), CascadePolicy(), "refused"),
        (body("ok", finish_reason="content_filter"), CascadePolicy(), "refused"),
        (body(None, message={"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}), CascadePolicy(), "tool"),
        (body(None, message={"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}), CascadePolicy(), None),
        (body('"yes"', logprobs=sure(-2.0, -3.0)), CascadePolicy(min_logprob=-1.5), "mean log-probability -2.50"),
        (body('"yes"', logprobs=sure(-2.0, -0.1)), CascadePolicy(min_logprob=-1.5), None),
        (body('"yes"', logprobs=sure(-9999.0, *[-0.1] * 99)), CascadePolicy(min_logprob=-1.5), None),
        (body('"yes"'), CascadePolicy(min_logprob=-1.5), None),
        (b"not JSON at all", CascadePolicy(), None),
    ],
)
def test_an_answer_must_be_what_was_asked_for(answer: bytes, policy: CascadePolicy, lack: str | None) -> None:
    """Law: JSON, tool calls, what the provider itself says of it, and how sure its tokens were."""
    found = judge(policy, Surface.CHAT, ASKED, answer)
    assert (found is None) if lack is None else (found is not None and lack in found)


def test_a_refusal_has_its_own_mark_in_each_dialect() -> None:
    """Law: what a provider calls a refusal is one, whatever its words."""
    message = body("Let us talk of birds.", Surface.MESSAGES, stop_reason="refusal")
    assert judge(CascadePolicy(), Surface.MESSAGES, b"{}", message) == "refused"
    parts = [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]
    assert judge(CascadePolicy(), Surface.RESPONSES, b"{}", json.dumps({"output": parts}).encode()) == "refused"


@pytest.mark.parametrize(
    ("said", "lack"),
    [
        (Said(text="Sorry, I can't help with that."), "refused"),
        (Said(text="roses"), "the answer is not JSON"),
        (Said(text=' {"a'), None),
        (Said(text="Here"), "the answer is not JSON"),
        (Said(text="", others=True), None),
        (Said(text="I can't do that, so I call a tool.", others=True), "the answer is not JSON"),
        (Said(text="{", logprob=-4.0), "mean log-probability -4.00 below -1.5"),
    ],
)
def test_a_beginning_is_judged_by_what_more_of_it_would_not_mend(said: Said, lack: str | None) -> None:
    """Law: length and what must be in it are left for the end."""
    policy = CascadePolicy(min_chars=1000, must_match="never", min_logprob=-1.5)
    assert judge_beginning(policy, Surface.CHAT, ASKED, said) == lack


@pytest.mark.parametrize(
    ("surface", "events", "said"),
    [
        (Surface.CHAT, [chunk(role="assistant"), chunk(content="so"), chunk(content=" it is")], Said(text="so it is")),
        (Surface.CHAT, [chunk(content="so"), chunk(refusal="no")], Said(text="so", refused=True)),
        (Surface.CHAT, [chunk(reasoning_content="hm"), chunk(content="so")], Said(text="so")),
        (Surface.CHAT, [chunk(tool_calls=[{"index": 0}])], Said(others=True)),
        (Surface.CHAT, [chunk("content_filter")], Said(refused=True)),
        (
            Surface.CHAT,
            [data({"choices": [{"delta": {"content": "a"}, "logprobs": sure(-1.0)}]})],
            Said(text="a", logprob=-1.0),
        ),
        (Surface.CHAT, [data({"choices": [{"index": 1, "delta": {"content": "b"}}]}), STOP, DONE], Said()),
        (
            Surface.MESSAGES,
            [
                event("content_block_start", content_block={"type": "thinking", "thinking": "hm"}),
                event("content_block_delta", delta={"type": "thinking_delta", "thinking": "hm"}),
                event("content_block_start", content_block={"type": "text", "text": ""}),
                event("content_block_delta", delta={"type": "text_delta", "text": "so"}),
                event("message_delta", delta={"stop_reason": "refusal"}),
            ],
            Said(text="so", refused=True),
        ),
        (Surface.MESSAGES, [event("content_block_start", content_block={"type": "tool_use"})], Said(others=True)),
        (
            Surface.RESPONSES,
            [event("response.output_text.delta", delta="so", logprobs=[{"logprob": -2}])],
            Said(text="so", logprob=-2.0),
        ),
        (Surface.RESPONSES, [event("response.refusal.delta", delta="no")], Said(refused=True)),
        (Surface.RESPONSES, [event("response.output_item.added", item={"type": "function_call"})], Said(others=True)),
    ],
)
def test_a_beginning_is_overheard_in_every_dialect(surface: Surface, events: list[bytes], said: Said) -> None:
    """Law: the first choice's text; thinking is not the answer; a refusal or a tool call is enough."""
    beginning = Beginning(surface, 8)
    for each in events:
        beginning.take(each)
    assert beginning.said == said
    assert beginning.enough is (said.refused or said.others or len(said.text) >= 8)


@given(st.sampled_from(Surface), st.binary() | st.from_regex(rb'\{"(choices|content|output)": ?\[.{0,40}\]\}'))
def test_whatever_came_is_judged(surface: Surface, raw: bytes) -> None:
    """Law: nothing is raised, whatever a provider sends."""
    policy = CascadePolicy(min_chars=3, min_logprob=-1.0, must_match="a", must_not_match="b")
    judge(policy, surface, raw, raw)
    beginning = Beginning(surface, 3)
    beginning.take(b"data: " + raw)
    judge_beginning(policy, surface, raw, beginning.said)
    judge_stream(policy, surface, raw, beginning.said)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "choices",
                    "message",
                    "delta",
                    "content",
                    "text",
                    "type",
                    "logprobs",
                    "logprob",
                    "output",
                    "item",
                    "index",
                )
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(SPEAKING),
    st.dictionaries(st.sampled_from(("choices", "content", "output", "delta", "item", "type")), _JSON),
)
def test_whatever_shape_it_has_it_is_judged(surface: Surface, value: dict[str, Any]) -> None:
    """Law: members of foreign types say nothing, and raise nothing."""
    raw = json.dumps(value).encode()
    judge(CascadePolicy(min_logprob=-1.0), surface, raw, raw)
    beginning = Beginning(surface, 3)
    for kind in (
        "content_block_start",
        "content_block_delta",
        "response.output_text.delta",
        "response.output_item.added",
    ):
        beginning.take(data({**value, "type": kind}))
    judge_stream(CascadePolicy(), surface, raw, beginning.said)
