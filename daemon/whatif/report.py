"""A simulation's findings in words, in tables and as JSON. What is not known is never shown as a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from daemon.whatif.neighbours import Basis
from daemon.whatif.tally import Findings, Side, Tally

__all__ = ["costs_rest_on", "coverage", "lines_of", "members_of"]

_UNKNOWN: Final = "unknown"
_NOWHERE: Final = "(nowhere)"
_RESTS_ON: Final = {
    Basis.RECORDED: "went as recorded",
    Basis.OWN: "went to targets that they themselves were sent to, in another order",
    Basis.RULES: "are refused by the configuration itself",
    Basis.NEIGHBOURS: "judged by neighbours within 60 s",
    Basis.HOUR: "judged by the hour's median latency and share of failures",
    Basis.UNKNOWN: "unknown and left out",
}
Line = tuple[str, str, str]


def coverage(findings: Findings) -> Iterator[str]:
    """Yield what the expectations rest on, line by line."""
    total = findings.total
    shares = [f"{_percent(total.bases[basis], total.requests)} {words}" for basis, words in _RESTS_ON.items()]
    counts = [total.bases[basis] for basis in _RESTS_ON]
    yield "; ".join(share for share, count in zip(shares, counts, strict=True) if count)
    if findings.unasked:
        targets = ", ".join(f"{target} ({count})" for target, count in findings.unasked.most_common())
        yield f"nothing tells how these would have answered: {targets}"
    if findings.unsorted:
        yield (
            f"of {findings.unsorted} requests nobody wrote down their tier or task, and without their text nobody can "
            "tell where the configuration would send them"
        )
    if findings.unjudged:
        yield (
            f"the answers to {findings.unjudged} requests are taken as good: whether a cascade would have escalated "
            "them is not known, so their cost and latency are the least that they may be"
        )
    if findings.without_setting:
        yield f"of {findings.without_setting} requests no choice is recorded: what they need of a target is guessed"


def lines_of(tally: Tally) -> Iterator[Line]:
    """Yield what is compared: its name, as it was recorded, as it is expected."""
    before, after, compared = tally.before, tally.after, tally.compared
    if compared:
        yield "failures", _plain(before.failures), _plain(after.failures)
        for name, share in (("p50", 0.5), ("p95", 0.95)):
            yield f"latency {name}", _ms(before.latencies.quantile(share)), _ms(after.latencies.quantile(share))
        yield "attempts per request", f"{before.attempts / compared:.2f}", f"{after.attempts / compared:.2f}"
    if tally.costs:
        yield f"cost of {tally.costs} in USD", f"{tally.cost_before:.6g}", f"{tally.cost_after:.6g}"
    else:
        yield "cost in USD", _UNKNOWN, _UNKNOWN
    for target in _targets(tally):
        now, then = tally.first_after[target], tally.first_before[target]
        shares = (_percent(then, tally.requests), _percent(now, tally.requests))
        yield f"first to {target or _NOWHERE}", *shares


def costs_rest_on(tally: Tally) -> str:
    """Return in one line what is known of the expected costs, and what is not."""
    unknown = tally.compared - tally.costs
    if not tally.costs:
        return f"of no request both costs are known: a price or a count is missing for {unknown}"
    counted = tally.costs - tally.costs_estimated
    parts = [
        (counted, "by the providers' own counts"),
        (tally.costs_estimated, "estimated: by those counts at another target's price"),
        (unknown, "unknown and left out: a price or a count is missing"),
    ]
    told = ", ".join(f"{count} {words}" for count, words in parts if count)
    if tally.costs_repriced:
        told += f"; of {tally.costs_repriced} no cost was recorded, and both are counted at the new prices"
    return f"costs: {told}"


def members_of(findings: Findings) -> dict[str, Any]:
    """Return the findings as the members of a JSON object."""
    return {
        "unknown_targets": dict(findings.unasked),
        "without_setting": findings.without_setting,
        "unsorted": findings.unsorted,
        "unjudged": findings.unjudged,
        "total": _tally(findings.total),
        "workloads": {name: _tally(tally) for name, tally in sorted(findings.workloads.items())},
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "compared": tally.compared,
        "rests_on": {basis.value: tally.bases[basis] for basis in Basis},
        "failures_avoided": round(tally.before.failures - tally.after.failures, 3) if tally.compared else None,
        "recorded": _side(tally, tally.before, tally.cost_before),
        "expected": _side(tally, tally.after, tally.cost_after),
        "costs_known": tally.costs,
        "costs_estimated": tally.costs_estimated,
        "costs_repriced": tally.costs_repriced,
        "first_target": {
            target or "": {"recorded": tally.first_before[target], "expected": tally.first_after[target]}
            for target in _targets(tally)
        },
    }


def _side(tally: Tally, side: Side, cost: float) -> dict[str, Any]:
    known = bool(tally.compared)
    return {
        "failures": round(side.failures, 3) if known else None,
        "latency_p50_ms": _rounded(side.latencies.quantile(0.5)),
        "latency_p95_ms": _rounded(side.latencies.quantile(0.95)),
        "attempts_per_request": round(side.attempts / tally.compared, 4) if known else None,
        "cost_usd": cost if tally.costs else None,
    }


def _targets(tally: Tally) -> list[str | None]:
    """Return where requests went or would have gone first, the most frequented ones first."""
    return [target for target, _ in (tally.first_before + tally.first_after).most_common()]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 1)


def _ms(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds * 1e3:.0f} ms"


def _plain(number: float) -> str:
    """Return a count; a share of a failure is an expectation, and keeps one decimal."""
    return f"{number:.0f}" if abs(number - round(number)) < 1e-9 else f"{number:.1f}"  # noqa: PLR2004 - sums of weights


def _percent(part: float, whole: int) -> str:
    return f"{100.0 * part / whole:.1f} %"
