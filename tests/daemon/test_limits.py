"""What limits say of requests: who is counted, what is refused, and in which words."""

from __future__ import annotations

from datetime import datetime

import pytest

from daemon.limits.caller import Caller
from daemon.limits.ledger import Ledger
from daemon.limits.policy import BudgetPolicy, LimitPolicy, Per
from daemon.limits.tally import Spent
from daemon.limits.tickets import Admission, Reservation
from daemon.limits.words import LimitKind, Refused
from state.history.charges import Charged
from state.targets import TargetName

_NOON = datetime.fromisoformat("2026-11-28T12:00+01:00").timestamp()
_TOMORROW = _NOON + 86_400
_GPT = TargetName("openai/gpt")
_ADA, _BOB = Caller(user="ada", team="ml").charged("chat"), Caller(user="bob", team="ml").charged("chat")
_EVE = Caller(user="eve", team="ops").charged("batch")


def _ledger(**limits: LimitPolicy) -> Ledger:
    return Ledger(limits, BudgetPolicy(timezone="Europe/Berlin"), _NOON)


def _admitted(ledger: Ledger, charged: Charged = _ADA, tokens: int = 10, now: float = 0.0) -> Admission:
    found = ledger.admit(charged, tokens, now, _NOON)
    assert isinstance(found, Admission), found
    return found


def _refused(ledger: Ledger, charged: Charged = _ADA, tokens: int = 10, now: float = 0.0) -> Refused:
    found = ledger.admit(charged, tokens, now, _NOON)
    assert isinstance(found, Refused)
    return found


def _spend(ledger: Ledger, usd: float, charged: Charged = _ADA, wall: float = _NOON) -> None:
    admission = ledger.admit(charged, 0, 0.0, wall)
    assert isinstance(admission, Admission), admission
    reservation = ledger.reserve(admission, _GPT, usd, wall)
    assert isinstance(reservation, Reservation), reservation
    ledger.settle(reservation, usd, wall)
    ledger.done(admission, None, 0.0)


def test_without_limits_everything_is_let_in() -> None:
    """Law: nobody is limited who has no limit."""
    ledger = _ledger()
    admission = _admitted(ledger)
    assert isinstance(ledger.reserve(admission, _GPT, None, _NOON), Reservation)
    assert ledger.balances(0.0, _NOON) == ()


def test_requests_by_the_minute_are_counted_apart_where_the_limit_says_so() -> None:
    """Law: one user's haste is not another's, and the refusal names the limit, whose it is and when it frees."""
    ledger = _ledger(slow=LimitPolicy(per=Per.USER, requests_per_minute=2))
    for _ in range(2):
        _admitted(ledger)
    refused = _refused(ledger)
    assert refused.message == "limits.slow: requests_per_minute of 2 for user ada is used up; it frees in 30 s"
    assert (refused.kind, refused.retry_after_s) == (LimitKind.REQUESTS, pytest.approx(30.0))
    _admitted(ledger, _BOB)
    _admitted(ledger, now=30.0)


def test_a_refused_request_takes_nothing_of_any_limit() -> None:
    """Law: all limits let a request in, or none counts it."""
    ledger = _ledger(first=LimitPolicy(requests_per_minute=10), then=LimitPolicy(concurrent=1))
    _admitted(ledger)
    _refused(ledger)
    used = {(each.limit, each.kind): each.used for each in ledger.balances(0.0, _NOON)}
    assert used == {("first", LimitKind.REQUESTS): 1, ("then", LimitKind.CONCURRENT): 1}


def test_what_is_under_way_ends_once() -> None:
    """Law: an admission that is given back twice frees one place."""
    ledger = _ledger(narrow=LimitPolicy(per=Per.TEAM, concurrent=2))
    first, _ = _admitted(ledger), _admitted(ledger, _BOB)
    refused = _refused(ledger)
    assert "2 requests for team ml are under way" in refused.message
    assert refused.retry_after_s == 1.0
    ledger.done(first, None, 0.0)
    ledger.done(first, None, 0.0)
    _admitted(ledger)
    _refused(ledger)
    _admitted(ledger, _EVE)


def test_tokens_are_settled_by_what_was_counted() -> None:
    """Law: an answer that was longer than thought is waited for, one that was shorter gives back."""
    ledger = _ledger(few=LimitPolicy(tokens_per_minute=1000))
    ledger.done(_admitted(ledger, tokens=400), 1000, 0.0)
    assert _refused(ledger, tokens=100).retry_after_s == pytest.approx(6.0)
    ledger.done(_admitted(ledger, tokens=100, now=6.0), 0, 6.0)
    _admitted(ledger, tokens=100, now=6.0)


def test_a_request_that_no_minute_has_room_for_is_told_so() -> None:
    """Law: no wait is named where none helps."""
    refused = _refused(_ledger(few=LimitPolicy(tokens_per_minute=1000)), tokens=5000)
    assert refused.retry_after_s is None
    assert "ever allows; shorten the request, or raise the limit" in refused.message


