"""The ledger: what is let in, what is set aside, what is spent, and when it frees."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from daemon.limits.accounts import Verdict
from daemon.limits.calendar import bounds_of, zone_named
from daemon.limits.ledger import Admission, Ledger, Moment, Reservation
from daemon.limits.policy import BudgetPolicy, LimitPolicy, Limits, Period
from daemon.limits.rates import Minute
from state.history.charges import Charged
from state.history.spending import Spent
from state.targets import TargetName

_A = TargetName("a/m")
_ANN, _BOB = Charged("chat", "ml", "ann"), Charged("chat", "ml", "bob")
_ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Africa/Cairo", "America/Havana", "Pacific/Apia"]
_NOON = datetime(2026, 11, 28, 12, tzinfo=ZoneInfo("UTC")).timestamp()


def _ledger(zone: str = "UTC", **limits: LimitPolicy) -> Ledger:
    return Ledger(Limits(by_name=limits, budgets=BudgetPolicy(timezone=zone)))


def _at(seconds: float) -> Moment:
    return Moment(seconds, _NOON + seconds)


def _in(ledger: Ledger, charged: Charged = _ANN, tokens: int = 10, at: float = 0.0) -> Admission:
    admission = ledger.admit(charged, tokens, _at(at))
    assert isinstance(admission, Admission)
    return admission


def _out(ledger: Ledger, charged: Charged = _ANN, tokens: int = 10, at: float = 0.0) -> Verdict:
    verdict = ledger.admit(charged, tokens, _at(at))
    assert isinstance(verdict, Verdict)
    return verdict


def _spend(ledger: Ledger, usd: float, charged: Charged = _ANN, at: float = 0.0) -> None:
    admission = _in(ledger, charged, at=at)
    reservation = ledger.reserve(admission, _A, usd, _NOON + at)
    assert isinstance(reservation, Reservation)
    ledger.settle(reservation, usd, _NOON + at)
    ledger.leave(admission, None, at)


def test_no_sixty_seconds_hold_more_requests_than_the_limit() -> None:
    """Law: the next is let in when the oldest leaves the minute, and the refusal says when that is."""
    ledger = _ledger(calm=LimitPolicy(per="user", requests_per_minute=2))
    _in(ledger, at=0.0)
    _in(ledger, at=20.0)
    verdict = _out(ledger, at=30.0)
    assert verdict.frees_in_s == pytest.approx(30.0)
    assert verdict.message == "limits.calm for user ann: requests_per_minute = 2 is reached. It frees in 30.0 s."
    _in(ledger, _BOB, at=30.0)
    _in(ledger, at=60.0)


def test_a_limit_of_nothing_lets_nobody_through() -> None:
    """Law: 0 is no word for `unlimited`; and nobody is told to wait for what never comes."""
    for limit in (LimitPolicy(requests_per_minute=0), LimitPolicy(tokens_per_minute=0), LimitPolicy(concurrent=0)):
        assert _out(_ledger(none=limit)).frees_in_s is None
    assert "is used up" in _out(_ledger(none=LimitPolicy(usd_per_month=0.0))).what


def test_tokens_are_taken_by_estimate_and_corrected_by_the_count() -> None:
    """Law: what was not used is given back at once; what was used beyond the estimate counts."""
    ledger = _ledger(tokens=LimitPolicy(tokens_per_minute=100))
    first = _in(ledger, tokens=90)
    assert "tokens_per_minute = 100" in _out(ledger, tokens=20).what
    ledger.leave(first, 30, 1.0)
    second = _in(ledger, tokens=70, at=1.0)
    ledger.leave(second, 170, 2.0)
    assert _out(ledger, tokens=1, at=3.0).frees_in_s == pytest.approx(58.0)
    assert isinstance(ledger.admit(_ANN, 500, _at(62.0)), Admission), "larger than the minute: once it is empty"


def test_who_is_under_way_counts_until_it_leaves() -> None:
    """Law: `concurrent` is a number of requests at one time, each user's own where it says so."""
    ledger = _ledger(few=LimitPolicy(per="user", concurrent=1))
    admission = _in(ledger)
    assert "concurrent = 1" in _out(ledger).what
    _in(ledger, _BOB)
    ledger.leave(admission, None, 1.0)
    _in(ledger)


def test_a_refused_request_takes_nothing_of_any_limit() -> None:
    """Law: all limits are asked before one of them counts."""
    ledger = _ledger(calm=LimitPolicy(requests_per_minute=5), none=LimitPolicy(users=("bob",), concurrent=0))
    for _ in range(9):
        _out(ledger, _BOB)
    for _ in range(5):
        _in(ledger)


