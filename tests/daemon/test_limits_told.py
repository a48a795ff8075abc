"""Who hears of limits: metrics of each, operators of each stage of a budget once in its day or month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.cli import status
from daemon.control.picture import budgets_picture
from daemon.limits.accounts import Verdict
from daemon.limits.ledger import Admission, Ledger, Moment, Reservation
from daemon.limits.policy import LimitPolicy, Limits
from daemon.limits.watching import Watching
from state.history.charges import Charged
from state.history.spending import Spent
from state.targets import TargetName

_NOON = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
_DAY_S = 86_400.0
_ANN = Charged("chat", "ml", "ann")


class _Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []
        self.told: list[str] = []

    def limited(self, name: str, outcome: str) -> None:
        """Keep a count."""
        self.counted.append((name, outcome))

    def budget(self, account: str, message: str) -> None:
        """Keep an alert."""
        self.told.append(f"{account}: {message}")


def _heard(policy: LimitPolicy, steps: list[tuple[float, float]]) -> _Listener:
    """Return what is heard of requests that cost so many dollars each, at so many seconds after noon."""
    listener = _Listener()
    watching, ledger = Watching(listener, listener), Ledger(Limits(by_name={"day": policy}))
    for at, usd in steps:
        found = ledger.admit(_ANN, 1, Moment(at, _NOON + at))
        for verdict in found.warnings if isinstance(found, Admission) else (found,):
            watching.limited(verdict, _ANN)
        if isinstance(found, Admission):
            _attempt(ledger, found, (usd, _NOON + at), watching)
            ledger.leave(found, None, at)
    return listener


def _attempt(ledger: Ledger, admission: Admission, cost: tuple[float, float], watching: Watching) -> None:
    held = ledger.reserve(admission, TargetName("a/m"), *cost)
    if isinstance(held, Verdict):
        watching.limited(held, _ANN)
    if isinstance(held, Reservation):
        ledger.settle(held, *cost)


def test_operators_hear_of_each_stage_of_a_budget_once() -> None:
    """Law: nearly used up, and used up; however many requests meet it, and again on the next day."""
    policy = LimitPolicy(usd_per_day=1.0)
    listener = _heard(policy, [(0, 0.9), (1, 0.0), (2, 0.1), (3, 0.1), (4, 0.1), (_DAY_S, 0.1)])
    assert listener.counted == [("day", "warned"), ("day", "warned"), ("day", "refused"), ("day", "refused")]
    assert [told.partition(":")[0] for told in listener.told] == ["day//usd_per_day/warned", "day//usd_per_day/refused"]


def test_a_shadow_says_that_it_is_one() -> None:
    """Law: nobody reads of a refusal that was none."""
    listener = _heard(LimitPolicy(usd_per_day=1.0, shadow=True), [(0, 2.0), (1, 0.1), (2, 0.1)])
    assert listener.counted == [("day", "shadow"), ("day", "shadow")]
    (told,) = listener.told
    assert told.startswith("day//usd_per_day/shadow: Only watched, nothing is refused: limits.day: usd_per_day = 1.00")


def test_a_budget_that_is_full_for_a_moment_wakes_nobody() -> None:
    """Law: what attempts under way have set aside is counted, and is no news."""
    listener = _Listener()
    watching, ledger = Watching(listener, listener), Ledger(Limits(by_name={"day": LimitPolicy(usd_per_day=1.0)}))
    admission = ledger.admit(_ANN, 1, Moment(0.0, _NOON))
    assert isinstance(admission, Admission)
    ledger.reserve(admission, TargetName("a/m"), 0.7, _NOON)
    _attempt(ledger, admission, (0.7, _NOON), watching)
    assert (listener.counted, listener.told) == ([("day", "refused")], [])


def test_a_target_without_a_price_is_told_of_by_its_name() -> None:
    """Law: each target whose price a budget lacks is told once."""
    listener = _Listener()
    watching, ledger = Watching(listener, listener), Ledger(Limits(by_name={"day": LimitPolicy(usd_per_day=1.0)}))
    admission = ledger.admit(_ANN, 1, Moment(0.0, _NOON))
    assert isinstance(admission, Admission)
    for name in ("a/m", "b/m", "a/m"):
        verdict = ledger.reserve(admission, TargetName(name), None, _NOON)
        assert isinstance(verdict, Verdict)
        watching.limited(verdict, _ANN)
    assert len(listener.told) == 2


def test_status_shows_the_budgets_of_which_most_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Law: whoever looks at the daemon sees what is spent of what, and what is nearly used up before the rest."""
    by_name = {"day": LimitPolicy(usd_per_day=10.0), "who": LimitPolicy(per="user", usd_per_month=4.0)}
    ledger = Ledger(Limits(by_name=by_name))
    ledger.recall([Spent(_ANN, 3.5, _NOON)])
    told = budgets_picture(ledger.standing(Moment(0.0, _NOON)))
    used = [(each["limit"], each["subject"], each["used"]) for each in told]
    assert used == [("who", "ann", 0.875), ("day", "", 0.35)]
    lists: dict[str, Any] = {"problems": [], "rehearsals": [], "targets": [], "canaries": [], "workloads": []}
    status._print_status({**lists, "budgets": told, "history": {"path": "h.sqlite", "bytes": 0}})
    assert [line for line in capsys.readouterr().out.splitlines() if "limit" in line] == [
        "~ limit who of ann: $3.50 of $4.00 this month",
        "limit day: $3.50 of $10.00 this day",
    ]
