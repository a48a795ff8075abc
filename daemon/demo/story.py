"""The demo's story: calm traffic, an outage, the fallback with its reason, the recovery, and the history in SQL."""

from __future__ import annotations

import shutil
import statistics
import time
from collections import defaultdict
from enum import Enum

from daemon.demo.stage import Heard, Stage, StageError

__all__ = ["Afterwards", "run"]

_CALM = 10
_OUTAGE = 6
_RECOVERY_S = 12.0
_FALLBACKS = (
    "SELECT substr(at, 12, 12) AS time, from_target, to_target, fault, reason, round(after_ms) AS after_ms "
    "FROM fallback ORDER BY at_ms"
)
_STANDINGS = 'SELECT substr(at, 12, 12) AS time, target, before, "after", cause FROM transition ORDER BY at_ms'


class Afterwards(Enum):
    """What becomes of the daemon when the story is told."""

    STOP = "stop"
    KEEP = "keep"


def run(afterwards: Afterwards) -> int:
    """Tell the story and return the exit code: 0 where everything happened as told, 1 where it did not."""
    try:
        with Stage() as stage:
            happened = _tell(stage)
            if afterwards is Afterwards.KEEP:
                _hand_over(stage)
    except StageError as error:
        print(f"fairlead demo: {error}")
        return 1
    if afterwards is Afterwards.STOP:
        shutil.rmtree(stage.folder, ignore_errors=True)
    return 0 if happened else 1


def _tell(stage: Stage) -> bool:
    _scene(1, f"A daemon with three simulated providers, ready in {stage.started_in_s:.2f} s")
    stage.show("status")
    _scene(2, f"Calm: {_CALM} requests to the workload `demo` over {stage.socket.name}")
    calm = [stage.ask("What is a fairlead?") for _ in range(_CALM)]
    _tally(calm)
    favourite = max(calm, key=lambda heard: [other.served_by for other in calm].count(heard.served_by)).served_by
    _scene(3, f"Outage: {favourite} stops answering")
    stage.simulate(favourite.partition("/")[2], outage="refuse")
    troubled = [stage.ask("And now?") for _ in range(_OUTAGE)]
    for heard in troubled:
        _line(heard)
    stage.show("status")
    _scene(4, f"Recovery: {favourite} is well again; a trial after its cooldown readmits it")
    stage.simulate(favourite.partition("/")[2], outage="none")
    back_after_s = _wait_for(stage, favourite)
    _scene(5, "What the history kept, read back with SQL: fairlead sql '…'")
    print(f"\n  {_FALLBACKS}\n")
    stage.show("sql", _FALLBACKS, "--history", str(stage.history))
    print(f"\n  {_STANDINGS}\n")
    stage.show("sql", _STANDINGS, "--history", str(stage.history))
    return _judge(calm + troubled, troubled, back_after_s)


def _judge(heard: list[Heard], troubled: list[Heard], back_after_s: float | None) -> bool:
    failed = [one for one in heard if one.status != 200]  # noqa: PLR2004
    fell_back = [one for one in troubled if "fairlead-fallback-from" in one.headers]
    print(
        f"\n{len(heard)} requests, {len(failed)} failed, {len(fell_back)} answered by a fallback that said so"
        + (f", favourite back after {back_after_s:.1f} s." if back_after_s is not None else ", favourite not back.")
    )
    return not failed and bool(fell_back) and back_after_s is not None


def _wait_for(stage: Stage, favourite: str) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < _RECOVERY_S:
        heard = stage.ask("Are you back?")
        if heard.served_by == favourite and heard.status == 200:  # noqa: PLR2004
            waited = time.monotonic() - began
            print(f"  {favourite} answers again, {waited:.1f} s after it was mended")
            return waited
        _line(heard)
        time.sleep(0.3)
    return None


def _scene(number: int, title: str) -> None:
    print(f"\n━━ {number} ━━ {title}\n", flush=True)


def _tally(heard: list[Heard]) -> None:
    latencies: dict[str, list[float]] = defaultdict(list)
    for one in heard:
        latencies[one.served_by].append(one.latency_s)
    for target, seconds in sorted(latencies.items(), key=lambda item: -len(item[1])):
        print(f"  {target:<14} answered {len(seconds):>2}, median {statistics.median(seconds) * 1e3:.0f} ms")


def _line(heard: Heard) -> None:
    told = f"  {heard.served_by:<14} answered in {heard.latency_s * 1e3:>4.0f} ms"
    origin = heard.headers.get("fairlead-fallback-from")
    if origin:
        told += f"   instead of {origin}: {heard.headers.get('fairlead-fallback-reason', '')}"
    print(told, flush=True)


def _hand_over(stage: Stage) -> None:
    pid = stage.let_go()
    print(
        f"\nThe daemon stays up (process {pid}). Talk to it:\n\n"
        f"  export FAIRLEAD_SOCKET={stage.socket} FAIRLEAD_HISTORY={stage.history}\n"
        "  fairlead status\n"
        "  curl -s --unix-socket $FAIRLEAD_SOCKET http://localhost/v1/chat/completions \\\n"
        "    -H 'content-type: application/json' \\\n"
        '    -d \'{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}\'\n'
        f"  curl -s --unix-socket {stage.folder / 'simulated-lab.sock'} -X PUT \\\n"
        '    http://localhost/simulated/models/fast -d \'{"outage": "refuse"}\'\n'
        f"  kill {pid}\n"
    )