def test_a_hard_budget_refuses_what_may_exceed_it_and_says_until_when() -> None:
    """Law: spent and set aside together never exceed it; the day's end is told in its own time zone."""
    ledger = _ledger("Europe/Berlin", team=LimitPolicy(per="team", usd_per_day=1.0))
    _spend(ledger, 0.7)
    admission = _in(ledger)
    verdict = ledger.reserve(admission, _A, 0.4, _NOON)
    assert isinstance(verdict, Verdict)
    assert "leaves $0.3000, and a/m may cost $0.4000" in verdict.message
    held = ledger.reserve(admission, _A, 0.3, _NOON)
    assert isinstance(held, Reservation)
    verdict = _out(ledger, _BOB)
    assert (verdict.frees_in_s, verdict.frees_at) == (1.0, "as attempts under way are settled")
    assert "used up (0.70 spent, 0.30 set aside)" in verdict.what
    ledger.settle(held, 0.3, _NOON)
    assert _out(ledger).message == (
        "limits.team for team ml: usd_per_day = 1.00 is used up (1.00). It frees at 2026-11-29T00:00+01:00."
    )


def test_a_new_day_begins_with_nothing_and_a_month_goes_on() -> None:
    """Law: each period has its own end."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0), month=LimitPolicy(usd_per_month=1.5))
    _spend(ledger, 1.0)
    assert _out(ledger).name == "day"
    _spend(ledger, 0.5, at=86_400.0)
    assert _out(ledger, at=86_401.0).name == "month"


def test_a_clock_that_is_put_back_and_goes_on_again_loses_nothing() -> None:
    """Law: a day that begins for the second time holds what was spent in it the first time."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    _spend(ledger, 0.1, at=86_400.0)
    _spend(ledger, 0.7, at=86_401.0)
    _spend(ledger, 0.2, at=0.0)
    (row,) = ledger.standing(_at(86_402.0))
    assert row.spent_usd == pytest.approx(0.8)


def test_an_unknown_price_is_refused_under_a_hard_budget_and_told_what_to_do() -> None:
    """Law: nobody's bill is trusted to a price that nobody knows."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    verdict = ledger.reserve(_in(ledger), _A, None, _NOON)
    assert isinstance(verdict, Verdict)
    assert "a/m, whose price is unknown; set it in the configuration" in verdict.message
    soft = _ledger(day=LimitPolicy(usd_per_day=1.0, enforce="soft"))
    assert isinstance(soft.reserve(_in(soft), _A, None, _NOON), Reservation)


def test_a_soft_limit_warns_and_a_shadow_changes_nothing() -> None:
    """Law: what does not refuse is told; only `cheaper` changes where the request goes, and a shadow nothing at all."""
    soft = LimitPolicy(usd_per_day=1.0, enforce="soft", on_soft="cheaper")
    ledger = _ledger(soft=soft)
    _spend(ledger, 0.79)
    assert not _in(ledger).warnings
    _spend(ledger, 0.5)
    admission = _in(ledger)
    assert (admission.frugal, [each.reached for each in admission.warnings]) == (True, [True])
    shadow = _ledger(shadow=LimitPolicy(usd_per_day=0.0, concurrent=0, on_soft="cheaper", shadow=True))
    admission = _in(shadow)
    assert (admission.frugal, len(admission.warnings)) == (False, 1)
    assert isinstance(shadow.reserve(admission, _A, 9.0, _NOON), Reservation)


def test_what_was_spent_before_counts_on_also_under_a_limit_that_is_new() -> None:
    """Law: a restart and a reload forget nothing: the book of the month fills every account that is opened."""
    ledger = _ledger()
    ledger.recall([Spent(_ANN, 0.6, _NOON - 3600), Spent(_ANN, 5.0, _NOON - 2 * 86_400), Spent(_BOB, 9.0, _NOON)])
    ledger.replace(Limits(by_name={"ann": LimitPolicy(per="user", usd_per_day=1.0)}))
    verdict = ledger.reserve(_in(ledger), _A, 0.5, _NOON)
    assert isinstance(verdict, Verdict)
    assert "leaves $0.4000" in verdict.what
    _spend(ledger, 0.3)
    ledger.replace(
        Limits(by_name={"ann": LimitPolicy(per="user", usd_per_day=0.85), "all": LimitPolicy(usd_per_month=16)})
    )
    assert "0.85 is used up (0.90)" in _out(ledger).what
    (row,) = [row for row in ledger.standing(_at(1.0)) if row.name == "all"]
    assert row.spent_usd == pytest.approx(14.9)


def test_a_reload_sets_aside_under_new_limits_what_is_under_way() -> None:
    """Law: a limit that is new knows of attempts under way, so that they cannot be let in twice."""
    ledger = _ledger(calm=LimitPolicy(per="user", concurrent=9))
    admission = _in(ledger)
    held = ledger.reserve(admission, _A, 0.8, _NOON)
    assert isinstance(held, Reservation)
    ledger.replace(Limits(by_name={"day": LimitPolicy(usd_per_day=1.0)}))
    assert isinstance(ledger.reserve(admission, _A, 0.3, _NOON), Verdict)
    ledger.settle(held, 0.5, _NOON)
    (row,) = ledger.standing(_at(1.0))
    assert (row.spent_usd, row.reserved_usd) == (0.5, 0.0)
    assert isinstance(ledger.reserve(admission, _A, 0.3, _NOON), Reservation)


def test_who_is_out_of_money_is_not_told_to_come_back_in_a_second() -> None:
    """Law: of several limits in the way, the one that frees last is told."""
    ledger = _ledger(calm=LimitPolicy(requests_per_minute=1), day=LimitPolicy(usd_per_day=1.0))
    _spend(ledger, 1.0)
    assert _out(ledger).name == "day"


def test_fairleads_own_questions_cost_money_and_take_no_place() -> None:
    """Law: copies and classifications are paid for, and keep no client out."""
    ledger = _ledger(one=LimitPolicy(concurrent=1, requests_per_minute=1, usd_per_day=1.0))
    copy = Charged("chat", "ml", "ann", "shadow")
    admission = _in(ledger, copy)
    held = ledger.reserve(admission, _A, 0.9, _NOON)
    assert isinstance(held, Reservation)
    _in(ledger)
    ledger.leave(admission, 5, 0.0)
    assert "concurrent = 1" in _out(ledger).what
    ledger.settle(held, 1.0, _NOON)
    assert "is used up" in _out(ledger, copy).what


def test_what_costs_nothing_fits_into_a_budget_of_which_nothing_is_left() -> None:
    """Law: a model of one's own may go on answering those who were let in."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    admission = _in(ledger)
    held = ledger.reserve(admission, _A, 0.9, _NOON)
    assert isinstance(held, Reservation)
    ledger.settle(held, 1.2, _NOON)
    assert isinstance(ledger.reserve(admission, _A, 0.0, _NOON), Reservation)
    assert isinstance(ledger.reserve(admission, _A, 0.1, _NOON), Verdict)


