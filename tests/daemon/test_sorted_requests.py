"""One request through a session whose workload sorts it: tiers, tasks, candidates, who pays, what is too long."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from daemon.relay.billing import payers_of
from daemon.routing.policy import MaxPrice, Strategy
from daemon.routing.sorting.policy import Canary, Classifier, OverMaxInput, Task, Tiers
from daemon.triage.model import ModelClassifier
from probes.policy import Abilities, Dialect
from probes.surfaces import Surface
from state.durations import Seconds
from state.history.charges import Charged
from state.history.rows import AttemptRow, DecisionRow, FallbackRow, RequestRow
from state.targets import TargetName
from tests.rigs.bodies import STREAM, WELL, error, said
from tests.rigs.peers import Send, answer
from tests.rigs.relay import Recorded, Relay, relay

P0, P1, P2 = (TargetName(f"p{number}/m") for number in range(3))
SIMPLE, HARD = "What is Python?", "Design a microservices architecture for a bank and compare the trade-offs."
BUSY = error("429 Too Many Requests", "retry-after: 7")


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _asking(text: str, **more: object) -> bytes:
    return json.dumps({"model": "w", "messages": [{"role": "user", "content": text}], **more}).encode()


def _tiered(one: Relay, **more: object) -> None:
    tiers = Tiers(simple=(P0,), complex=(P1,))
    one.workload = replace(one.workload, strategy=Strategy.COMPLEXITY.value, tiers=tiers, **more)


def _headers(reply: Any) -> tuple[str, str | None]:
    return reply.headers["fairlead-target"], reply.headers.get("fairlead-fallback-from")


def test_a_request_goes_to_its_tier_and_its_label_is_written_down() -> None:
    """The simple one to the cheap target, the hard one to the strong; both with their reasons."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, _):
            _tiered(one)
            assert _headers(await one.send(body=_asking(SIMPLE))) == (P0, None)
            assert _headers(await one.send(body=_asking(HARD))) == (P1, None)
            assert [row.label for row in one.all_rows(RequestRow)] == ["simple", "complex"]
            assert [row.reason.split(" ")[0] for row in one.all_rows(DecisionRow)] == ["simple", "complex"]

    _run(main)


def test_an_answer_from_another_tier_is_a_fallback_that_is_told() -> None:
    """A mocked 429 on the tier's target: the next one above answers, and header and row say so."""

    async def main() -> None:
        async with relay(BUSY, WELL) as (one, _):
            _tiered(one)
            reply = await one.send(body=_asking(SIMPLE))
            assert _headers(reply) == (P1, P0)
            assert reply.headers["fairlead-degraded"] == "fallback"
            assert one.row(FallbackRow).fault == "rate_limited"

    _run(main)