def test_a_budget_that_is_spent_names_the_sum_and_the_hour() -> None:
    """Law: the refusal says which limit, how much was spent of how much, and when it frees, in the budgets' zone."""
    ledger = _ledger(**{"ml-team": LimitPolicy(per=Per.TEAM, usd_per_day=500.0)})
    _spend(ledger, 500.0)
    refused = _refused(ledger, _BOB)
    assert refused.message == (
        "limits.ml-team: usd_per_day of 500.00 for team ml is spent (500.00); it frees at 2026-11-29T00:00+01:00"
    )
    assert refused.retry_after_s == 12 * 3600
    assert refused.fresh
    assert not _refused(ledger, _BOB).fresh
    _admitted(ledger, _EVE)
    _spend(ledger, 1.0, wall=_TOMORROW)


def test_a_reservation_that_does_not_fit_is_refused_and_says_what_stands_in_the_way() -> None:
    """Law: what is spent, what is set aside and what is asked for never come to more than a hard limit."""
    ledger = _ledger(tight=LimitPolicy(usd_per_month=1.0))
    admission = _admitted(ledger)
    held = ledger.reserve(admission, _GPT, 0.6, _NOON)
    refused = ledger.reserve(admission, _GPT, 0.5, _NOON)
    assert isinstance(held, Reservation)
    assert isinstance(refused, Refused)
    assert refused.message == (
        "limits.tight: usd_per_month of 1.00 has no room for up to 0.50 at openai/gpt: 0.00 is spent and 0.60 set "
        "aside for attempts under way; it frees as those end for less"
    )
    ledger.settle(held, 0.0, _NOON)
    assert isinstance(ledger.reserve(admission, _GPT, 0.5, _NOON), Reservation)
    assert isinstance(ledger.reserve(admission, _GPT, 0.0, _NOON), Reservation)


def test_a_target_of_unknown_price_is_no_ones_to_buy_from_a_hard_budget() -> None:
    """Law: unknown is not free; the refusal names the target and what to do."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    refused = ledger.reserve(_admitted(ledger), _GPT, None, _NOON)
    assert isinstance(refused, Refused)
    assert "openai/gpt, whose price is unknown; give it one" in refused.message
    assert refused.retry_after_s is None


@pytest.mark.parametrize(
    "policy", [LimitPolicy(usd_per_day=1.0, enforce="soft"), LimitPolicy(usd_per_day=1.0, shadow=True)]
)
def test_a_soft_budget_counts_what_it_cannot_price(policy: LimitPolicy) -> None:
    """Law: an unknown cost books nothing, and is not hidden either."""
    ledger = _ledger(day=policy)
    reservation = ledger.reserve(_admitted(ledger), _GPT, None, _NOON)
    assert isinstance(reservation, Reservation)
    ledger.settle(reservation, None, _NOON)
    (balance,) = ledger.balances(0.0, _NOON)
    assert (balance.used, balance.unpriced) == (0.0, 1)


def test_an_attempt_is_paid_in_the_day_in_which_it_ends() -> None:
    """Law: what is set aside before midnight and spent after it is the new day's, as in the history."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    reservation = ledger.reserve(_admitted(ledger), _GPT, 0.7, _NOON)
    assert isinstance(reservation, Reservation)
    (balance,) = ledger.balances(0.0, _TOMORROW)
    assert (balance.used, balance.reserved) == (0.0, 0.7)
    ledger.settle(reservation, 0.6, _TOMORROW)
    assert [each.used for each in ledger.balances(0.0, _TOMORROW)] == [0.6]
    assert [each.used for each in ledger.balances(0.0, _NOON)] == [0.0]


