"""What users of other gateways suffer from, one promise each: health, cooldowns, waiting, routing and switches."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from itertools import pairwise

import pytest

from tests.conformance.asking import rows
from tests.conformance.scenario import CHAT, STREAM, Actor, Scenario, until
from tests.rigs.misbehaving import PARTS, SAID, Part, Tongue, good, speech, status_answer
from tests.rigs.peers import Script, Send, chunk, head
from tests.rigs.process import UnixConnection

DOWN: Script = [Send(status_answer(Tongue.OPENAI, "500 Internal Server Error"))]
WELL = good(CHAT)
DEFAULT_HEALTH = 'health = { fall = 3, min_samples = 6, cooldown = { base = "30s", max = "60s" } }'
STRICT = "health = { fall = 1, min_samples = 1, failure_ratio = 0.1 }"
HANG_UPS = 20
REQUESTS = 40


def _hang_ups(scene: Scenario, workload: str, actor: Actor) -> None:
    """Have many clients leave while they wait."""
    with ExitStack() as leaving:
        for _ in range(HANG_UPS):
            connection = leaving.enter_context(closing(UnixConnection(scene.daemon.socket)))
            body = b'{"model": "%b", "messages": []}' % workload.encode()
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        until(lambda: scene.daemon.target(actor.target)["in_flight"] == actor.calls == HANG_UPS)
    until(lambda: len(scene.requests(workload)) == HANG_UPS)


def test_clients_that_hang_up_are_neither_failures_nor_successes_of_the_provider(troupe: Scenario) -> None:
    """Pain 2: hang-ups blamed on the provider, or counted as its success."""
    waits: list[Script] = [[] for _ in range(HANG_UPS)]
    actor = troupe.actor("hung-up", Tongue.OPENAI, [*waits, WELL], STRICT)
    workload = troupe.workload("hung-up", [actor, troupe.good(CHAT)])
    troupe.ask(CHAT, troupe.good(CHAT).target)  # of two that nobody knows, the one whose listing was quicker goes first
    _hang_ups(troupe, workload, actor)
    assert {row["outcome"] for row in troupe.requests(workload)} == {"cancelled"}
    after = troupe.daemon.target(actor.target)
    assert (after["standing"], after["samples"], after["success_ratio"]) == ("unproven", 0, None)
    daily = {row["target"]: row for row in rows(troupe.daemon, "SELECT * FROM availability_daily")}
    assert daily[actor.target]["failed_attempts"] == 0
    assert daily[actor.target]["availability"] is None
    until(lambda: troupe.daemon.target(actor.target)["in_flight"] == 0)  # nobody is finding out about it any more
    told = troupe.ask(CHAT, workload).story
    assert told["target"] == actor.target, troupe.daemon.ask("GET", "/fairlead/v1/explain/last").json()


def test_a_failing_target_is_left_after_fall_faults_without_a_word_to_callers(troupe: Scenario) -> None:
    """Pains 3, 4 and 6: breakers that never fire; 25 straight 500s in rotation."""
    actor = troupe.actor("failing", Tongue.OPENAI, [DOWN], DEFAULT_HEALTH)
    workload = troupe.workload("failing", [actor, troupe.good(CHAT)])
    told = [troupe.ask(CHAT, workload) for _ in range(25)]
    assert [each.text for each in told] == [SAID] * 25
    assert actor.calls == 3
    assert troupe.daemon.target(actor.target)["standing"] == "cooling"
    assert told[-1].story["fallback-from"] == actor.target


def test_an_ejected_target_that_recovered_serves_again_without_anyones_help(troupe: Scenario) -> None:
    """Pain 3: breakers that stay half-open for ever."""
    health = 'health = { fall = 1, cooldown = { base = "200ms", max = "400ms" } }'
    actor = troupe.actor("recovering", Tongue.OPENAI, [DOWN, DOWN, DOWN, WELL], health)
    workload = troupe.workload("recovering", [actor, troupe.good(CHAT)])
    until(lambda: troupe.ask(CHAT, workload).story["target"] == actor.target)
    assert actor.calls == 4
    assert troupe.daemon.target(actor.target)["standing"] == "healthy"


def test_a_dead_address_is_tried_a_few_times_and_no_caller_notices(troupe: Scenario) -> None:
    """Pain 5: connection errors that never cool: 39 of 40 requests failed."""
    dead = troupe.actor("dead", Tongue.OPENAI, [], DEFAULT_HEALTH)
    workload = troupe.workload("dead", [dead, troupe.good(CHAT)], 'strategy = "lowest-latency"')
    assert [troupe.ask(CHAT, workload).text for _ in range(REQUESTS)] == [SAID] * REQUESTS
    assert troupe.attempts(dead.target) <= 3


def test_each_ejection_in_a_row_lasts_longer(troupe: Scenario) -> None:
    """Pain 6: cooling anew keeps the shorter deadline."""
    health = 'health = { fall = 1, cooldown = { base = "100ms", max = "60s" } }'
    actor = troupe.actor("recooling", Tongue.OPENAI, [DOWN], health)
    workload = troupe.workload("recooling", [actor, troupe.good(CHAT)])
    until(lambda: troupe.ask(CHAT, workload).text == SAID and actor.calls == 4)
    cooled = rows(troupe.daemon, "SELECT target, until_ms - at_ms AS ms FROM transition WHERE after = 'cooling'")
    lasted = [row["ms"] for row in cooled if row["target"] == actor.target]
    assert len(lasted) == 4
    assert all(later > 1.2 * earlier for earlier, later in pairwise(lasted))


def test_a_request_waits_for_the_first_target_that_returns(troupe: Scenario) -> None:
    """Pain 7: all are cooling, and the caller gets an error where a moment's wait would do."""
    health = 'health = { fall = 1, cooldown = { base = "400ms", max = "400ms" } }'
    actor = troupe.actor("back-soon", Tongue.OPENAI, [DOWN, DOWN, WELL], health)
    workload = troupe.workload("back-soon", [actor], 'max_wait = "5s"', "max_attempts = 2")
    assert troupe.ask(CHAT, workload).status == 500
    told = troupe.ask(CHAT, workload)
    assert (told.error, told.text, actor.calls) == (None, SAID, 3)


