"""What a classification costs: microseconds for prompts of 2 KB, measured with timeit."""

from __future__ import annotations

import statistics
import time
import timeit
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from daemon.routing.complexity.features import asked_in, asked_of
from daemon.routing.complexity.heuristic import classify
from probes.surfaces import Surface

__all__ = ["BOUND_US", "lines_of_timing"]

BOUND_US: Final = 30.0
"""Microseconds that features and classification of a decoded request may cost."""
_ROUNDS: Final = 25
_CALLS: Final = 400
_SIZE: Final = 2048
_DEMAND: Final = "Analyze the trade-offs below, compare the two designs and explain why one must fail first. "
_PROSE: Final = (
    "We run two data centres, and each of them holds a copy of the orders; the second lags by some seconds. When the "
    "line between them breaks, clients (mostly tills in shops) keep on writing. How should we merge, and who decides? "
)
_CODE: Final = (
    "def merge(left, right):\n    for key in right:\n        left.setdefault(key, right[key])\n    return left\n"
)


def lines_of_timing() -> Iterator[str]:
    """Yield a line for each kind of prompt: features and classification, then with the decoding of the body."""
    for name, material in {"prose": _PROSE, "code": _CODE, "Chinese": "请分析这个系统的一致性和取舍。"}.items():
        text = f"{_DEMAND}\n{material * 60}".encode()[:_SIZE].decode(errors="ignore")
        request = {"model": "auto", "messages": [{"role": "user", "content": text}]}
        yield _line(name, request)


def _line(name: str, request: dict[str, Any]) -> str:
    body = msgspec.json.encode(request)
    decoded = _median_us(lambda: classify(asked_in(Surface.CHAT, request, len(body))))
    whole = _median_us(lambda: classify(asked_of(Surface.CHAT, body)))
    told = "holds" if decoded <= BOUND_US else "TOO SLOW"
    return f"2 KB of {name}: {decoded:.1f} µs (at most {BOUND_US:g}: {told}), {whole:.1f} µs with the JSON's decoding"


def _median_us(call: Callable[[], object]) -> float:
    return statistics.median(timeit.repeat(call, timer=time.process_time, number=_CALLS, repeat=_ROUNDS)) / _CALLS * 1e6
