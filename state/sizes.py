"""Sizes: numbers of bytes, and how people spell them."""

from __future__ import annotations

import re

__all__ = ["ByteSize", "parse_size", "spell_size"]

_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB|kB|MB|GB)")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class ByteSize(int):
    """A number of bytes. A type of its own so that a configuration may spell it `16MiB`."""

    __slots__ = ()


def parse_size(text: str) -> ByteSize:
    """Return the bytes that `text` spells, such as `16MiB`. Raises ValueError on anything else."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write a number and a unit, such as 512KiB or 16MiB")
    return ByteSize(int(match[1]) * _UNITS[match[2]])


def spell_size(size: int) -> str:
    """Return how a person writes `size` bytes, such as `16MiB`; `parse_size` gives the same number back."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if unit == "B" or (size and size % _UNITS[unit] == 0))
    return f"{size // _UNITS[unit]}{unit}"
