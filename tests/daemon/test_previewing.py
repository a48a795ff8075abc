"""`route`: where a request of a given size would go now, told like the request itself would be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rigs.process import LAB, Daemon, running

_ROUTE = "/fairlead/v1/route?workload"
_SIZED = (
    LAB.replace('models = ["m"]', 'models = ["m"]\nabilities = { m = { context_window = 1000 } }', 1)
    + "\n[workloads.short]\ntargets = ['one/m']\nmax_input_tokens = 500\n"
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon whose first target takes 1000 tokens, and a workload that allows 500 of input."""
    with running(tmp_path_factory.mktemp("d"), _SIZED) as one:
        yield one


@pytest.mark.parametrize(
    ("size", "target"),
    [
        ("", "one/m"),
        ("&prompt_tokens=1000", "one/m"),
        ("&prompt_tokens=1001", "two/m"),
        ("&max_tokens=1001", "two/m"),
        ("&prompt_tokens=600&max_tokens=400", "one/m"),
        ("&prompt_tokens=600&max_tokens=401", "two/m"),
    ],
)
def test_a_route_is_asked_for_a_request_of_a_size(daemon: Daemon, size: str, target: str) -> None:
    """Law: what the model would have to hold is the prompt and the answer together."""
    route = daemon.ask("GET", f"{_ROUTE}=chat{size}").json()
    assert route["target"] == target
    if target == "two/m":
        assert "takes 1000 tokens" in route["decision"]


@pytest.mark.parametrize(
    "size", ["prompt_tokens=many", "prompt_tokens=-1", "max_tokens=1.5", "max_tokens=", "max_tokens=%C2%B2"]
)
def test_a_size_that_is_no_number_is_refused(daemon: Daemon, size: str) -> None:
    """Law: what is not understood is not passed over."""
    answer = daemon.ask("GET", f"{_ROUTE}=chat&{size}")
    assert answer.status == 400
    assert size.split("=", maxsplit=1)[0] in answer.json()["detail"]
    assert daemon.ask("GET", f"{_ROUTE}=chat&prompt_tokens={'9' * 5000}").status == 400


def test_a_workload_that_takes_less_says_so_as_it_would_to_the_request(daemon: Daemon) -> None:
    """Law: `max_input_tokens` bounds the prompt, whatever the answer may be."""
    refused = daemon.ask("GET", f"{_ROUTE}=short&prompt_tokens=501")
    assert refused.status == 400
    assert "max_input_tokens = 500" in refused.json()["detail"]
    assert daemon.ask("GET", f"{_ROUTE}=short&prompt_tokens=500&max_tokens=400").json()["target"] == "one/m"


def test_a_route_passes_over_what_a_request_would_pass_over(daemon: Daemon) -> None:
    """Law: the faults that the workload falls back on are those of its requests."""
    for _ in range(3):
        daemon.ask("POST", "/fairlead/v1/report", {"target": "one/m", "fault": "timeout", "latency_ms": 1})
    assert daemon.chat("chat").headers["fairlead-target"] == "two/m"
    assert daemon.ask("GET", f"{_ROUTE}=chat").json()["target"] == "two/m"
