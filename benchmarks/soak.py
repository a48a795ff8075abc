"""2,000 requests by a real client while the primary is killed twice: `make soak`.

Half of them are streamed, 16 at a time, and the client's own retries are off, so that nothing is hidden. What must
hold is printed figure by figure; the exit code is 0 only where all of it does.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import anyio

from benchmarks.clients import Client, Told
from benchmarks.processes import BenchmarkError
from benchmarks.stage import WORKLOAD, Stage
from benchmarks.verdict import Verdict

__all__ = ["main"]

_COUNT = 2000
_AT_ONCE = 16
_KILL_BEFORE = (400, 1200)
"""The primary is killed just before these requests are sent, …"""
_RESTART_BEFORE = (700, 1500)
"""… and started again before these."""
_MEMORY_MB = 60
_FLUSH_S = 1.0
"""Rows reach the file within 250 ms."""
_TIME_S = 300
_SHOWN = 5
"""How many of the requests that went wrong are told one by one."""


def _run(stage: Stage) -> list[Told]:
    def before(number: int) -> None:
        if number in _KILL_BEFORE:
            stage.kill_provider("primary")
        elif number in _RESTART_BEFORE:
            stage.start_provider("primary")

    async def within_time() -> list[Told]:
        with anyio.fail_after(_TIME_S):
            return await Client(stage.socket, WORKLOAD).run(_COUNT, _AT_ONCE, before)

    return anyio.run(within_time)


def _judge_answers(verdict: Verdict, told: list[Told]) -> None:
    plain = [one for one in told if not one.streamed]
    streamed = [one for one in told if one.streamed]
    kinds = Counter(one.kind for one in streamed)
    failed = [one for one in plain if one.kind != "ok"]
    verdict.at_most("plain requests that failed", len(failed), 0)
    verdict.at_most("streams that failed before content", kinds["failed"], 0)
    verdict.at_most("streams cut without an error in the client", kinds["silent"], 0)
    verdict.told("committed streams that broke, with an error", kinds["broken"])
    for one in [*failed, *(one for one in streamed if one.kind in {"failed", "silent"})][:_SHOWN]:
        verdict.note(f"{'streamed' if one.streamed else 'plain'} {one.request_id} {one.kind}: {one.error}")
    served = Counter(one.target for one in told if one.kind == "ok")
    verdict.at_least("answers by the primary", served["primary/steady"], 1)
    verdict.at_least("answers by the secondary", served["secondary/steady"], 1)


def _judge_history(verdict: Verdict, stage: Stage, told: list[Told]) -> None:
    rows: dict[str | None, str] = dict(stage.rows("SELECT request_id, outcome FROM request"))
    ((count,),) = stage.rows("SELECT count(*) FROM request")
    verdict.exactly("requests in the history", count, _COUNT)
    verdict.exactly("of them, known to the client by their id", sum(one.request_id in rows for one in told), _COUNT)
    expected = {"ok": "ok", "broken": "cut"}
    differing = [one for one in told if rows.get(one.request_id) != expected.get(one.kind)]
    verdict.at_most("that tell it differently than the client", len(differing), 0)
    for one in differing[:_SHOWN]:
        verdict.note(f"{one.request_id}: the client says {one.kind}, the history {rows.get(one.request_id)}")
    ((fallbacks,),) = stage.rows("SELECT count(*) FROM fallback")
    verdict.at_least("fallbacks in the history", fallbacks, 1)


def main() -> int:
    """Run, print the verdict, and return 0 where every figure holds, else 1."""
    verdict = Verdict()
    try:
        with tempfile.TemporaryDirectory(prefix="fairlead-soak-") as name, Stage(Path(name)) as stage:
            stage.start_daemon()
            began = time.monotonic()
            told = _run(stage)
            verdict.note(f"{_COUNT} requests in {time.monotonic() - began:.1f} s, the primary killed twice")
            time.sleep(_FLUSH_S)
            _judge_answers(verdict, told)
            _judge_history(verdict, stage, told)
            memory = stage.daemon.memory_mb()["VmRSS"]
            verdict.at_most("resident memory after it, MB", memory, _MEMORY_MB)
    except BenchmarkError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
