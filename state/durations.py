"""Durations as people write them in a configuration: `250ms`, `30s`, `10m`, `1h30m`, `7d`."""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["LONGEST_DRAIN_S", "Seconds", "parse_duration", "spell_duration"]

LONGEST_DRAIN_S: Final = 3652.5 * 86_400
"""Ten years: a longer drain is a slip of the key, or is meant to last until it is resumed."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d++(?:\.\d++)?+)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})++")


class Seconds(float):
    """A length of time in seconds. A type of its own so that a configuration may spell it `30s`."""

    __slots__ = ()


def parse_duration(text: str) -> Seconds:
    """Return the seconds that `text` spells, such as `1h30m` or `250ms`.

    Raises ValueError on anything else, also on a bare number: a unit is never guessed.
    """
    if not _WHOLE.fullmatch(text):
        message = f"{text!r} is not a duration; write a number and a unit, such as 250ms, 30s, 10m, 1h30m or 7d"
        raise ValueError(message)
    seconds = Seconds(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    if not math.isfinite(seconds):
        raise ValueError("a duration with so many digits has no end; write a number and a unit, such as 30s or 7d")
    return seconds


def spell_duration(seconds: float) -> str:
    """Return how a person writes `seconds`, such as `1h30m`; `parse_duration` gives exactly the same number back."""
    if not seconds:
        return "0s"
    left, spelled = round(seconds * 1000), ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        spelled += f"{count}{unit}" if count else ""
    if spelled and parse_duration(spelled) == seconds:
        return spelled
    from decimal import Decimal  # noqa: PLC0415 - for what nobody writes by hand

    return f"{Decimal(repr(float(seconds))):f}s"