def test_a_task_has_its_own_target() -> None:
    """By its header; whoever names none gets the workload's own."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, _):
            tasks = (Task(name="sum", header="summarize", targets=(P1,)), Task(name="", targets=(P0,)))
            one.workload = replace(one.workload, strategy=Strategy.TASK.value, tasks=tasks)
            assert _headers(await one.send(headers=(("fairlead-task", "summarize"),))) == (P1, None)
            assert _headers(await one.send()) == (P0, None)
            assert [row.label for row in one.all_rows(RequestRow)] == ["sum", None]

    _run(main)


def _classifying(one: Relay, **more: object) -> None:
    """Let the third peer say how hard a request is."""
    _tiered(one, targets=(P0, P1), classifier=Classifier.MODEL, classifier_workload="triage", **more)
    triage = replace(one.workload, name="triage", strategy="priority", targets=(P2,), tiers=None)
    one.routes = replace(one.routes, workloads={"w": one.workload, "triage": triage})
    one.besides["model"] = ModelClassifier(lambda: one.routes, one.around)


def test_a_model_says_how_hard_a_request_is_and_is_asked_once() -> None:
    """Its question is bounded, charged as what it is, and the second request of the same text asks nobody."""

    async def main() -> None:
        async with relay(WELL, WELL, said("complex")) as (one, (_, _, judge)):
            _classifying(one)
            body = _asking("What is Python? " * 1000)
            for _ in range(2):
                charged = Charged(workload="w", team="red")
                assert _headers(await one.send(body=body, charged=charged)) == (P1, None)
            assert len(judge.heard) == 1
            question = json.loads(judge.heard[0].body)
            assert (question["model"], question["temperature"], question["max_tokens"]) == ("m", 0, 8)
            assert len(question["messages"][1]["content"]) < 2_100
            rows = one.all_rows(RequestRow)
            assert [(row.workload, row.purpose, row.team) for row in rows if row.purpose != "client"] == [
                ("triage", "classify", "red")
            ]
            reasons = [row.reason for row in one.all_rows(DecisionRow) if row.request_id == "req_1"]
            assert reasons[0].startswith("complex (the model says so)")
            assert reasons[1].startswith("complex (the model said so before)")
            counted = one.metrics.exposition(await one.desk.view(), ())
            assert b'workload="w"} 2.0' in counted
            assert b'fairlead_requests_total{outcome="ok",workload="triage"}' not in counted

    _run(main)


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ([], "did not answer in time"),
        (error("401 No"), "did not answer, status 401"),
        (said("It may be simple or complex."), "named no tier"),
        (said("banana"), "named no tier"),
    ],
)
def test_where_the_model_does_not_say_the_rule_decides_and_says_so(script: Any, trouble: str) -> None:
    """Silence, a fault and an odd answer cost a request no more than the deadline, and never its answer."""

    async def main() -> None:
        async with relay(WELL, WELL, script) as (one, _):
            _classifying(one, classifier_deadline=Seconds(0.1))
            assert _headers(await one.send(body=_asking(SIMPLE))) == (P0, None)
            first = next(row for row in one.all_rows(DecisionRow) if row.request_id == "req_1")
            assert first.reason.startswith(f"simple (the model {trouble}")
            assert await one.idle()

    _run(main)


def test_a_canary_answers_and_its_failure_falls_back() -> None:
    """A share of all: the candidate first, and the workload's own when it fails."""

    async def main() -> None:
        async with relay(WELL, (WELL, BUSY)) as (one, _):
            one.workload = replace(one.workload, targets=(P0,), canary=Canary(target=P1, share=1.0))
            assert _headers(await one.send()) == (P1, None)
            assert _headers(await one.send()) == (P0, P1)
            assert [row.label for row in one.all_rows(RequestRow)] == ["canary", "canary"]
            one.workload = replace(one.workload, canary=Canary(target=P1, share=1e-12))
            assert _headers(await one.send()) == (P0, None)

    _run(main)


def test_a_client_that_asks_again_with_its_key_is_drawn_as_before() -> None:
    """The idempotency key decides, not the new id."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, _):
            one.workload = replace(one.workload, targets=(P0,), canary=Canary(target=P1, share=0.5))
            keyed = (("idempotency-key", "order-1"),)
            served = {
                (await one.send(headers=keyed, request_id=f"req_{n}")).headers["fairlead-target"] for n in range(9)
            }
            assert len(served) == 1

    _run(main)


def test_who_was_drawn_for_a_candidate_takes_nobodys_turn() -> None:
    """The others go on in their order."""

    async def main() -> None:
        async with relay(WELL, WELL, WELL) as (one, _):
            own = {"targets": (P0, P1), "strategy": Strategy.ROUND_ROBIN.value}
            plain, drawn = (
                replace(one.workload, canary=Canary(target=P2, share=share), **own) for share in (1e-12, 1.0)
            )
            served = [
                (await one.send(workload=each)).headers["fairlead-target"] for each in (plain, drawn, plain, plain)
            ]
            assert served == [P0, P2, P1, P0]

    _run(main)


def _paid_by(one: Relay, **groups: str) -> None:
    """Give providers the accounts that pay for them."""
    places = {
        target: replace(place, billing=groups.get(place.provider, "")) for target, place in one.routes.places.items()
    }
    one.routes = replace(one.routes, places=places)
    one.dispatcher._routes = one.routes
    one.besides["payers"] = payers_of(one.routes)


@pytest.mark.parametrize("strategy", [Strategy.PRIORITY, Strategy.ROUND_ROBIN])
def test_a_fallback_stays_with_who_pays_unless_the_workload_says_otherwise(strategy: Strategy) -> None:
    """Law: the next target of the same account, or the failure; with the word, any."""

    async def main() -> None:
        async with relay(BUSY, WELL, WELL) as (one, _):
            _paid_by(one, p0="acme", p1="other", p2="acme")
            one.workload = replace(one.workload, strategy=strategy.value)
            assert _headers(await one.send()) == (P2, P0)
            _paid_by(one, p0="acme", p1="other", p2="third")
            one.workload = replace(one.workload, name="again")
            assert (await one.send()).status == 429
            one.workload = replace(one.workload, name="open", cross_billing=True)
            assert _headers(await one.send()) == (P1, P0)

    _run(main)


def test_under_priority_even_a_first_attempt_does_not_pass_over_who_pays() -> None:
    """Law: what the first target cannot take is not sent elsewhere at somebody else's expense."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, (first, second)):
            _paid_by(one, p0="acme", p1="other")
            one.workload = replace(one.workload, max_price=MaxPrice(input=1.0), max_wait=Seconds(0))
            assert (await one.send()).status == 503
            assert not first.heard + second.heard

    _run(main)