def test_a_clock_that_was_wrong_for_a_while_finds_its_day_again() -> None:
    """Law: what was spent in a day is known when the clock comes back to it."""
    ledger = _ledger(day=LimitPolicy(usd_per_day=1.0))
    _spend(ledger, 0.9)
    assert [row.spent_usd for row in ledger.standing(_at(86_400.0))] == [0.0]
    assert [row.spent_usd for row in ledger.standing(_at(1.0))] == [0.9]


def test_names_that_come_once_are_not_kept_for_ever() -> None:
    """Law: memory is bounded by those who have spent, or have something under way."""
    ledger = _ledger(each=LimitPolicy(per="user", requests_per_minute=60, usd_per_day=1.0))
    for number in range(9000):
        ledger.leave(_in(ledger, Charged("chat", "ml", f"u{number}"), at=float(number)), None, float(number))
    assert len(list(ledger.standing(_at(9000.0)))) < 5000


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd", "/etc/localtime"])
def test_a_zone_that_nobody_knows_is_an_error_that_says_what_to_write(name: str) -> None:
    """Law: the time zone is checked when it is read, and no path is one."""
    with pytest.raises(ValueError, match="Europe/Berlin"):
        zone_named(name)


def test_a_day_whose_midnight_is_skipped_begins_when_clocks_change() -> None:
    """Law: in Cairo clocks go from midnight to one o'clock; the day before ends there."""
    noon = datetime.fromisoformat("2024-04-26T12:00+03:00").timestamp()
    begin, _ = bounds_of(Period.DAY, noon, ZoneInfo("Africa/Cairo"))
    assert begin == datetime.fromisoformat("2024-04-26T00:00+02:00").timestamp()


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 11, 28), 24)])
def test_a_day_is_the_calendars(day: tuple[int, int, int], hours: int) -> None:
    """Law: where clocks change, a budget's day is shorter or longer with them."""
    zone = ZoneInfo("Europe/Berlin")
    begin, end = bounds_of(Period.DAY, datetime(*day, 12, tzinfo=zone).timestamp(), zone)
    assert (end - begin) / 3600 == hours
    assert datetime.fromtimestamp(begin, zone).isoformat().startswith(f"{day[0]}-{day[1]:02}-{day[2]:02}T00:00")


