"""Every fault, plain and streamed, in both dialects: what the client sees, who was called, what the history says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import anthropic
import openai
import pytest

from tests.conformance.asking import Clients, clients, history
from tests.conformance.cases import PASSED_OVER, PASSING, TOLD_AT_ONCE, Case, fault_of, script_of, workload_name
from tests.conformance.stage import QUICK, Stage, stage
from tests.rigs.misbehaving import BEGUN, NOT_TLS, PARTS, SAID, Manner, Part, Tongue, broken_streams, odd_ones
from tests.rigs.peers import Peer
from tests.rigs.process import Daemon, running

EXCEPTIONS = {
    400: (openai.BadRequestError, anthropic.BadRequestError),
    401: (openai.AuthenticationError, anthropic.AuthenticationError),
    403: (openai.PermissionDeniedError, anthropic.PermissionDeniedError),
    404: (openai.NotFoundError, anthropic.NotFoundError),
    409: (openai.ConflictError, anthropic.ConflictError),
    413: (openai.APIStatusError, anthropic.APIStatusError),
    422: (openai.UnprocessableEntityError, anthropic.UnprocessableEntityError),
}


AT_ONCE = [(name, part) for part in PARTS for name in TOLD_AT_ONCE]
BROKEN = [(name, Part(tongue, Manner.STREAMED)) for tongue in Tongue for name in broken_streams(tongue)]
ODD = [(name, part) for part in PARTS for name in odd_ones(part)]


class Scene(NamedTuple):
    """The upstreams of all rows, behind one daemon."""

    daemon: Daemon
    clients: Clients
    bad: dict[str, Peer]
    good: dict[Part, Peer]

    def calls(self, case: Case) -> tuple[int, int]:
        """Return how many requests the row's own upstream, and the good one, have had."""
        own = self.bad.get(workload_name(*case))
        return (len(own.heard) if own else 0, len(self.good[case[1]].heard))


