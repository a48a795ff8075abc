"""`kill -9` of the daemon under load, ten times: `make kill`.

After each, the history must be intact and lack at most the rows of the last 250 ms, and the next start must serve
within a second with the standings it had. One target is drained and one is cooling beforehand, so that there is
something to forget.
"""

from __future__ import annotations

import http
import json
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import anyio

from benchmarks.clients import Client, Told
from benchmarks.processes import BenchmarkError, exchange
from benchmarks.stage import WORKLOAD, Stage
from benchmarks.verdict import Verdict

__all__ = ["main"]

_TIMES = 10
_AT_ONCE = 16
_REQUESTS = 400
_KILL_BEFORE = 150
"""The daemon is killed just before this request, a different one each time: see `_load`."""
_MISSING_MS = 250
_START_MS = 1000
_TIME_S = 60
_COOLING, _DRAINED = "dead/gone", "secondary/spare"


def _prepare(stage: Stage) -> None:
    """Bring one target into cooling, drain another, and prove the rest. Raises BenchmarkError where that fails."""
    for _ in range(3):
        if _ask(stage, _COOLING) == http.HTTPStatus.OK:
            raise BenchmarkError(f"{_COOLING} answered, and nobody listens there")
    if _ask(stage, WORKLOAD) != http.HTTPStatus.OK:
        raise BenchmarkError(f"{WORKLOAD} does not answer")
    stage.told_by("drain", _DRAINED, "--reason", "kept through kill -9")
    standings = stage.standings()
    if standings[_COOLING][0] != "cooling" or not standings[_DRAINED][1]:
        raise BenchmarkError(f"{_COOLING} should be cooling and {_DRAINED} drained: {standings}")


def _ask(stage: Stage, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Are you there?"}]}
    return exchange(stage.socket, "POST", "/v1/chat/completions", json.dumps(body).encode())


def _load(stage: Stage, round_: int) -> tuple[list[Told], float]:
    """Send requests, kill the daemon in the middle of them, and return what was told and when it was killed."""
    killed_at = 0.0
    kill_before = _KILL_BEFORE + 7 * round_

    def before(number: int) -> None:
        nonlocal killed_at
        if number == kill_before:
            killed_at = time.monotonic()
            stage.daemon.kill()

    async def within_time() -> list[Told]:
        with anyio.fail_after(_TIME_S):
            return await Client(stage.socket, WORKLOAD).run(_REQUESTS, _AT_ONCE, before)

    return anyio.run(within_time), killed_at


def _copied(stage: Stage) -> Path:
    """Return a copy of the history as the kill left it: the original waits untouched for the next start."""
    folder = Path(tempfile.mkdtemp(dir=stage.folder))
    for file in stage.folder.glob(f"{stage.history.name}*"):
        shutil.copy(file, folder)
    return folder / stage.history.name


def _missing_s(stage: Stage, history: Path, told: list[Told], killed_at: float) -> tuple[int, float]:
    """Return how many answers that clients had in full lack their row, and the age of the oldest at the kill."""
    rows = {request_id for (request_id,) in stage.rows("SELECT request_id FROM request", history)}
    ages = [killed_at - one.ended_at for one in told if one.kind == "ok" and one.request_id not in rows]
    return len(ages), max(ages, default=0.0)


def _once(verdict: Verdict, stage: Stage, round_: int) -> None:
    before = stage.standings()
    told, killed_at = _load(stage, round_)
    history = _copied(stage)
    complaints = [row for row in stage.rows("PRAGMA integrity_check", history) if row != ("ok",)]
    missing, oldest_s = _missing_s(stage, history, told, killed_at)
    start_s = stage.start_daemon()
    after = stage.standings()
    answered = sum(one.kind == "ok" for one in told)
    verdict.note(f"kill {round_ + 1}: {answered} answered before it, {missing} of them without a row")
    verdict.at_most("complaints of integrity_check", len(complaints), 0)
    verdict.at_most("age of the oldest missing row, ms", round(oldest_s * 1e3), _MISSING_MS)
    verdict.at_most("ready again after, ms", round(start_s * 1e3), _START_MS)
    changed = {name: (was, after.get(name)) for name, was in before.items() if after.get(name) != was}
    verdict.at_most("standings that changed", len(changed), 0)
    for name, (was, is_now) in changed.items():
        verdict.note(f"{name} was {was} and is {is_now}")
    again = anyio.run(partial(Client(stage.socket, WORKLOAD).run, _AT_ONCE, _AT_ONCE, lambda _: None))
    verdict.exactly("of the next requests, answered", sum(one.kind == "ok" for one in again), _AT_ONCE)


def main() -> int:
    """Run, print the verdict, and return 0 where every figure holds, else 1."""
    verdict = Verdict()
    try:
        with tempfile.TemporaryDirectory(prefix="fairlead-kill-") as name, Stage(Path(name)) as stage:
            stage.start_daemon()
            _prepare(stage)
            for round_ in range(_TIMES):
                _once(verdict, stage, round_)
    except BenchmarkError as error:
        print(f"kill: {error}", file=sys.stderr)
        return 1
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