def test_an_error_says_when_to_come_back_where_all_targets_cool_for_long(troupe: Scenario) -> None:
    """Pain 7: no Retry-After."""
    health = 'health = { fall = 1, cooldown = { base = "30s", max = "30s" } }'
    actor = troupe.actor("back-late", Tongue.OPENAI, [DOWN], health)
    workload = troupe.workload("back-late", [actor], 'max_wait = "100ms"', "max_attempts = 1")
    troupe.ask(CHAT, workload)
    asked_at = time.monotonic()
    told = troupe.ask(CHAT, workload)
    assert time.monotonic() - asked_at < 2
    assert (told.status, actor.calls) == (503, 1)
    assert actor.target in told.words
    assert 0 < float(told.headers["retry-after"]) <= 60


def test_a_rate_limit_is_passed_over_at_once_and_kept(troupe: Scenario) -> None:
    """Pain 8: waits where it should move on, and asks again before the provider wants it."""
    limited = status_answer(Tongue.OPENAI, "429 Too Many Requests", "rate_limit_error", "retry-after: 47")
    actor = troupe.actor("limited", Tongue.OPENAI, [[Send(limited)], WELL], DEFAULT_HEALTH)
    workload = troupe.workload("limited", [actor, troupe.good(CHAT)])
    asked_at = time.monotonic()
    told = [troupe.ask(CHAT, workload) for _ in range(10)]
    assert time.monotonic() - asked_at < 5
    assert [each.story["target"] for each in told] == [troupe.good(CHAT).target] * 10
    assert actor.calls == 1
    after = troupe.daemon.target(actor.target)
    assert after["standing"] != "cooling"
    assert 40 < after["rate_limited_s"] <= 47


