"""What is played: three providers, and three events that befall the one that everybody would choose."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import msgspec

from benchmarks.routing.trace import Scale, Trace, decode

__all__ = ["INDEX", "LENGTH_S", "MODEL", "Phase", "phases", "script"]

LENGTH_S: Final = 120.0
"""How long the whole story takes; a shorter one has the same events, nearer to each other."""
MODEL: Final = "model"
"""What every provider calls its only model, as in the simulator's own targets."""

INDEX: Final = "x-story-index"
"""The header that names a request, so that its luck is the simulator's; the daemon passes it on untouched."""

_OUTAGE: Final = (20.0, 40.0)
_BROWNOUT: Final = (55.0, 80.0)
_RUSH_AT: Final = 95.0
"""From here on more is asked than the favourite's limit allows."""
_RATES: Final = (4.0, 6.0)
_LIMIT_RPM: Final = 270.0
"""4.5 requests a second: more than the usual load, less than the rush."""
_BURST: Final = 6.0
_FIRST_S: Final = 0.35
_TPS: Final = 90.0


class Phase(msgspec.Struct, frozen=True):
    """A part of the story, in seconds since its beginning."""

    name: str
    start: float
    end: float


def script(seconds: float) -> Trace:
    """Return the trace of a story that takes `seconds`."""
    short = seconds / LENGTH_S
    said = {
        "name": "story",
        "duration": seconds,
        "providers": [_favourite(short), _steady("b", 0.42, 78.0), _steady("c", 0.8, 55.0)],
        "arrivals": {
            "rates": [[0.0, _RATES[0]], [_RUSH_AT * short, _RATES[1]]],
            "out": {"median": 110, "sigma": 0.5},
            "prompt": {"median": 300, "sigma": 0.5},
            "stream": 0.8,
        },
        "events": [{"p": 0, "t0": start * short, "t1": end * short} for start, end in (_OUTAGE, _BROWNOUT)],
    }
    return decode(msgspec.json.encode(said), Scale())


def phases(seconds: float) -> tuple[Phase, ...]:
    """Return the parts of a story that takes `seconds`, in order."""
    names = ("calm", "outage", "after it", "brownout", "after that", "rate limit")
    times = [time * seconds / LENGTH_S for time in (0.0, *_OUTAGE, *_BROWNOUT, _RUSH_AT, LENGTH_S)]
    return tuple(Phase(name, start, end) for name, (start, end) in zip(names, pairwise(times), strict=True))


def _favourite(short: float) -> dict[str, Any]:
    """Return the provider that is the best of all but for what happens to it."""
    segments = [
        {"t": 0.0, "ttft": _FIRST_S, "tps": _TPS},
        {"t": _OUTAGE[0] * short, "mode": "5xx"},
        {"t": _OUTAGE[1] * short, "mode": "ok"},
        {"t": _BROWNOUT[0] * short, "ttft": _FIRST_S * 6, "tps": _TPS / 4},
        {"t": _BROWNOUT[1] * short, "ttft": _FIRST_S, "tps": _TPS},
    ]
    return {"name": "a", "rpm": _LIMIT_RPM, "burst": _BURST, "headers": True, "segments": segments}


def _steady(name: str, first_s: float, tps: float) -> dict[str, Any]:
    return {"name": name, "segments": [{"t": 0.0, "ttft": first_s, "tps": tps}]}
