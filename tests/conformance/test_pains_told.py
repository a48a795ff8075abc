"""What users of other gateways suffer from, one promise each: streams that fail, and fallbacks that nobody sees."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest

from tests.conformance.scenario import CHAT, STREAM, Actor, Scenario
from tests.rigs.misbehaving import PARTS, SAID, Manner, Part, Tongue, behaviours, good, speech, status_answer
from tests.rigs.peers import Script, Send, chunk, head
from tests.rigs.process import UnixConnection

STREAMED = [Part(tongue, Manner.STREAMED) for tongue in Tongue]
FLOOR = 'stream_floor = { tokens_per_second = 5, over = "1s" }'
BEFORE_CONTENT = ("reset_mid_chunk", "malformed_chunk", "stall_after_preamble", "error_before_content")
PATIENT = 'timeouts = { first_byte = "30s", idle = "30s" }'


def _chain(scene: Scenario, part: Part, name: str, scripts: list[Script]) -> tuple[str, list[Actor]]:
    """Add a workload that has to pass each script in turn before it comes to the good upstream."""
    chain = [scene.actor(f"{name}-{number}-{part}", part.tongue, [one]) for number, one in enumerate(scripts)]
    attempts = f"max_attempts = {len(scripts) + 1}"
    return scene.workload(f"{name}-{part}", [*chain, scene.good(part)], attempts), chain


@pytest.mark.parametrize("part", STREAMED, ids=str)
def test_a_stream_that_fails_before_its_content_is_answered_by_the_next_target(troupe: Scenario, part: Part) -> None:
    """Pain 1: a stream is cut, stalls, is malformed or reports an error, and the fallback gets no request."""
    scripts = behaviours(part)
    workload, chain = _chain(troupe, part, "opening", [scripts[name] for name in BEFORE_CONTENT])
    before = troupe.good(part).calls
    told = troupe.ask(part, workload)
    assert (told.error, told.text) == (None, SAID)
    assert told.story["attempts"] == "5"
    assert [actor.calls for actor in chain] == [1, 1, 1, 1]
    assert troupe.good(part).calls == before + 1


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_an_answer_says_who_gave_it_and_whose_place_it_took(troupe: Scenario, part: Part) -> None:
    """Pain 10: a silent downgrade, also where the primary was not even asked."""
    first = troupe.actor(f"first-{part}", part.tongue, [good(part)])
    workload = troupe.workload(f"first-{part}", [first, troupe.good(part)])
    told = troupe.ask(part, workload)
    assert told.story == {"workload": workload, "target": first.target, "attempts": "1"}
    place = f"/fairlead/v1/targets/{first.target}"
    assert troupe.daemon.ask("POST", f"{place}/drain", {"reason": "a test"}).status == 200
    told = troupe.ask(part, workload)
    assert told.story["target"] == troupe.good(part).target
    assert told.story["fallback-from"] == first.target
    assert "drain" in told.story["fallback-reason"]
    assert told.story["degraded"] == "fallback"
    (request,) = troupe.history(told)["requests"]
    assert (request["primary_target"], request["degraded"]) == (first.target, "fallback")


def test_history_log_and_metrics_say_why_each_fallback_was_made(troupe: Scenario) -> None:
    """Pain 11: why it fell back is recorded nowhere."""
    down: Script = [Send(status_answer(Tongue.OPENAI, "503 Service Unavailable", "service_unavailable"))]
    workload, (busy, silent) = _chain(troupe, CHAT, "why", [down, []])
    told = troupe.ask(CHAT, workload)
    steps = troupe.history(told)["fallbacks"]
    served = troupe.good(CHAT).target
    assert [(step["from_target"], step["to_target"], step["fault"], step["status"]) for step in steps] == [
        (busy.target, silent.target, "overloaded", 503),
        (silent.target, served, "timeout", None),
    ]
    assert all(step["reason"] for step in steps)
    lines = [json.loads(line) for line in troupe.daemon.log.read_text().splitlines() if line.startswith("{")]
    logged = [line for line in lines if line["event"] == "fallback" and line["request_id"] == told.request_id]
    assert [(line["fault"], line["from_target"]) for line in logged] == [
        ("overloaded", busy.target),
        ("timeout", silent.target),
    ]
    counted = troupe.daemon.ask("GET", "/metrics").body.decode()
    fallbacks = [line for line in counted.splitlines() if line.startswith("fairlead_fallbacks_total")]
    assert any(workload in line and 'fault="timeout"' in line for line in fallbacks)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_200_that_is_a_failure_is_no_answer_and_counts_against_its_target(troupe: Scenario, part: Part) -> None:
    """Pain 13: an empty body, a web page, a spent quota under a 200."""
    quota = status_answer(part.tongue, "200 OK", "insufficient_quota")
    scripts = behaviours(part)
    workload, chain = _chain(troupe, part, "hollow", [scripts["empty_200"], scripts["html_200"], [Send(quota)]])
    told = troupe.ask(part, workload)
    assert (told.error, told.text) == (None, SAID)
    faults = [row["fault"] for row in troupe.history(told)["attempts"]]
    assert faults == ["bad_reply", "bad_reply", "quota", None]
    assert [troupe.daemon.target(actor.target)["success_ratio"] for actor in chain[:2]] == [0, 0]
    assert troupe.daemon.target(chain[2].target)["rate_limited_s"] > 60


def _drip(tongue: Tongue) -> Script:
    """Return a stream that says one word and lives on."""
    events = speech(tongue)
    opened = head("content-type: text/event-stream", "transfer-encoding: chunked")
    return [Send(opened + chunk(events.preamble) + chunk(events.begun) + chunk(b": still here\n\n"))]


@pytest.mark.parametrize("part", STREAMED, ids=str)
def test_a_stream_that_drips_is_left_for_one_that_flows(troupe: Scenario, part: Part) -> None:
    """Pain 14: alive, at a token a second."""
    drip = troupe.actor(f"drip-{part}", part.tongue, [_drip(part.tongue)], PATIENT)
    workload = troupe.workload(f"drip-{part}", [drip, troupe.good(part)], FLOOR)
    asked_at = time.monotonic()
    told = troupe.ask(part, workload)
    assert time.monotonic() - asked_at < 5
    assert (told.error, told.text) == (None, SAID)
    assert told.story["fallback-from"] == drip.target
    assert told.story["fallback-reason"].startswith("timeout")


def test_a_short_stream_is_no_drip(troupe: Scenario) -> None:
    """Pain 14, the other way: over-eager limits that throw good answers away."""
    short = troupe.actor("short", Tongue.OPENAI, [good(STREAM)], PATIENT)
    told = troupe.ask(STREAM, troupe.workload("short", [short, troupe.good(STREAM)], FLOOR))
    assert (told.text, told.story["target"], told.story["attempts"]) == (SAID, short.target, "1")


def test_a_drip_reaches_the_client_where_there_is_nothing_better(troupe: Scenario) -> None:
    """Pain 14, the other way: the last target's words are not held back."""
    drip = troupe.actor("last-drip", Tongue.OPENAI, [_drip(Tongue.OPENAI)], PATIENT)
    workload = troupe.workload("last-drip", [drip], FLOOR)
    body = json.dumps({"model": workload, "stream": True, "messages": []}).encode()
    asked_at = time.monotonic()
    with closing(UnixConnection(troupe.daemon.socket)) as connection:
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        assert speech(Tongue.OPENAI).begun in connection.getresponse().read1(65536)
    assert time.monotonic() - asked_at < 0.9