def test_a_short_rate_limit_of_the_only_target_is_waited_for(troupe: Scenario) -> None:
    """Pain 8: the retry ignores what the provider asked for."""
    limited = status_answer(Tongue.OPENAI, "429 Too Many Requests", "rate_limit_error", "retry-after-ms: 400")
    actor = troupe.actor("limited-alone", Tongue.OPENAI, [[Send(limited)], WELL])
    workload = troupe.workload("limited-alone", [actor])
    asked_at = time.monotonic()
    told = troupe.ask(CHAT, workload)
    assert (told.error, told.text) == (None, SAID)
    assert 0.4 <= time.monotonic() - asked_at < 5
    assert (told.story["attempts"], actor.calls) == ("2", 2)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_targets_that_hang_leave_time_for_the_last_one(troupe: Scenario, part: Part) -> None:
    """Pain 9: the retry budget outlives the caller, and the fallback is never reached."""
    patient = 'timeouts = { first_byte = "60s", idle = "60s" }'
    hanging = [troupe.actor(f"hanging-{number}-{part}", part.tongue, [[]], patient) for number in (1, 2)]
    workload = troupe.workload(f"hanging-{part}", [*hanging, troupe.good(part)], 'deadline = "1500ms"')
    asked_at = time.monotonic()
    told = troupe.ask(part, workload)
    assert (told.error, told.text) == (None, SAID)
    assert time.monotonic() - asked_at < 1.5
    assert [actor.calls for actor in hanging] == [1, 1]
    assert told.story["target"] == troupe.good(part).target


def test_a_target_that_fails_fast_does_not_win_by_it(troupe: Scenario) -> None:
    """Pain 19: routing by latency sends everything to what is dead but fast."""
    fast = troupe.actor("dead-but-fast", Tongue.OPENAI, [DOWN], DEFAULT_HEALTH)
    workload = troupe.workload("dead-but-fast", [fast, troupe.good(CHAT)], 'strategy = "lowest-latency"')
    told = [troupe.ask(CHAT, workload) for _ in range(REQUESTS)]
    assert {each.text for each in told} == {SAID}
    assert fast.calls <= 3


def test_a_newcomer_is_tried_and_a_target_without_evidence_is_available(troupe: Scenario) -> None:
    """Pain 19: "no deployment" when there is one; what was never tried is never chosen."""
    newcomer = troupe.actor("newcomer", Tongue.OPENAI, [WELL], DEFAULT_HEALTH)
    workload = troupe.workload("newcomer", [troupe.good(CHAT), newcomer], 'strategy = "lowest-latency"')
    assert {troupe.ask(CHAT, workload).text for _ in range(REQUESTS)} == {SAID}
    assert newcomer.calls > 0
    alone = troupe.actor("alone", Tongue.OPENAI, [WELL])
    assert troupe.ask(CHAT, troupe.workload("alone", [alone])).text == SAID


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_client_that_forbids_fallbacks_gets_none(troupe: Scenario, part: Part) -> None:
    """Pain 20: the switch is ignored, above all for streams."""
    down = [Send(status_answer(part.tongue, "500 Internal Server Error"))]
    actor, spare = troupe.actor(f"switched-{part}", part.tongue, [down]), troupe.good(part)
    workload = troupe.workload(f"switched-{part}", [actor, spare])
    before = spare.calls
    told = troupe.ask(part, workload, {"fairlead-no-fallback": "1"})
    assert told.error is not None
    assert told.story["target"] == actor.target
    assert "fallback-from" not in told.story
    assert (actor.calls, spare.calls) == (int(told.story["attempts"]), before)


def test_a_broken_stream_is_not_continued_for_a_client_that_forbids_it(troupe: Scenario) -> None:
    """Pain 20: fallbacks that were switched off happen in mid-stream."""
    events = speech(Tongue.OPENAI)
    cut = head("content-type: text/event-stream", "transfer-encoding: chunked") + chunk(events.preamble + events.begun)
    actor, spare = troupe.actor("switched-mid", Tongue.OPENAI, [[Send(cut + b"oops\r\n")]]), troupe.good(STREAM)
    workload = troupe.workload("switched-mid", [actor, spare], 'stream_recovery = "continue"')
    before = spare.calls
    told = troupe.ask(STREAM, workload, {"fairlead-no-fallback": "1"})
    assert told.error is not None
    assert spare.calls == before


def test_a_fault_that_the_workload_does_not_name_is_told_at_once(troupe: Scenario) -> None:
    """Pain 20: what is not in `fallback_on` causes no fallback."""
    actor, spare = troupe.actor("unnamed", Tongue.OPENAI, [DOWN]), troupe.good(CHAT)
    workload = troupe.workload("unnamed", [actor, spare], 'fallback_on = ["timeout"]')
    before = spare.calls
    assert troupe.ask(CHAT, workload).status == 500
    assert spare.calls == before
