"""A hard budget under load, faults and `kill -9`: `make budget`.

64 clients ask at once while the daemon is killed four times and its first provider too. What the budget let through may
exceed it by no more than what was set aside for attempts under way when the daemon was killed; and after each start the
ledger must be the sum of the history's attempts, to the cent. Then: what the accounting of one request costs.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import anyio

from benchmarks.clients import Client, Told
from benchmarks.processes import BenchmarkError
from benchmarks.stage import WORKLOAD, Stage
from benchmarks.verdict import Verdict
from daemon.limits.ledger import Admission, Ledger, Moment, Reservation
from daemon.limits.policy import LimitPolicy, Limits
from state.history.charges import Charged
from state.targets import TargetName

__all__ = ["main"]

_LIMIT_USD: Final = 3.0
_PRICES: Final = """
[providers.{0}.prices."*"]
input = 10.0
output = 100.0
"""
_LIMITS: Final = f"""
[limits.all]
usd_per_day = {_LIMIT_USD}

[limits.each]
per = "user"
usd_per_month = 100.0
"""
_AT_ONCE: Final = 64
_REQUESTS: Final = 320
_KILLS: Final = 4
_TIME_S: Final = 60
_PUBLISHED_S: Final = 2.5
"""How the limits stand is written down every two seconds."""
_AMID_S: Final = 0.06
"""After a request was sent: the simulated providers take 20 ms to begin, and 100 ms to end."""
_CENT: Final = 0.01
_ROUNDS: Final = 15
_BOUND_US: Final = 10.0
_UNSETTLED: Final = """
SELECT coalesce(sum(usd), 0.0) FROM reservation AS held WHERE NOT EXISTS (
  SELECT 1 FROM attempt WHERE attempt.request_id = held.request_id AND attempt.number = held.number)"""
_SPENT: Final = "SELECT coalesce(sum(cost_usd), 0.0) FROM attempt"
_UNIT: Final = "SELECT coalesce(max(cost_usd), 0.0) FROM attempt WHERE outcome = 'ok'"
_LEDGER: Final = "SELECT spent_usd, reserved_usd FROM budget WHERE name = 'all' AND period = 'day'"


def _load(stage: Stage, kill_before: int) -> list[Told]:
    """Send requests; the daemon is killed amid the answers to some, and the first provider is away for a while."""
    end = threading.Timer(_AMID_S, stage.daemon.kill)

    def before(number: int) -> None:
        if number == kill_before // 3:
            stage.kill_provider("primary")
        elif number == 2 * kill_before // 3:
            stage.start_provider("primary")
        elif number == kill_before:
            end.start()

    async def within_time() -> list[Told]:
        with anyio.fail_after(_TIME_S):
            return await Client(stage.socket, WORKLOAD).run(_REQUESTS, _AT_ONCE, before)

    told = anyio.run(within_time)
    if end.ident is not None:
        end.join()
    return told


def _as_it_was_left(stage: Stage) -> float:
    """Return the dollars that were set aside, and not settled, when the daemon was killed."""
    folder = Path(tempfile.mkdtemp(dir=stage.folder))
    for file in stage.folder.glob(f"{stage.history.name}*"):
        shutil.copy(file, folder)
    ((usd,),) = stage.rows(_UNSETTLED, folder / stage.history.name)
    return float(usd)


def _compare(verdict: Verdict, stage: Stage) -> float:
    """Compare the ledger with the history once both are at rest, and return what the history says was spent."""
    time.sleep(_PUBLISHED_S)
    ((spent,),) = stage.rows(_SPENT)
    found = stage.rows(_LEDGER) or [(0.0, 0.0)]
    ((ledger, reserved),) = found
    verdict.at_most("ledger and history differ by, dollars", round(abs(spent - ledger), 6), _CENT / 2)
    verdict.exactly("still set aside, dollars", round(reserved, 6), 0.0)
    return float(spent)


def _run(verdict: Verdict, stage: Stage) -> None:
    outstanding, answered = 0.0, 0
    for round_ in range(_KILLS):
        told = _load(stage, 150 + 20 * round_)
        answered += sum(one.kind == "ok" for one in told)
        left = _as_it_was_left(stage)
        outstanding += left
        stage.start_daemon()
        verdict.note(f"kill {round_ + 1}: ${left:.4f} were set aside for attempts under way")
        spent = _compare(verdict, stage)
        verdict.note(f"${spent:.4f} of ${_LIMIT_USD:.2f} spent after {answered} answers")
    told = _load(stage, _REQUESTS + 1)
    answered += sum(one.kind == "ok" for one in told)
    verdict.at_least("refused once it was used up", sum("429" in one.error for one in told), 1)
    spent = _compare(verdict, stage)
    ((unit,),) = stage.rows(_UNIT)
    verdict.at_most("spent by the history, dollars", round(spent, 4), _LIMIT_USD)
    paid = answered * unit
    verdict.at_most("answers that clients had, dollars", round(paid, 4), round(_LIMIT_USD + outstanding, 4))
    verdict.at_least("spent of what was allowed, dollars", round(spent, 4), 0.9 * _LIMIT_USD)


def _accounting(verdict: Verdict) -> None:
    """Time letting a request in, setting money aside, settling it, and letting it go, under four limits."""
    by_name = {
        "all": LimitPolicy(usd_per_day=1e9, usd_per_month=1e9),
        "user": LimitPolicy(per="user", requests_per_minute=10**9, concurrent=10**6, usd_per_day=1e9),
        "team": LimitPolicy(per="team", tokens_per_minute=10**12),
        "shadow": LimitPolicy(usd_per_day=1.0, warn_at=1.0, shadow=True),
    }
    ledger, charged, target = Ledger(Limits(by_name=by_name)), Charged("chat", "ml", "ann"), TargetName("a/m")
    times, count, unix = [], 2000, time.time()
    for round_ in range(_ROUNDS):
        begun = time.process_time()
        for number in range(count):
            moment = Moment(round_ * 1e3 + number * 0.1, unix + number * 1e-3)
            admission = ledger.admit(charged, 100, moment)
            if not isinstance(admission, Admission):
                raise BenchmarkError(admission.message)
            held = ledger.reserve(admission, target, 1e-5, moment.unix)
            if isinstance(held, Reservation):
                ledger.settle(held, 1e-6, moment.unix)
            ledger.leave(admission, 90, moment.now)
        times.append((time.process_time() - begun) / count * 1e6)
    verdict.at_most("accounting of a request, µs", round(statistics.median(times), 2), _BOUND_US)


def main() -> int:
    """Run, print the verdict, and return 0 where every figure holds, else 1."""
    verdict = Verdict()
    try:
        _accounting(verdict)
        with tempfile.TemporaryDirectory(prefix="fairlead-budget-") as name, Stage(Path(name)) as stage:
            config = stage.folder / "fairlead.toml"
            priced = "".join(_PRICES.format(provider) for provider in ("primary", "secondary", "dead"))
            config.write_text(config.read_text(encoding="ascii") + priced + _LIMITS, encoding="ascii")
            stage.start_daemon()
            _run(verdict, stage)
    except BenchmarkError as error:
        print(f"budget: {error}", file=sys.stderr)
        return 1
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