def test_an_escalation_needs_the_word_too() -> None:
    """Without it the weaker answer is given as it is."""

    async def main() -> None:
        async with relay(said("not json"), said("{}")) as (one, _):
            _paid_by(one, p0="acme", p1="other")
            one.workload = replace(one.workload, targets=(P0,), escalate=P1)
            body = _asking("x", response_format={"type": "json_object"})
            assert _headers(await one.send(body=body)) == (P0, None)
            one.workload = replace(one.workload, cross_billing=True)
            assert _headers(await one.send(body=body)) == (P1, P0)

    _run(main)


def test_what_is_too_long_goes_to_a_larger_window_or_is_told_that_there_is_none() -> None:
    """`over_max_input = "larger"`: only to who is known to take it; else the dialect's error, at once."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, _):
            wide = replace(one.routes.places[P1], abilities=Abilities(context_window=5_000))
            one.dispatcher._routes = replace(one.routes, places={**one.routes.places, P1: wide})
            larger = {"max_input_tokens": 100, "over_max_input": OverMaxInput.LARGER}
            one.workload = replace(one.workload, **larger)
            assert _headers(await one.send(body=_asking("x"))) == (P0, None)
            assert (await one.send(body=_asking("x" * 4_000))).headers["fairlead-target"] == P1
            refused = await one.send(body=_asking("x" * 40_000))
            assert refused.status == 400
            assert b"context_length_exceeded" in refused.body
            one.workload = replace(one.workload, over_max_input=OverMaxInput.REFUSE)
            assert (await one.send(body=_asking("x" * 4_000))).status == 400

    _run(main)


def test_embeddings_are_not_asked_how_hard_they_are() -> None:
    """Law: what generates nothing has no tier."""

    async def main() -> None:
        async with relay(said("x"), WELL) as (one, _):
            _tiered(one)
            await one.send(surface=Surface.EMBEDDINGS, body=b'{"model":"w","input":"Design a bank"}')
            assert one.row(RequestRow).label is None

    _run(main)


def test_a_stream_is_sorted_as_a_whole_answer_is() -> None:
    """Its head names the target of its tier."""

    async def main() -> None:
        async with relay(STREAM, STREAM) as (one, _):
            _tiered(one)
            client = Recorded()
            await one.send(client, streamed=True, body=_asking(HARD, stream=True))
            assert client.headers["fairlead-target"] == P1
            assert one.row(AttemptRow).target == P1

    _run(main)


def test_an_anthropic_workload_is_classified_in_its_dialect() -> None:
    """The question goes to `/v1/messages` where that is what the classifier's targets speak."""

    async def main() -> None:
        simple = b'{"content":[{"type":"text","text":"simple"}],"stop_reason":"end_turn"}'
        async with relay(
            WELL, WELL, [Send(answer(simple, "content-type: application/json"))], dialect=Dialect.ANTHROPIC
        ) as (one, (_, _, judge)):
            _classifying(one)
            await one.send(surface=Surface.MESSAGES, body=_asking("Design it", max_tokens=5))
            assert judge.heard[0].path == "/v1/messages"
            assert json.loads(judge.heard[0].body)["system"].startswith("You sort requests")

    _run(main)