def _place(play: Stage, name: str, part: Part) -> Peer | None:
    """Add the row's provider, and its workload that falls back on the good one; return the provider's peer."""
    workload = workload_name(name, part)
    peer = None if name == "refused" else play.house.open(script_of(name, part))
    url = play.house.nobody() if peer is None else peer.base_url
    target = play.provider(workload, part.tongue, url, QUICK)
    play.workload(workload, [target, f"good-{part}/m"])
    return peer


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Give one daemon in front of an upstream of its own for each row."""
    with stage() as play:
        bad = {workload_name(*case): _place(play, *case) for case in (*PASSED_OVER, *AT_ONCE, *BROKEN, *ODD)}
        for part in PARTS:
            tls = play.house.open([], greeting=NOT_TLS)
            target = play.provider(f"tls-{part}", part.tongue, tls.base_url.replace("http:", "https:"), QUICK)
            play.workload(f"tls-{part}", [target, f"good-{part}/m"])
        peers = {name: peer for name, peer in bad.items() if peer is not None}
        with running(tmp_path_factory.mktemp("d"), play.config) as daemon, clients(daemon) as both:
            yield Scene(daemon, both, peers, play.good_peers)


@pytest.mark.parametrize("case", PASSED_OVER, ids=lambda case: workload_name(*case))
def test_what_the_provider_fails_at_is_answered_by_the_next_target(scene: Scene, case: Case) -> None:
    """Law: one call each, an answer, and headers and history that say who, whom it was meant for, and why."""
    name, part = case
    own, fault = f"{workload_name(*case)}/m", fault_of(name)
    before = scene.calls(case)
    told = scene.clients.ask(part, workload_name(*case))
    assert (told.error, told.text) == (None, SAID)
    assert told.story["target"] == f"good-{part}/m"
    assert told.story["attempts"] == "2"
    assert told.story["fallback-from"] == own
    assert told.story["fallback-reason"].startswith(fault)
    assert told.story["degraded"] == "fallback"
    calls = scene.calls(case)
    assert (calls[0] - before[0], calls[1] - before[1]) == (0 if name == "refused" else 1, 1)
    written = history(scene.daemon, told.request_id)
    assert [(row["target"], row["outcome"], row["fault"]) for row in written["attempts"]] == [
        (own, "failed", fault),
        (f"good-{part}/m", "ok", None),
    ]
    (step,) = written["fallbacks"]
    assert (step["from_target"], step["to_target"], step["fault"]) == (own, f"good-{part}/m", fault)
    assert step["reason"]
    assert step["status"] == (int(PASSING[name].status[:3]) if name in PASSING else step["status"])
    (request,) = written["requests"]
    assert (request["primary_target"], request["served_by"]) == (own, f"good-{part}/m")
    assert (request["attempts"], request["outcome"], request["degraded"]) == (2, "ok", "fallback")


@pytest.mark.parametrize("case", AT_ONCE, ids=lambda case: workload_name(*case))
def test_what_another_target_cannot_mend_is_told_at_once(scene: Scene, case: Case) -> None:
    """Law: the SDK's own exception with the provider's words, one call, nobody else asked, no fallback written."""
    name, part = case
    refusal = TOLD_AT_ONCE[name]
    before = scene.calls(case)
    told = scene.clients.ask(part, workload_name(*case))
    status = int(refusal.status[:3])
    assert isinstance(told.error, EXCEPTIONS[status])
    assert told.status == status
    assert "the upstream says" in told.words
    assert told.story["attempts"] == "1"
    assert not {"fallback-from", "fallback-reason", "degraded"} & set(told.story)
    assert scene.calls(case) == (before[0] + 1, before[1])
    written = history(scene.daemon, told.request_id)
    assert [(row["outcome"], row["fault"], row["status"]) for row in written["attempts"]] == [
        ("failed", refusal.fault, status)
    ]
    assert written["fallbacks"] == []
    (request,) = written["requests"]
    assert (request["served_by"], request["outcome"], request["fault"]) == (None, "failed", refusal.fault)


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: workload_name(*case))
def test_a_stream_that_breaks_after_content_raises_and_is_never_begun_anew(scene: Scene, case: Case) -> None:
    """Law: the client keeps what it has, its SDK raises, nobody else is asked, and the history says `cut`."""
    _, part = case
    own = f"{workload_name(*case)}/m"
    before = scene.calls(case)
    told = scene.clients.ask(part, workload_name(*case))
    assert isinstance(told.error, (openai.APIError, anthropic.APIStatusError)[list(Tongue).index(part.tongue)])
    assert told.text.startswith(BEGUN)
    assert told.story["target"] == own
    assert scene.calls(case) == (before[0] + 1, before[1])
    written = history(scene.daemon, told.request_id)
    assert [(row["target"], row["outcome"], row["fault"]) for row in written["attempts"]] == [(own, "cut", "cut")]
    assert written["fallbacks"] == []
    (request,) = written["requests"]
    assert (request["served_by"], request["outcome"], request["fault"]) == (own, "cut", "cut")


@pytest.mark.parametrize("case", ODD, ids=lambda case: workload_name(*case))
def test_what_is_odd_and_whole_is_an_answer(scene: Scene, case: Case) -> None:
    """Law: no manners of a connection spoil an answer that came whole."""
    before = scene.calls(case)
    told = scene.clients.ask(case[1], workload_name(*case))
    assert (told.error, told.text) == (None, SAID)
    assert told.story == {"attempts": "1", "target": f"{workload_name(*case)}/m", "workload": workload_name(*case)}
    assert scene.calls(case) == (before[0] + 1, before[1])
    assert [row["outcome"] for row in history(scene.daemon, told.request_id)["attempts"]] == ["ok"]


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_tls_fault_is_told_and_falls_back_only_where_it_is_named(scene: Scene, part: Part) -> None:
    """Law: a certificate is the configuration's affair, so no answer hides that it fails."""
    told = scene.clients.ask(part, f"tls-{part}")
    assert told.status == 502
    assert f"tls-{part}/m: tls" in told.words
    assert told.headers["x-should-retry"] == "false"
    assert [row["fault"] for row in history(scene.daemon, told.request_id)["attempts"]] == ["tls"]