def test_a_clock_that_was_wrong_for_a_while_finds_its_day_again() -> None:
    """Law: going back to a day finds what was spent in it."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    _spend(ledger, 0.9)
    assert [each.used for each in ledger.balances(0.0, _TOMORROW)] == [0.0]
    assert [each.used for each in ledger.balances(0.0, _NOON)] == [0.9]


def test_a_soft_limit_warns_once_by_day_and_asks_for_the_cheapest() -> None:
    """Law: beyond `warn_at` every request is told, operators once, and money is saved where the limit says so."""
    ledger = _ledger(soft=LimitPolicy(usd_per_day=10.0, enforce="soft", on_soft="cheaper"))
    assert not _admitted(ledger).frugal
    _spend(ledger, 8.5)
    first, second = _admitted(ledger), _admitted(ledger)
    assert first.frugal
    assert [(each.fresh, each.message) for each in first.notices] == [
        (True, "limits.soft: usd_per_day of 10.00 is 85 % spent (8.50); it frees at 2026-11-29T00:00+01:00")
    ]
    assert [each.fresh for each in second.notices] == [False]
    _spend(ledger, 2.0)
    assert [(each.fresh, "is spent (10.50)" in each.message) for each in _admitted(ledger).notices] == [(True, True)]


def test_a_hard_limit_warns_before_it_refuses() -> None:
    """Law: `warn_at` holds for hard limits too."""
    ledger = _ledger(hard=LimitPolicy(usd_per_day=10.0))
    _spend(ledger, 9.0)
    admission = _admitted(ledger)
    assert (len(admission.notices), admission.frugal) == (1, False)


def test_a_limit_in_the_shadow_refuses_nobody_and_counts_whom_it_would_have() -> None:
    """Law: shadow changes nothing for anybody but the record."""
    ledger = _ledger(
        watch=LimitPolicy(requests_per_minute=1, concurrent=1, usd_per_day=1.0, on_soft="cheaper", shadow=True)
    )
    _spend(ledger, 5.0)
    admissions = [_admitted(ledger) for _ in range(3)]
    assert all(each.notices and not each.frugal for each in admissions)
    assert all(notice.shadowed for each in admissions for notice in each.notices)
    assert {each.kind: each.refused for each in ledger.balances(0.0, _NOON)}[LimitKind.USD_PER_DAY] == 4


def test_the_refusal_that_frees_last_is_told() -> None:
    """Law: nobody is told to come back in a second who is out of money until midnight."""
    ledger = _ledger(pace=LimitPolicy(requests_per_minute=1), day=LimitPolicy(usd_per_day=1.0))
    _spend(ledger, 1.0)
    assert _refused(ledger).kind is LimitKind.USD_PER_DAY


def test_fairleads_own_questions_cost_money_and_nothing_else() -> None:
    """Law: copies and classifications are paid for, and take no place from clients."""
    ledger = _ledger(one=LimitPolicy(concurrent=1, usd_per_day=1.0))
    _admitted(ledger)
    copy = Charged(workload="chat", team="ml", user="ada", purpose="shadow")
    reservation = ledger.reserve(_admitted(ledger, copy), _GPT, 0.5, _NOON)
    assert isinstance(reservation, Reservation)
    ledger.settle(reservation, 0.4, _NOON)
    used = {each.kind: each.used for each in ledger.balances(0.0, _NOON)}
    assert used == {LimitKind.CONCURRENT: 1, LimitKind.USD_PER_DAY: 0.4}


def test_whom_a_limit_concerns_is_said_by_all_its_lists() -> None:
    """Law: users, teams and workloads must all hold; who has no name is nobody that is listed."""
    policy = LimitPolicy(teams=("ml",), workloads=("chat",), concurrent=1)
    assert policy.concerns(_ADA)
    assert not policy.concerns(_EVE)
    assert not policy.concerns(Caller().charged("chat"))


def test_a_new_limit_knows_what_was_spent_and_what_is_under_way() -> None:
    """Law: a reload forgets nothing: neither money spent or set aside, nor requests, nor rates of limits that stay."""
    ledger = _ledger(pace=LimitPolicy(requests_per_minute=5))
    _spend(ledger, 3.0)
    admission = _admitted(ledger)
    reservation = ledger.reserve(admission, _GPT, 2.0, _NOON)
    assert isinstance(reservation, Reservation)
    ledger.replace(
        {"pace": LimitPolicy(requests_per_minute=5, concurrent=4), "day": LimitPolicy(usd_per_day=9.0)}, _NOON
    )
    assert [(each.kind, each.used, each.reserved) for each in ledger.balances(0.0, _NOON)] == [
        (LimitKind.REQUESTS, 2, 0.0),
        (LimitKind.CONCURRENT, 1, 0.0),
        (LimitKind.USD_PER_DAY, 3.0, 2.0),
    ]
    ledger.settle(reservation, 1.5, _NOON)
    ledger.done(admission, None, 0.0)
    assert [(each.used, each.reserved) for each in ledger.balances(0.0, _NOON)] == [(2, 0.0), (0, 0.0), (4.5, 0.0)]


def test_what_was_spent_before_the_start_counts_in_its_day_and_month() -> None:
    """Law: a restart takes up the sums of the current day and month, and of no other."""
    ledger = _ledger(team=LimitPolicy(per=Per.TEAM, usd_per_day=9.0, usd_per_month=90.0))
    month = _NOON - 10 * 86_400
    ledger.recover([Spent(at=_NOON, charged=_ADA, usd=1.0), Spent(at=month, charged=_BOB, usd=2.0)], _NOON)
    assert [(each.kind, each.subject, each.used) for each in ledger.balances(0.0, _NOON)] == [
        (LimitKind.USD_PER_DAY, "ml", 1.0),
        (LimitKind.USD_PER_MONTH, "ml", 3.0),
    ]


def test_names_that_come_once_are_not_kept_for_ever() -> None:
    """Law: memory is bounded by those who have spent or have something under way."""
    ledger = _ledger(each=LimitPolicy(per=Per.USER, requests_per_minute=60, usd_per_day=1.0))
    for number in range(5000):
        admission = _admitted(ledger, Caller(user=f"u{number}").charged("chat"), now=number * 1.0)
        ledger.done(admission, None, number * 1.0)
    assert len(ledger.balances(5000.0, _NOON)) < 3000
