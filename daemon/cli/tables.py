"""Tables for people: columns as wide as what is in them, nothing drawn."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Dollars", "cell", "render_table"]


class Dollars(float):
    """An amount of money: shown to the millionth, so that points stand below each other."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return it without a sign for its currency."""
        return f"{float(self):.6f}"


def cell(value: object) -> str:
    """Return a value as it stands in a table: `-` where there is none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float) and not isinstance(value, Dollars):
        return f"{value:.10g}"
    return str(value)


def render_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the table as lines; numbers stand to the right."""
    texts = [[cell(value) for value in row] for row in rows]
    widths = [max(len(line[place]) for line in [list(columns), *texts]) for place in range(len(columns))]
    numeric = [
        bool(rows) and all(isinstance(row[place], int | float | None) for row in rows) for place in range(len(columns))
    ]
    lines = [_line(columns, widths, numeric), *(_line(text, widths, numeric) for text in texts)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return "  ".join(padded).rstrip()
