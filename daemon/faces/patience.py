"""What a client's SDK says of itself in its headers: how long it waits, and how often it has tried before."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["SaidBySdk", "said_by_sdk"]

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_COUNT = re.compile(r"[0-9]{1,4}")


class SaidBySdk(NamedTuple):
    """Times are seconds, infinity where nothing was said."""

    read_s: float
    """For each read, so for a stream's first content too."""
    whole_s: float
    """For the whole answer."""
    retry: int | None
    """How often it has tried before."""


def said_by_sdk(headers: Mapping[str, str]) -> SaidBySdk:
    """Return what OpenAI's and Anthropic's SDKs tell in `x-stainless-…`; some send words in place of numbers."""
    read_s = _seconds(headers.get("x-stainless-read-timeout"))
    whole_s = _seconds(headers.get("x-stainless-timeout"))
    retry = headers.get("x-stainless-retry-count", "")
    return SaidBySdk(read_s, whole_s, int(retry) if _COUNT.fullmatch(retry) else None)


def _seconds(text: str | None) -> float:
    said = (text or "").strip(" \t")
    number = float(said) if _SECONDS.fullmatch(said) else 0.0
    return number if number > 0.0 else math.inf
