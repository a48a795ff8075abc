"""A table of what was found, each figure beside its bound."""

from __future__ import annotations

__all__ = ["Verdict"]


class Verdict:
    """Prints figures as they are found and remembers how many fell short of their bound."""

    def __init__(self) -> None:
        """Start with nothing found."""
        self._short = 0

    def at_most(self, what: str, value: float, most: float) -> None:
        """Print a figure that must not be above `most`."""
        self._line("ok" if value <= most else "SHORT", what, value, f"at most {most:g}")

    def at_least(self, what: str, value: float, least: float) -> None:
        """Print a figure that must not be below `least`."""
        self._line("ok" if value >= least else "SHORT", what, value, f"at least {least:g}")

    def exactly(self, what: str, value: float, wanted: float) -> None:
        """Print a figure that must be `wanted`."""
        self._line("ok" if value == wanted else "SHORT", what, value, f"exactly {wanted:g}")

    def told(self, what: str, value: float) -> None:
        """Print a figure without a bound."""
        self._line("", what, value, "")

    def note(self, text: str) -> None:
        """Print a remark."""
        print(f"        {text}", flush=True)

    def close(self) -> int:
        """Print the sum and return the exit code: 0 where nothing fell short."""
        print(f"{self._short} figures fall short" if self._short else "every figure holds")
        return 1 if self._short else 0

    def _line(self, mark: str, what: str, value: float, bound: str) -> None:
        print(f"  {mark:<6}{what:<46}{value:>9g}  {bound}".rstrip(), flush=True)
        self._short += mark == "SHORT"
