"""What was asked for within a minute: when it frees, from whichever end that is found sooner."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.limits.accounts import Verdict
from daemon.limits.ledger import Admission, Ledger, Moment, Reservation
from daemon.limits.policy import LimitPolicy, Limits
from daemon.limits.rates import MINUTE_S, Claim, Minute
from state.history.charges import Charged
from state.targets import TargetName

_CLAIMS = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 30)), min_size=1, max_size=30)


@given(_CLAIMS, st.integers(0, 40), st.integers(1, 60))
def test_it_frees_as_soon_as_so_much_has_left_that_the_rest_fits(
    claims: list[tuple[float, int]], amount: int, most: int
) -> None:
    """Law: the wait is the shortest after which the claims that are left, and this one, are within the limit."""
    minute, now, taken = Minute(), 0.0, []
    for gap_s, size in claims:
        now += gap_s
        taken.append(minute.take(size, now))
    room = most - min(amount, most)
    left = [each for each in taken if now - each.at < MINUTE_S]
    waits = [0.0, *(each.at + MINUTE_S - now for each in left)]
    fits = [wait for wait in waits if sum(each.amount for each in left if each.at + MINUTE_S - now > wait) <= room]
    assert minute.frees_in(amount, most, now) == min(fits)


def test_what_is_far_over_a_limit_that_only_warns_is_not_counted_through() -> None:
    """Law: the work is bounded by the limit, not by how much was let through in spite of it."""
    looked_at = 0

    class Counted(Claim):
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            nonlocal looked_at
            looked_at += name == "amount"
            return super().__getattribute__(name)

    minute = Minute()
    for number in range(5000):
        minute.take(1, number / 1000)
    minute._claims.extend(Counted(6.0, 1) for _ in range(1000))
    minute._sum += 1000
    minute.frees_in(1, 60, 6.0)
    assert looked_at <= 61


def test_a_copy_takes_no_turn_of_whoever_it_is_charged_to() -> None:
    """Law: copies are paid for, and no limit of requests, tokens or turns is filled by what nobody asked for."""
    policy = LimitPolicy(requests_per_minute=1, tokens_per_minute=9, concurrent=1, usd_per_day=1.0)
    ledger, now = Ledger(Limits(by_name={"all": policy})), Moment(0.0, 1e9)
    copy = ledger.admit(Charged("w", "", "ann", "shadow"), 9, now)
    assert isinstance(copy, Admission)
    asked = ledger.admit(Charged("w", "", "ann"), 9, now)
    assert isinstance(asked, Admission)
    assert isinstance(ledger.reserve(copy, TargetName("a/m"), 0.9, now.unix), Reservation)
    assert isinstance(ledger.reserve(asked, TargetName("a/m"), 0.2, now.unix), Verdict)
    ledger.leave(copy, 5, 1.0)
    assert isinstance(ledger.admit(Charged("w", "", "ann"), 9, Moment(61.0, 1e9)), Verdict), "one is still under way"
