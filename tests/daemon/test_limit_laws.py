"""Laws of the ledger over any interleaving of requests, attempts, nights, reloads and crashes."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from daemon.limits.caller import Caller
from daemon.limits.ledger import Ledger
from daemon.limits.policy import BudgetPolicy, LimitPolicy, Per
from daemon.limits.tally import Spent
from daemon.limits.tickets import Admission, Reservation
from daemon.limits.words import Balance, LimitKind
from state.history.charges import Charged
from state.targets import TargetName

_DAY_S = 86_400.0
_START = 20_000 * _DAY_S
_TARGET = TargetName("lab/model")
_DAILY = 1_000
_TEAMS = ("ml", "ops")
_LIMITS = {
    "hard": LimitPolicy(per=Per.TEAM, usd_per_day=_DAILY / 1e3, concurrent=4),
    "shadow": LimitPolicy(usd_per_day=0.1, concurrent=1, requests_per_minute=1, on_soft="cheaper", shadow=True),
    "soft": LimitPolicy(usd_per_month=0.5, enforce="soft", warn_at=0.5),
}
_MILLS = st.integers(0, 400)
"""Thousandths of a dollar, which are exact in the ledger."""


class LedgerMachine(RuleBasedStateMachine):
    """Plays a daemon's life against a plain sum of everything that was spent."""

    admissions: Bundle[Admission] = Bundle("admissions")
    reservations: Bundle[Reservation] = Bundle("reservations")

    def __init__(self) -> None:
        """Nothing has happened."""
        super().__init__()
        self.wall, self.now = _START, 0.0
        self.ledger = self._new()
        self.life = 0
        self.history: list[Spent] = []
        self.held: dict[Reservation, int] = {}
        """What is set aside, in mills."""
        self.open: dict[Admission, int] = {}
        """What is under way, and in which of the daemon's lives."""
        self.over: dict[tuple[str, float], int] = {}
        """What attempts cost beyond what they had set aside, by team and day."""

    def _new(self) -> Ledger:
        return Ledger(_LIMITS, BudgetPolicy(), self.wall)

    @rule(target=admissions, team=st.sampled_from(_TEAMS))
    def ask(self, team: str) -> Admission | MultipleResults[Admission]:
        """Let a request come."""
        found = self.ledger.admit(Caller("someone", team).charged("chat"), 1, self.now, self.wall)
        full = sum(each.charged.team == team for each in self.open) >= 4
        if not isinstance(found, Admission):
            assert found.limit == "hard"
            assert full or self._spent(team) >= _DAILY
            return multiple()
        assert not full
        assert not found.frugal
        self.open[found] = self.life
        return found

    @rule(target=reservations, admission=admissions, mills=_MILLS)
    def attempt(self, admission: Admission, mills: int) -> Reservation | MultipleResults[Reservation]:
        """Ask for the money of an attempt."""
        if self.open.get(admission) != self.life:
            return multiple()
        team = admission.charged.team
        found = self.ledger.reserve(admission, _TARGET, mills / 1e3, self.wall)
        beyond = self._spent(team) + self._reserved(team) + mills > _DAILY
        if not isinstance(found, Reservation):
            assert found.limit == "hard"
            assert beyond
            return multiple()
        assert not beyond or not mills
        assert found.binding
        self.held[found] = mills
        return found

    @rule(reservation=consumes(reservations), mills=_MILLS)
    def end_attempt(self, reservation: Reservation, mills: int) -> None:
        """End an attempt that has cost something, less or more than was set aside."""
        if reservation not in self.held:
            return
        estimate = self.held[reservation]
        del self.held[reservation]
        self.ledger.settle(reservation, mills / 1e3, self.wall)
        self._book(reservation.admission.charged, mills, max(0, mills - estimate))

    @rule(admission=consumes(admissions))
    def end_request(self, admission: Admission) -> None:
        """End a request; what it had set aside and never settled is given back."""
        if self.open.get(admission) != self.life:
            return
        for reservation in [each for each in self.held if each.admission is admission]:
            del self.held[reservation]
        del self.open[admission]
        self.ledger.done(admission, 5, self.now)
        self.ledger.done(admission, 5, self.now)

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.wall += hours * 3600.0
        self.now += hours * 3600.0

    @rule()
    def reload(self) -> None:
        """Read the configuration again."""
        self.ledger.replace(dict(_LIMITS), self.wall)

    @rule()
    def crash(self) -> None:
        """Kill the daemon: whatever was set aside is booked as it was estimated, and a new one starts."""
        for reservation, estimate in self.held.items():
            self._book(reservation.admission.charged, estimate, 0)
        self.held.clear()
        self.open.clear()
        self.life += 1
        self.ledger = self._new()
        self.ledger.recover(self.history, self.wall)

    @invariant()
    def the_ledger_is_the_history(self) -> None:
        """Check that what is spent is exactly the sum over the history, in the day and in the month."""
        for team in _TEAMS:
            balance = self._balance("hard", team)
            if balance is not None:
                assert self._mills(balance.used) == self._spent(team)
                assert self._mills(balance.reserved) == self._reserved(team)
        month = self._balance("soft", "")
        if month is not None and month.window is not None:
            spent = sum(self._mills(each.usd) for each in self.history if each.at in month.window)
            assert self._mills(month.used) == spent

    @invariant()
    def a_hard_limit_is_overspent_by_no_more_than_attempts_were_underestimated(self) -> None:
        """Money spent and set aside never exceeds the limit but by what attempts cost beyond their estimates."""
        for team in _TEAMS:
            excess = sum(over for (whose, day), over in self.over.items() if whose == team and day == self._day())
            assert self._spent(team) + self._reserved(team) <= _DAILY + excess

    @invariant()
    def places_never_leak(self) -> None:
        """Check that what is under way is what was let in and has not ended."""
        for team in _TEAMS:
            balances = self.ledger.balances(self.now, self.wall)
            counted = [each.used for each in balances if each.kind is LimitKind.CONCURRENT and each.subject == team]
            assert sum(counted) == sum(admission.charged.team == team for admission in self.open)

    def _book(self, charged: Charged, mills: int, over: int) -> None:
        self.history.append(Spent(at=self.wall, charged=charged, usd=mills / 1e3))
        key = (charged.team, self._day())
        self.over[key] = self.over.get(key, 0) + over

    def _balance(self, limit: str, subject: str) -> Balance | None:
        balances = self.ledger.balances(self.now, self.wall)
        money = [each for each in balances if each.kind.is_money and (each.limit, each.subject) == (limit, subject)]
        return money[0] if money else None

    def _spent(self, team: str) -> int:
        today = [each for each in self.history if each.at // _DAY_S == self._day() and each.charged.team == team]
        return sum(self._mills(each.usd) for each in today)

    def _reserved(self, team: str) -> int:
        return sum(mills for each, mills in self.held.items() if each.admission.charged.team == team)

    def _day(self) -> float:
        return self.wall // _DAY_S

    @staticmethod
    def _mills(usd: float) -> int:
        mills = round(Fraction(usd) * 1000, 6)
        assert mills.denominator == 1
        return int(mills)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
