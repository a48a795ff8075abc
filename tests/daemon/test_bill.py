"""What a request's attempts cost, and what is known of it."""

from __future__ import annotations

import pytest

from daemon.relay.bill import Bill, Cost, cost_of_attempt
from state.faults import Blame, Fault
from state.outcome import Outcome, Usage, Work
from state.prices import Price
from state.targets import TargetName

_PRICE = Price(input=2.0, output=10.0, cached_input=0.5)
_USAGE = Usage(1000, 100, 400)
_COUNTED = (600 * 2.0 + 400 * 0.5 + 100 * 10.0) / 1e6
_A, _B = TargetName("a/m"), TargetName("b/m")


@pytest.mark.parametrize(
    ("outcome", "cost"),
    [
        (Outcome(usage=_USAGE, latency_s=1.0), Cost(_COUNTED)),
        (Outcome(fault=Fault.CUT, usage=_USAGE, latency_s=1.0), Cost(_COUNTED)),
        (Outcome(fault=Fault.SERVER_ERROR, status=500, latency_s=1.0), Cost(0.0)),
        (Outcome(fault=Fault.RATE_LIMITED, status=429, latency_s=1.0), Cost(0.0)),
        (Outcome(fault=Fault.TIMEOUT, latency_s=30.0), Cost(0.0)),
        (Outcome(fault=Fault.TIMEOUT, at_fault=Blame.OURSELVES), Cost(0.0)),
        (Outcome(tokens=50, latency_s=1.0), Cost((200 * 2.0 + 50 * 10.0) / 1e6, estimated=True)),
        (Outcome(fault=Fault.CANCELLED, said=30.0, latency_s=1.0), Cost((200 * 2.0 + 300.0) / 1e6, estimated=True)),
        (
            Outcome(fault=Fault.CANCELLED, usage=Usage(500, 1), said=60.0, latency_s=1.0),
            Cost((500 * 2.0 + 600.0) / 1e6, estimated=True),
        ),
        (Outcome(fault=Fault.CANCELLED, latency_s=1.0), Cost(200 * 2.0 / 1e6, estimated=True)),
        (Outcome(fault=Fault.CANCELLED), Cost(0.0)),
    ],
)
def test_an_attempt_costs_what_was_counted_else_what_was_said(outcome: Outcome, cost: Cost) -> None:
    """Law: the provider's count decides; errors are free; what was interrupted is estimated, and says so."""
    found = cost_of_attempt(_PRICE, outcome, 200)
    assert (found.usd, found.estimated) == (pytest.approx(cost.usd), cost.estimated)


def test_an_unknown_price_makes_an_unknown_cost() -> None:
    """Law: never 0 for unknown, unless nothing was answered at all."""
    assert cost_of_attempt(None, Outcome(usage=_USAGE), 200).usd is None
    assert cost_of_attempt(None, Outcome(fault=Fault.UNREACHABLE), 200).usd == 0.0


def test_a_request_costs_all_of_its_attempts_or_nobody_knows() -> None:
    """Law: one attempt of unknown cost makes the sum unknown; what each target took stays known."""
    bill = Bill({_A: _PRICE}, 200, Work.GENERATE)
    assert bill.total_usd is None
    bill.charge(_A, Outcome(usage=_USAGE))
    bill.charge(_A, Outcome(fault=Fault.OVERLOADED, latency_s=0.1))
    assert bill.total_usd == pytest.approx(_COUNTED)
    bill.charge(_B, Outcome(usage=_USAGE))
    assert (bill.total_usd, bill.spent_at(_A), bill.spent_at(_B)) == (None, pytest.approx(_COUNTED), None)


def test_counting_tokens_is_free() -> None:
    """Law: what providers do for nothing costs nothing, though it says how many tokens there are."""
    assert Bill({_A: _PRICE}, 200, Work.COUNT).charge(_A, Outcome(usage=Usage(9000))).usd == 0.0


def test_what_the_costliest_target_would_have_taken_is_known_where_a_price_is() -> None:
    """Law: savings are against the dearest of the workload's own targets, at the same tokens."""
    bill = Bill({_A: _PRICE, _B: Price(input=20.0, output=100.0)}, 200, Work.GENERATE)
    assert bill.costliest_usd((_A, _B), Usage(1000, 100)) == pytest.approx(0.03)
    assert bill.costliest_usd((TargetName("c/m"),), Usage(1000, 100)) is None
    assert bill.costliest_usd((_A, _B), Usage()) is None


def test_failures_give_tokens_back_and_what_nobody_counted_keeps_its_estimate() -> None:
    """Law: who was answered by nobody has taken nothing of a minute's tokens."""
    bill = Bill({_A: _PRICE}, 200, Work.GENERATE)
    bill.charge(_A, Outcome(fault=Fault.OVERLOADED, latency_s=0.1))
    assert bill.tokens == 0
    bill.charge(_A, Outcome(fault=Fault.CANCELLED, said=3.0, latency_s=0.1))
    assert bill.tokens is None
    bill.charge(_A, Outcome(usage=_USAGE))
    assert bill.tokens == 1100
