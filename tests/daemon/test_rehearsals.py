"""Rehearsals: so many requests see a fault, and not one more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.rehearsals import Rehearsal, Rehearsals
from state.faults import Fault
from state.targets import TargetName

A, B = TargetName("a/m"), TargetName("b/m")


@given(count=st.integers(1, 20), attempts=st.integers(1, 4), tries=st.lists(st.integers(1, 6), max_size=40))
def test_exactly_so_many_requests_see_it_at_exactly_so_many_attempts(
    count: int, attempts: int, tries: list[int]
) -> None:
    """The first `count` requests, each at its first `attempts` attempts, however many it makes."""
    orders = Rehearsals()
    orders.order(Rehearsal(workload="w", fault=Fault.TIMEOUT, count=count, attempts=attempts, by="ada"))
    for request, made in enumerate(tries):
        held = None
        for number in range(1, made + 1):
            taken = orders.take("w", A, number, held)
            assert (taken is not None) == (request < count and number <= attempts)
            held = taken or held


def test_an_order_for_one_target_waits_for_it() -> None:
    """Requests that never go there do not use it up; other workloads never see it."""
    orders = Rehearsals()
    orders.order(Rehearsal(workload="w", fault=Fault.TIMEOUT, count=1, target=B, by="ada", attempts=2))
    assert orders.take("w", A, 1) is None
    assert orders.take("v", B, 1) is None
    assert orders.take("w", B, 2) is not None
    assert orders.take("w", B, 1) is None
    assert orders.pending() == ()


def test_an_order_of_none_ends_the_one_before() -> None:
    """A count of 0 cancels."""
    orders = Rehearsals()
    orders.order(Rehearsal(workload="w", fault=Fault.TIMEOUT, count=9, by="ada"))
    orders.order(Rehearsal(workload="w", fault=Fault.TIMEOUT, count=0, by="ada"))
    assert orders.take("w", A, 1) is None