@given(st.floats(0, 4e9), st.sampled_from(_ZONES))
def test_every_moment_lies_in_its_day_and_in_its_month(unix_s: float, name: str) -> None:
    """Law: periods leave no gap, and no day reaches beyond its month."""
    zone = ZoneInfo(name)
    day, month = (bounds_of(period, unix_s, zone) for period in Period)
    assert month[0] <= day[0] <= unix_s < day[1] <= month[1]
    assert bounds_of(Period.DAY, day[1], zone)[0] == day[1]
    assert bounds_of(Period.MONTH, month[1], zone)[0] == month[1]


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9), st.none() | st.integers(0, 20)), max_size=60))
def test_a_minute_holds_what_was_taken_in_it(steps: list[tuple[float, int, int | None]]) -> None:
    """Law: the sum is that of the claims of the last sixty seconds as they were corrected, whatever the order."""
    minute, taken, now = Minute(), [], 0.0
    for wait_s, amount, corrected in steps:
        now += wait_s
        claim = minute.take(amount, now)
        taken.append(claim)
        if corrected is not None:
            minute.correct(taken[len(taken) // 2], corrected, now)
        assert minute.taken(now) == sum(each.amount for each in taken if now - each.at < 60.0)


class Spending(RuleBasedStateMachine):
    """Requests of several people under several limits, in any order, with crashes in between."""

    admitted = Bundle("admitted")
    reserved = Bundle("reserved")

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(
            by_name={
                "day": LimitPolicy(usd_per_day=3.0),
                "user": LimitPolicy(per="user", usd_per_day=2.0, concurrent=40),
                "soft": LimitPolicy(usd_per_day=1.0, enforce="soft"),
                "shadow": LimitPolicy(usd_per_day=0.5, shadow=True),
            }
        )
        self.ledger = Ledger(self.limits)
        self.attempts: list[Spent] = []
        self.durable: dict[int, tuple[Charged, float]] = {}
        self.epoch = 0
        self.over_estimate = 0.0

    @rule(target=admitted, charged=st.sampled_from([_ANN, _BOB]))
    def admit(self, charged: Charged) -> tuple[int, Admission] | None:
        """Ask."""
        found = self.ledger.admit(charged, 5, _at(0.0))
        return (self.epoch, found) if isinstance(found, Admission) else None

    @rule(target=reserved, held=admitted, usd=st.sampled_from([0.1, 0.4, 0.5, 0.9]))
    def reserve(self, held: tuple[int, Admission] | None, usd: float) -> tuple[int, Reservation] | None:
        """Set money aside for an attempt, which is written down before it is made."""
        if held is None or held[0] != self.epoch:
            return None
        found = self.ledger.reserve(held[1], _A, usd, _NOON)
        if isinstance(found, Verdict):
            return None
        self.durable[id(found)] = (found.charged, usd)
        return self.epoch, found

    @rule(held=consumes(reserved), share=st.sampled_from([0.0, 0.5, 1.0, 1.0, 1.25]))
    def settle(self, held: tuple[int, Reservation] | None, share: float) -> None:
        """End it, for less or for more than was thought."""
        if held is None or held[0] != self.epoch:
            return
        usd = held[1].usd * share
        self.over_estimate += max(0.0, usd - held[1].usd)
        self.ledger.settle(held[1], usd, _NOON)
        del self.durable[id(held[1])]
        self.attempts.append(Spent(held[1].charged, usd, _NOON))

    @rule(held=consumes(admitted))
    def leave(self, held: tuple[int, Admission] | None) -> None:
        """End a request."""
        if held is not None and held[0] == self.epoch:
            self.ledger.leave(held[1], None, 1.0)

    @rule()
    def crash(self) -> None:
        """Kill the process; its successor knows the attempts of the history, and books what was under way."""
        self.epoch += 1
        self.attempts += [Spent(charged, usd, _NOON) for charged, usd in self.durable.values()]
        self.durable.clear()
        self.ledger = Ledger(self.limits)
        self.ledger.recall(self.attempts)

    @rule()
    def reload(self) -> None:
        """Put the same limits in force again."""
        self.ledger.replace(self.limits)

    @invariant()
    def nothing_is_spent_beyond_what_was_set_aside(self) -> None:
        """Law: spent and under way exceed a hard budget by no more than attempts cost beyond their estimates."""
        money = [*((each.charged, each.usd) for each in self.attempts), *self.durable.values()]
        for most, whose in ((3.0, {_ANN, _BOB}), (2.0, {_ANN}), (2.0, {_BOB})):
            assert sum(usd for charged, usd in money if charged in whose) <= most + self.over_estimate + 1e-6

    @invariant()
    def the_ledger_equals_the_history(self) -> None:
        """Law: what the ledger has spent is the sum of the attempts, to a millionth of a cent."""
        for row in self.ledger.standing(_at(0.0)):
            whose = [each.usd for each in self.attempts if row.name != "user" or each.charged.user == row.subject]
            assert row.spent_usd == pytest.approx(sum(whose), abs=1e-8)


Spending.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestSpending = Spending.TestCase
