"""A total outage: every target fails, and the client reads in one exception who was tried, what each said, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import anthropic
import openai
import pytest

from tests.conformance.asking import Clients, clients, history
from tests.conformance.cases import PASSED_OVER, Case, fault_of, script_of, workload_name
from tests.conformance.stage import QUICK, stage
from tests.rigs.misbehaving import Tongue
from tests.rigs.peers import Peer
from tests.rigs.process import Daemon, running

MAX_ATTEMPTS = 2
STATUS_OF = {"timeout": 504, "overloaded": 503, "unreachable": 503, "rate_limited": 429, "quota": 429}
"""What the client is told where the last attempt ended so; in all other cases 502."""
EXCEPTIONS = {
    429: (openai.RateLimitError, anthropic.RateLimitError),
    502: (openai.InternalServerError, anthropic.InternalServerError),
    503: (openai.InternalServerError, anthropic.ServiceUnavailableError),
    504: (openai.InternalServerError, anthropic.DeadlineExceededError | anthropic.GatewayTimeoutError),
}


class Scene(NamedTuple):
    """Two upstreams for each row, that both misbehave in its way."""

    daemon: Daemon
    clients: Clients
    peers: dict[str, list[Peer]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Give one daemon in front of them, and SDKs with the retries that they have by default."""
    with stage() as play:
        peers: dict[str, list[Peer]] = {}
        for name, part in PASSED_OVER:
            workload = workload_name(name, part)
            peers[workload] = [] if name == "refused" else [play.house.open(script_of(name, part)) for _ in "ab"]
            urls = [one.base_url for one in peers[workload]] or [play.house.nobody() for _ in "ab"]
            targets = [
                play.provider(f"{letter}-{workload}", part.tongue, url, QUICK)
                for letter, url in zip("ab", urls, strict=True)
            ]
            play.workload(workload, targets, f"max_attempts = {MAX_ATTEMPTS}", 'max_wait = "100ms"')
        with running(tmp_path_factory.mktemp("d"), play.config) as daemon, clients(daemon, retries=2) as both:
            yield Scene(daemon, both, peers)


def _exception(status: int, tongue: Tongue) -> type[Exception]:
    return EXCEPTIONS[status][list(Tongue).index(tongue)]  # type: ignore[return-value]


@pytest.mark.parametrize("case", PASSED_OVER, ids=lambda case: workload_name(*case))
def test_a_total_outage_is_one_exception_that_names_each_target_and_is_not_retried(scene: Scene, case: Case) -> None:
    """Law: typed, in words, within `max_attempts` calls upstream although the SDK has two retries of its own."""
    name, part = case
    workload, fault = workload_name(*case), fault_of(name)
    told = scene.clients.ask(part, workload)
    status = STATUS_OF.get(fault, 502)
    assert told.status == status
    assert isinstance(told.error, _exception(status, part.tongue))
    for letter in "ab":
        assert f"{letter}-{workload}/m: {fault}" in told.words
    assert told.headers["x-should-retry"] == "false"
    assert 0 < float(told.headers.get("retry-after", 1)) <= 60
    assert 2 <= int(told.story["attempts"]) <= MAX_ATTEMPTS
    calls = [len(one.heard) for one in scene.peers[workload]]
    assert sum(calls) == (0 if name == "refused" else int(told.story["attempts"]))
    _is_written_down(scene, case, told.request_id)


def _is_written_down(scene: Scene, case: Case, request_id: str) -> None:
    """Check the history: every attempt, every fallback, one request that failed, which nobody repeated."""
    workload, fault = workload_name(*case), fault_of(case[0])
    written = history(scene.daemon, request_id)
    (request,) = written["requests"]
    assert (request["workload"], request["served_by"], request["outcome"]) == (workload, None, "failed")
    assert (request["fault"], request["attempts"]) == (fault, len(written["attempts"]))
    assert {row["fault"] for row in written["attempts"]} == {fault}
    assert [row["number"] for row in written["attempts"]] == list(range(1, request["attempts"] + 1))
    assert [(row["from_target"], row["to_target"]) for row in written["fallbacks"]] == [
        (f"a-{workload}/m", f"b-{workload}/m")
    ]


def test_no_request_of_the_outage_came_twice(scene: Scene) -> None:
    """Law: over all rows, no SDK has asked again."""
    for part in {part for _, part in PASSED_OVER}:
        scene.clients.ask(part, workload_name("500", part))
    answer = scene.daemon.ask(
        "POST", "/fairlead/v1/sql", {"query": "SELECT count(*) FROM request WHERE client_retry > 0"}
    )
    assert answer.json()["rows"] == [[0]]
