"""The findings, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from benchmarks.story.findings import MOST_POINTS, Delay, Figures, Findings
from benchmarks.story.prediction import LATE_S

__all__ = ["as_json", "table"]


def as_json(found: Findings) -> str:
    """Return the figures as one JSON object."""
    return msgspec.json.format(msgspec.json.encode(found)).decode()


def table(found: Findings) -> str:
    """Return the figures as text."""
    return "\n".join([*_head(found), "", *_phases(found), "", *_noise(found), "", _verdict(found)])


def _head(found: Findings) -> list[str]:
    title = (
        f"{found.requests} requests in {found.seconds:g} s, seed {found.seed}; the oracle's mean {found.oracle_s:.3f} s"
    )
    columns = f"{'':12}{'regret':>8}{'mean':>9}{'success':>10}{'attempts':>10}{'hedges':>9}{'canaries':>10}"
    return [title, columns, _line("measured", found.measured), _line("predicted", found.predicted)]


def _line(name: str, one: Figures) -> str:
    shares = f"{one.success:>10.2%}{one.attempts:>10.3f}{one.hedges:>9.1%}{one.canaries:>10d}"
    return f"{name:12}{one.regret:>8.3f}{one.mean_s:>7.3f} s{shares}"


def _phases(found: Findings) -> list[str]:
    columns = f"{'phase':12}{'from':>6}{'requests':>10}   {'mean score: measured, predicted, oracle':42}first choices"
    lines = [columns]
    for one in found.passages:
        lots = (one.measured, one.predicted, one.oracle)
        means = " ".join(f"{lot.mean_s:>8.3f} s" for lot in lots)
        chosen = " | ".join(_shares(lot.chosen) for lot in lots)
        lines.append(f"{one.phase.name:12}{one.phase.start:>6.0f}{one.requests:>10d}   {means:42}{chosen}")
    return lines


def _shares(chosen: Mapping[str, int]) -> str:
    return " ".join(f"{name} {count:<3d}" for name, count in chosen.items())


def _noise(found: Findings) -> list[str]:
    delays = {
        "sent later than due": found.generator,
        "answered later than played": found.providers,
        "daemon and sockets": found.overhead,
    }
    lines = [_delay(name, delay) for name, delay in delays.items()]
    return [*lines, f"{'CPU of the daemon':28}{found.daemon_cpu_s:>7.1f} s", *found.problems[:5]]


def _delay(name: str, delay: Delay) -> str:
    return f"{name:28}{delay.p50_ms:>7.1f} ms at the median, {delay.p99_ms:.1f} ms at p99"


def _verdict(found: Findings) -> str:
    mark, (low, high) = "ok" if found.holds else "SHORT", found.spread
    late = f"where each request comes up to {1e3 * LATE_S:.0f} ms late"
    return (
        f"the prediction itself moves from {low:.3f} to {high:.3f} {late}\n"
        f"{mark}: measured - predicted = {found.points:+.1f} points of regret, at most {MOST_POINTS:g} either way"
    )
