"""Which line of a TOML file holds a key: tomllib forgets it, and people need it."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["KeyPath", "Lines", "locate"]

KeyPath = tuple[str, ...]
Lines = dict[KeyPath, int]
_HEADER = re.compile(r"\s*\[\[?\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_ASSIGNMENT = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")
_PART = re.compile(_KEY)
_INLINE = re.compile(rf"[{{,]\s*({_KEY})\s*=")
_FENCE = re.compile(r'"""|\'\'\'')


def locate(text: str) -> Lines:
    """Return the line, from 1, of every table and key of a TOML document, those of inline tables included."""
    lines: Lines = {}
    table: KeyPath = ()
    for number, line in _plain_lines(text):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            path = table + _parts(assignment[1])
            lines.setdefault(path, number)
            for inner in _INLINE.finditer(line, assignment.end()):
                lines.setdefault(path + _parts(inner[1]), number)
    return lines


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _plain_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not within a multi-line string."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if not fenced:
            yield number, line
        if len(_FENCE.findall(line)) % 2:
            fenced = not fenced
