"""The choices over time as a picture: SVG by hand, one lane per policy, one colour per provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from benchmarks.routing.scoring import Lane, Run
from benchmarks.routing.trace import Trace

__all__ = ["picture"]

_COLOURS: Final = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#ee8866",
    "#44bb99",
    "#bbbbbb",
    "#222222",
)
"""Paul Tol's bright scheme and some more: told apart by most colour-blind people."""
_LEFT: Final = 130
_WIDE: Final = 900
_HIGH: Final = 46
_GAP: Final = 12
_HEAD: Final = 46
_FOOT: Final = 34
_BINS: Final = 180


def picture(runs: Sequence[Run]) -> str:
    """Return an SVG file with a section for each run: shares of first choices, fault windows shaded, losses in red."""
    parts, top = [], 0
    for run in runs:
        parts.append(f'<g transform="translate(0,{top})">{"".join(_section(run))}</g>')
        top += _HEAD + len(run.lanes) * (_HIGH + _GAP) + _FOOT
    size = f'width="{_LEFT + _WIDE + 20}" height="{top}" viewBox="0 0 {_LEFT + _WIDE + 20} {top}"'
    font = 'font-family="sans-serif" font-size="12" fill="#222"'
    paper = f'<rect width="100%" height="{top}" fill="white"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', paper, *parts, "</svg>", ""])


def _section(run: Run) -> Iterator[str]:
    trace = run.trace
    yield f'<text x="{_LEFT}" y="18" font-size="15" font-weight="bold">{escape(trace.name)}</text>'
    yield from _legend(trace)
    for number, lane in enumerate(run.lanes):
        top = _HEAD + number * (_HIGH + _GAP)
        yield f'<text x="{_LEFT - 8}" y="{top + _HIGH / 2 + 4:g}" text-anchor="end">{escape(lane.policy)}</text>'
        yield from _bars(lane, trace, top)
        yield from _losses(lane, trace, top)
    bottom = _HEAD + len(run.lanes) * (_HIGH + _GAP)
    yield from _faults(trace, bottom)
    yield from _axis(trace, bottom)


def _legend(trace: Trace) -> Iterator[str]:
    left = _LEFT
    for number, provider in enumerate(trace.providers):
        yield f'<rect {_box(left, 27, 10, 10)} fill="{_colour(number)}"/>'
        yield f'<text x="{left + 14}" y="36">{escape(provider.name)}</text>'
        left += 32 + 7 * len(provider.name)
    yield f'<text x="{left + 8}" y="36" fill="#666">grey: fault window; red: a lost request</text>'


def _bars(lane: Lane, trace: Trace, top: float) -> Iterator[str]:
    """Yield each slice of time as a stack: the share of first choices that each provider got."""
    yield f'<rect {_box(_LEFT, top, _WIDE, _HIGH)} fill="#f4f4f4"/>'
    bins: list[Counter[int]] = [Counter() for _ in range(_BINS)]
    for choice in lane.choices:
        bins[min(_BINS - 1, int(choice.at / trace.duration * _BINS))][choice.provider] += 1
    wide = _WIDE / _BINS
    for number, counted in enumerate(bins):
        bottom = top + _HIGH
        for provider in sorted(counted):
            high = _HIGH * counted[provider] / counted.total()
            bottom -= high
            yield f'<rect {_box(_LEFT + number * wide, bottom, wide, high)} fill="{_colour(provider)}"/>'


def _losses(lane: Lane, trace: Trace, top: float) -> Iterator[str]:
    for at in lane.lost_at:
        yield f'<rect {_box(_across(at, trace), top + _HIGH + 1, 1, 6)} fill="#d00"/>'


def _faults(trace: Trace, bottom: float) -> Iterator[str]:
    for event in trace.events:
        left = _across(event.t0, trace)
        wide = _across(min(event.t1, trace.duration), trace) - left
        name = escape(trace.providers[event.p].name)
        yield (
            f'<rect {_box(left, _HEAD - 4, wide, bottom - _HEAD)} fill="#000" fill-opacity="0.16" stroke="#555" '
            f'stroke-dasharray="3 2"><title>{name}: {event.t0:g} to {event.t1:g} s</title></rect>'
        )


def _axis(trace: Trace, bottom: float) -> Iterator[str]:
    for tenth in range(0, 11, 2):
        at = trace.duration * tenth / 10
        yield f'<text x="{_across(at, trace):g}" y="{bottom + 14:g}" text-anchor="middle" fill="#666">{at:g} s</text>'


def _across(at: float, trace: Trace) -> float:
    return round(_LEFT + at / trace.duration * _WIDE, 1)


def _colour(provider: int) -> str:
    return _COLOURS[provider % len(_COLOURS)]


def _box(left: float, top: float, wide: float, high: float) -> str:
    return f'x="{left:g}" y="{top:.4g}" width="{wide:g}" height="{high:.3g}"'
