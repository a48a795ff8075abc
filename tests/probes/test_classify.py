"""What an error answer means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.classify import ReplyFacts, classify
from probes.dialects.hints import MAX_WAIT_S, NO_CLOCK
from probes.dialects.replies import read_reply
from probes.dialects.streams import StreamReader
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import FAULT_RULES, Fault, HealthEffect
from tests.rigs.captures import Capture, captures, table

NOW = 1795215730.0

FAULT_OF_CLASS: dict[str, Fault | None] = {
    "auth": Fault.AUTH,
    "client_closed": Fault.CANCELLED,
    "content_filter": Fault.CONTENT_FILTER,
    "context_length": Fault.CONTEXT_LENGTH,
    "context_length_or_empty": Fault.BAD_REPLY,
    "empty_response": Fault.BAD_REPLY,
    "invalid_request": Fault.INVALID_REQUEST,
    "loading": Fault.OVERLOADED,
    "model_not_found": Fault.MODEL_NOT_FOUND,
    "model_output_error": Fault.BAD_REPLY,
    "not_supported": Fault.MODEL_NOT_FOUND,
    "ok": None,
    "overloaded": Fault.OVERLOADED,
    "permission": Fault.PERMISSION,
    "protocol_error": Fault.BAD_REPLY,
    "quota_exhausted": Fault.QUOTA,
    "rate_limited": Fault.RATE_LIMITED,
    "rate_limited_daily": Fault.QUOTA,
    "request_exceeds_rate_limit": Fault.TOO_LARGE,
    "request_too_large": Fault.TOO_LARGE,
    "server_error": Fault.SERVER_ERROR,
    "stream_error": Fault.SERVER_ERROR,
    "timeout": Fault.TIMEOUT,
    "truncated": Fault.BAD_REPLY,
}
"""The facts' classes in the contract's words."""

CASES = [case for case in table("error_cases") if case["phase"] != "transport"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "type", "details", "metadata", "headers", "violations", "detail", "status"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def facts_of(status: int, body: object, **headers: str) -> ReplyFacts:
    """Return the facts of a JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ReplyFacts(status=status, content_type="application/json", headers=named, body=msgspec.json.encode(body))


def case_name(case: dict[str, Any]) -> str:
    """Name a case by who answered what, and what it is."""
    return f"{case['provider']}-{case['status']}-{case['class']}"


def bytes_of(body: object) -> bytes:
    """Return a case's body as it came over the wire."""
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def surface_of(case: dict[str, Any]) -> Surface:
    """Return the call that a case answered."""
    if case["provider"] == "anthropic":
        return Surface.MESSAGES
    return Surface.RESPONSES if case.get("note") == "Responses API" else Surface.CHAT


def fault_found(case: dict[str, Any]) -> Fault | None:
    """Read a case the way the relay does: streams, complete answers and errors each by their own reader."""
    body, surface = bytes_of(case["body"]), surface_of(case)
    if case["phase"] == "stream":
        reader = StreamReader(surface)
        assert reader.feed(body) == b""
        diagnosis = reader.end()
    elif case["status"] == 200:
        diagnosis = read_reply(surface, case["content_type"], body).diagnosis
    else:
        facts = ReplyFacts(status=case["status"], content_type=case["content_type"], headers=case["headers"], body=body)
        diagnosis = classify(facts, now_wall=NOW)
    return diagnosis.fault if diagnosis else None


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_each_known_error_means_what_the_facts_say(case: dict[str, Any]) -> None:
    """Every captured or documented error maps to the fault of its class."""
    assert fault_found(case) == FAULT_OF_CLASS[case["class"]]


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_no_error_of_the_request_or_the_key_ejects_a_target(case: dict[str, Any]) -> None:
    """Where the facts keep an error from health, its fault does not eject, the excepted few aside."""
    judged_by_the_contract = {"loading", "overloaded", "model_output_error"}
    fault = fault_found(case)
    if case["counts_health"] is False and case["class"] not in judged_by_the_contract and fault is not None:
        assert FAULT_RULES[fault].health is not HealthEffect.EJECTS


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (answer, fault)
        for word, fault in {
            "err_429": Fault.RATE_LIMITED,
            "err_503": Fault.OVERLOADED,
            "err_529": Fault.OVERLOADED,
            "err_ctxlen_400": Fault.CONTEXT_LENGTH,
            "openai_err_ctxlen": Fault.CONTEXT_LENGTH,
            "anthropic_err_ctxlen": Fault.CONTEXT_LENGTH,
            "insufficient_quota": Fault.QUOTA,
            "chaos_ratelimit": Fault.RATE_LIMITED,
            "llamaserver_401": Fault.AUTH,
            "llamaserver_bad": Fault.INVALID_REQUEST,
            "llamaserver_ctxlen": Fault.CONTEXT_LENGTH,
            "llamaserver_no": Fault.INVALID_REQUEST,
            "embeddings_unsupported": Fault.MODEL_NOT_FOUND,
            "badparam_500": Fault.INVALID_REQUEST,
            "badjson_500text": Fault.SERVER_ERROR,
            "llamacpppy_404": Fault.MODEL_NOT_FOUND,
        }.items()
        for answer in captures(word)
        if answer.name != "llamaserver_notfound"
    ],
    ids=lambda value: value.name if isinstance(value, Capture) else str(value),
)
def test_each_captured_error_is_recognised(answer: Capture, fault: Fault) -> None:
    """What real servers sent is read as what it was."""
    facts = ReplyFacts(
        status=answer.status,
        content_type=answer.headers.get("content-type", ""),
        headers=answer.headers,
        body=answer.body,
    )
    assert classify(facts, now_wall=NOW).fault is fault


