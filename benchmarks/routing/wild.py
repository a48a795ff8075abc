"""Random traces: faults, limits, queues and cold starts in every mixture, for constants that are tuned to none."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

from benchmarks.routing.trace import Scale, Trace, decode

__all__ = ["wild_trace"]

_DURATION_S: Final = 900
_MODES: Final = ("5xx", "refuse", "hang", "gray", "brownout", "flaky", "cuts", "silences", "ramp")


def wild_trace(number: int, scale: Scale) -> Trace:
    """Return the trace with that number: always the same."""
    luck = random.Random(f"wild {number}")  # noqa: S311 - not for secrets
    providers = [_provider(luck, place) for place in range(luck.randint(3, 6))]
    events = [_fault(luck, providers, place) for place in _favourites(luck, providers)]
    drawn = {
        "name": f"wild-{number}",
        "duration": _DURATION_S,
        "providers": providers,
        "arrivals": _arrivals(luck),
        "events": [event for event in events if event],
    }
    return decode(msgspec.json.encode(drawn), scale)


def _provider(luck: random.Random, place: int) -> dict[str, Any]:
    first = {
        "t": 0,
        "ttft": round(luck.lognormvariate(-0.5, 0.5), 3),
        "tps": round(luck.lognormvariate(4.1, 0.4), 1),
        "sigma": round(luck.uniform(0.15, 0.5), 2),
        "tail_p": round(luck.choice((0.0, 0.005, 0.02, 0.05)), 3),
        "tail_x": luck.choice((5, 8, 15)),
    }
    drawn: dict[str, Any] = {"name": "abcdef"[place], "segments": [first], "cost_per_mtok": 1.0}
    kind = luck.random()
    if kind < 0.15:
        drawn |= {"conc": luck.randint(3, 12), "queue_max": luck.choice((None, 20))}
    elif kind < 0.3:
        drawn |= {"rpm": luck.choice((30, 60, 120)), "headers": luck.random() < 0.5}
        drawn |= {"limit_kind": luck.choice(("bucket", "window"))}
    elif kind < 0.4:
        drawn |= {"cold_idle": luck.choice((30, 60)), "cold_extra": luck.choice((2.0, 5.0)), "start_cold": True}
    return drawn


def _favourites(luck: random.Random, providers: list[dict[str, Any]]) -> list[int]:
    """Return who gets a fault: mostly those that are chosen when they are well."""
    whole_s = {
        place: each["segments"][0]["ttft"] + 200 / each["segments"][0]["tps"] for place, each in enumerate(providers)
    }
    order = sorted(whole_s, key=lambda place: whole_s[place])
    return order[: luck.randint(1, 2)]


def _fault(luck: random.Random, providers: list[dict[str, Any]], place: int) -> dict[str, Any] | None:
    provider = providers[place]
    begin = luck.randint(120, 500)
    end = begin + luck.randint(30, 250)
    well = provider["segments"][0]
    mode = luck.choice(_MODES)
    back: dict[str, Any] = {"t": end, "mode": "ok", "ttft": well["ttft"], "tps": well["tps"]}
    if mode in {"5xx", "refuse", "hang", "gray"}:
        during: dict[str, Any] = {"mode": mode}
    elif mode == "brownout":
        during = {"ttft": well["ttft"] * luck.choice((4, 8)), "tps": well["tps"] / luck.choice((2, 4))}
    elif mode == "ramp":
        provider["segments"] += [
            {"t": begin, "ramp": True},
            {"t": end, "ttft": well["ttft"] * 5, "tps": well["tps"] / 3},
        ]
        return None
    else:
        name = {"flaky": "p5xx", "cuts": "pmid", "silences": "phang"}[mode]
        during = {name: luck.choice((0.05, 0.2))}
        back[name] = 0.0
    provider["segments"] += [{"t": begin, **during}, back]
    return {"p": place, "t0": begin, "t1": end} if mode in {"5xx", "refuse", "hang", "gray", "brownout"} else None


def _arrivals(luck: random.Random) -> dict[str, Any]:
    drawn: dict[str, Any] = {"rps": luck.choice((0.5, 1.0, 2.0, 4.0)), "stream": luck.choice((1.0, 1.0, 0.5))}
    drawn["p_max_tokens"] = luck.choice((0.0, 0.5, 1.0))
    if luck.random() < 0.25:
        drawn["burst"] = {"every": 60, "n": luck.randint(8, 25), "spread": 2.0}
    if luck.random() < 0.4:
        parts = ({"w": 0.6, "median": 30, "sigma": 0.5}, {"w": 0.4, "median": 600, "sigma": 0.5})
        drawn["out"] = {"mix": list(parts)}
    return drawn
