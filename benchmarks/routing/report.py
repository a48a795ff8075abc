"""The rows as a table for people and as JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from benchmarks.routing.scoring import Row

__all__ = ["as_json", "table"]

_SHARES: Final = ("success", "hedges")
_RATIOS: Final = ("regret", "p50_ratio", "p95_ratio", "p99_ratio", "attempts")
_SECONDS: Final = ("detect_s", "recover_s")
_HEADS: Final = (
    f"{'success':>9}{'regret':>8}{'p50':>7}{'p95':>7}{'p99':>7}{'attempts':>10}{'hedges':>8}"
    f"{'probes $':>10}{'detect':>8}{'recover':>9}"
)


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows, each with its seed."""
    return msgspec.json.format(msgspec.json.encode(rows), indent=1).decode()


def table(rows: Sequence[Row]) -> str:
    """Return the means over seeds for each trace and policy, and for each policy over all traces."""
    traces = list(dict.fromkeys(row.trace for row in rows))
    policies = list(dict.fromkeys(row.policy for row in rows))
    means: dict[str, list[dict[str, float | None]]] = {policy: [] for policy in policies}
    lines = []
    for trace in traces:
        lines.append(f"{trace:<26}{_HEADS}")
        for policy in policies:
            figures = _figures(row for row in rows if (row.trace, row.policy) == (trace, policy))
            means[policy].append(figures)
            lines.append(f"  {policy:<24}{_line(figures)}")
        lines.append("")
    lines += _overall(means, len(traces))
    return "\n".join(lines)


def _overall(means: dict[str, list[dict[str, float | None]]], traces: int) -> Iterator[str]:
    """Yield a line for each policy: ratios by geometric mean, the rest by plain mean, and the worst regret."""
    title = f"{traces} trace{'s' * (traces != 1)}, geometric means"
    yield f"{title:<26}{_HEADS}{'worst':>8}"
    for policy, figures in means.items():
        ratios = {name: _over(figures, name, statistics.geometric_mean) for name in _RATIOS}
        rest = {name: _over(figures, name, statistics.fmean) for name in (*_SHARES, *_SECONDS, "probe_usd")}
        worst = _over(figures, "regret", max) or 1.0
        yield f"  {policy:<24}{_line(ratios | rest)}{worst:>8.2f}"


def _figures(rows: Iterable[Row]) -> dict[str, float | None]:
    stated = [msgspec.structs.asdict(row) for row in rows]
    return {name: _over(stated, name, statistics.fmean) for name in (*_SHARES, *_RATIOS, *_SECONDS, "probe_usd")}


def _over(figures: Iterable[dict[str, float | None]], name: str, mean: Callable[[list[float]], float]) -> float | None:
    found = [value for one in figures if (value := one[name]) is not None]
    return mean(found) if found else None


def _line(figures: dict[str, float | None]) -> str:
    value = {name: figure if figure is not None else 0.0 for name, figure in figures.items()}
    seconds = ["-" if figures[name] is None else f"{value[name]:.1f} s" for name in _SECONDS]
    return (
        f"{value['success']:>9.2%}{value['regret']:>8.3f}{value['p50_ratio']:>7.2f}{value['p95_ratio']:>7.2f}"
        f"{value['p99_ratio']:>7.2f}{value['attempts']:>10.3f}{value['hedges']:>8.1%}"
        f"{value['probe_usd']:>10.4f}{seconds[0]:>8}{seconds[1]:>9}"
    )