@pytest.mark.parametrize(
    ("status", "error", "fault"),
    [
        (400, {"message": "You have reached your specified API usage limits."}, Fault.QUOTA),
        (400, {"message": "API key not valid. Please pass a valid API key.", "code": 400}, Fault.AUTH),
        (400, {"message": "bad", "details": [{"reason": "API_KEY_INVALID"}]}, Fault.AUTH),
        (400, {"message": "xyz is not a valid model ID", "code": 400}, Fault.MODEL_NOT_FOUND),
        (400, {"message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."},
         Fault.CONTEXT_LENGTH),
        (400, {"message": "max_tokens: 64000 > 8192, the maximum allowed number of output tokens"},
         Fault.INVALID_REQUEST),
        (400, {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
         Fault.CONTENT_FILTER),
        (400, {"message": "Provider returned error", "metadata": {"raw": "maximum context length is 8"}},
         Fault.CONTEXT_LENGTH),
        (409, {"type": "conflict_error", "message": "conflict"}, Fault.INVALID_REQUEST),
        (429, {"message": "organization x", "code": "credit_balance_exhausted"}, Fault.QUOTA),
        (429, {"message": "x", "type": "insufficient_quota", "code": "organization_usage_limit_exceeded"},
         Fault.QUOTA),
        (429, {"message": "x", "details": {"error_code": "workspace_spend_limit_reached"}}, Fault.QUOTA),
        (429, {"message": "Rate limit exceeded: free-models-per-day."}, Fault.QUOTA),
        (429, {"message": "The system is currently experiencing high demand"}, Fault.OVERLOADED),
        (429, {"message": "x", "metadata": {"limit_source": "openrouter_free_tier_daily"}}, Fault.QUOTA),
        (429, {"message": "Limit 30,000 reached. Limit: 100, Requested: 101"}, Fault.TOO_LARGE),
        (402, {"code": 402, "metadata": {"limit_source": "key_limit"}}, Fault.QUOTA),
        (498, {"message": "Flex tier", "code": "capacity_exceeded"}, Fault.OVERLOADED),
        (500, {"message": "overloaded", "type": "overloaded_error"}, Fault.OVERLOADED),
        (500, {"message": "EngineCore died", "type": "InternalServerError", "code": 500}, Fault.SERVER_ERROR),
        (503, {"message": "x", "type": "unavailable_error"}, Fault.OVERLOADED),
        (410, {"message": "gone"}, Fault.MODEL_NOT_FOUND),
        (504, {"type": "timeout_error"}, Fault.TIMEOUT),
        (200, {"code": 429, "message": "slow"}, Fault.RATE_LIMITED),
        (200, {"type": "overloaded_error"}, Fault.OVERLOADED),
        (200, {"message": "what?"}, Fault.SERVER_ERROR),
    ],
)  # fmt: skip
def test_codes_decide_before_statuses_and_statuses_before_words(
    status: int, error: dict[str, Any], fault: Fault
) -> None:
    """Errors of the same status part by code, type and, at last, wording."""
    assert classify(facts_of(status, {"error": error}), now_wall=NOW).fault is fault


@pytest.mark.parametrize(
    "body", [{"error": "model not found"}, ["model not found"], "model not found", {"message": "model not found"}]
)
def test_the_shape_around_an_error_does_not_matter(body: object) -> None:
    """Objects, arrays, the top level and bare strings are read alike."""
    assert classify(facts_of(400, body), now_wall=NOW).fault is Fault.MODEL_NOT_FOUND


def test_a_402_with_a_short_retry_after_is_a_limit_of_the_moment() -> None:
    """Money that comes back in seconds is no exhausted quota."""
    diagnosis = classify(facts_of(402, {"error": {"code": 402}}, retry_after="5"), now_wall=NOW)
    assert (diagnosis.fault, diagnosis.retry_after_s) == (Fault.RATE_LIMITED, 5)


def test_a_daily_quota_s_short_retry_info_is_not_believed() -> None:
    """Gemini may say 18 s on a quota that returns at midnight in Los Angeles."""
    case = next(case for case in CASES if case["cooldown"] == "until_midnight_pacific")
    diagnosis = classify(facts_of(429, case["body"]), now_wall=NOW)
    assert diagnosis.retry_after_s is not None
    assert (NOW + diagnosis.retry_after_s) % 86_400 == 8 * 3600


def test_a_billing_error_s_retry_after_is_not_believed() -> None:
    """An empty account does not fill up within a second."""
    error = {"error": {"type": "insufficient_quota", "message": "x"}}
    assert classify(facts_of(429, error, retry_after="1"), now_wall=NOW).retry_after_s is None


def test_a_request_that_never_fits_asks_for_no_wait() -> None:
    """Waiting helps the next request, not this one, so the target is not blocked."""
    error = {"error": {"message": "Request too large: Limit 30000, Requested 30601", "code": "rate_limit_exceeded"}}
    diagnosis = classify(facts_of(429, error, retry_after="20"), now_wall=NOW)
    assert (diagnosis.fault, diagnosis.retry_after_s) == (Fault.TOO_LARGE, None)


@pytest.mark.parametrize(
    "key",
    [
        "sk-proj-abcDEF1234567890",
        "gsk_abcdef",
        "AIzaSyD-1234567890abcdef",
        "abcdef0123456789abcdef0123456789",
        "sk-***",
    ],
)
def test_a_reason_never_shows_a_key(key: str) -> None:
    """Providers quote the key that they refuse."""
    reason = classify(facts_of(401, {"error": {"message": f"Incorrect API key provided: {key}."}}), now_wall=NOW).reason
    assert key not in reason
    assert key[4:12] not in reason or key == "sk-***"


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_reason_never_repeats_what_may_be_the_prompt(status: int) -> None:
    """Refusals of a request may quote it; their words stay out of logs and history."""
    secret = "validation error: my grandmother's recipe"  # noqa: S105 - a prompt, not a password
    reason = classify(facts_of(status, {"error": {"message": secret, "type": "invalid_request_error"}}), now_wall=NOW)
    assert "grandmother" not in reason.reason
    text = ReplyFacts(status=status, content_type="text/plain", body=secret.encode())
    assert "grandmother" not in classify(text, now_wall=NOW).reason


def test_a_long_quotation_is_cut_out_of_a_reason() -> None:
    """A server's message may carry a piece of the answer in quotes."""
    message = 'upstream said "' + "the quick brown fox " * 10 + '" and died'
    assert "fox" not in classify(facts_of(502, {"error": {"message": message}}), now_wall=NOW).reason


def test_a_404_without_a_code_asks_about_the_base_url() -> None:
    """A path that does not exist is most often a base_url of the wrong dialect."""
    facts = ReplyFacts(status=404, body=b'{"detail":"Not Found"}', dialect=Dialect.ANTHROPIC)
    assert "base_url" in classify(facts, now_wall=NOW).reason


@given(st.integers(100, 999), st.text(max_size=30), st.dictionaries(st.text(), st.text()), st.binary(max_size=200))
def test_classify_never_raises_on_any_bytes(
    status: int, content_type: str, headers: dict[str, str], body: bytes
) -> None:
    """An answer is foreign: whatever it holds becomes a diagnosis of one short line."""
    facts = ReplyFacts(status=status, content_type=content_type, headers=headers, body=body)
    diagnosis = classify(facts, now_wall=NOW)
    assert 0 < len(diagnosis.reason) <= 400
    assert "\n" not in diagnosis.reason
    assert diagnosis.retry_after_s is None or 0 <= diagnosis.retry_after_s <= MAX_WAIT_S


@given(st.sampled_from([200, 400, 402, 404, 429, 500, 503]), json_values)
def test_classify_never_raises_on_any_json(status: int, value: object) -> None:
    """Members of any type stand where a text or a number is expected."""
    diagnosis = classify(facts_of(status, value), now_wall=NO_CLOCK)
    assert "\n" not in diagnosis.reason


def test_a_bottomless_body_is_classified_by_its_status() -> None:
    """Nesting without end exhausts no stack."""
    assert classify(ReplyFacts(status=503, body=b"[" * 100_000), now_wall=NOW).fault is Fault.OVERLOADED
