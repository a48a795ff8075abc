"""Reading a status page: the summary that Statuspage, and what imitates it, gives at `/api/v2/summary.json`.

The page is written by people, late and of the whole provider, so what is read is no evidence but a weak prior: see
`state.pages`. Source of the format: facts/protocols.md, "Status feeds".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from probes.dialects.complaints import decode
from state.pages import PageReport

__all__ = ["MOST_BYTES", "MOST_TEXT", "read_summary"]

MOST_BYTES: Final = 2**20
"""A longer summary is not read."""
MOST_TEXT: Final = 200
_LEVELS: Final = {
    "none": 0.0,
    "operational": 0.0,
    "minor": 0.05,
    "degraded_performance": 0.05,
    "maintenance": 0.05,
    "under_maintenance": 0.05,
    "major": 0.2,
    "partial_outage": 0.2,
    "critical": 0.5,
    "major_outage": 0.5,
}
"""The share of requests that are expected to fail, by a page's indicator or a component's status: guesses, and low."""
_OVER: Final = frozenset({"resolved", "postmortem", "completed"})


def read_summary(body: bytes, component: str, at: float) -> PageReport | None:
    """Return what the summary says, read at `at`; None where that is nothing. Never raises.

    Where `component` is not empty, only components with that in their names count (in either case), the worst of them;
    else the page's own indicator does, and the components only where it has none.
    """
    summary = decode(body) if len(body) <= MOST_BYTES else None
    if not isinstance(summary, dict):
        return None
    components = [one for one in _dicts(summary.get("components")) if _concerns(one, component)]
    status = summary.get("status")
    overall = status if isinstance(status, dict) and not component else {}
    level, word = _level(overall.get("indicator")), overall.get("description")
    if level is None:
        level, word = max(_judged(components), key=lambda each: each[0], default=(None, ""))
    if level is None:
        return None
    incident = _incident(summary, component) if level else ""
    return PageReport(level, _line(": ".join(part for part in (_text(word), incident) if part)), at)


def _level(word: object) -> float | None:
    return _LEVELS.get(word.strip().lower()) if isinstance(word, str) else None


def _judged(components: list[dict[str, Any]]) -> Iterator[tuple[float, str]]:
    for one in components:
        if (level := _level(one.get("status"))) is not None:
            yield level, f"{_text(one.get('name'))}: {one['status'].strip().lower().replace('_', ' ')}"


def _concerns(component: dict[str, Any], wanted: str) -> bool:
    return not wanted or wanted.casefold() in _text(component.get("name")).casefold()


def _incident(summary: dict[str, Any], wanted: str) -> str:
    """Return the name of the first incident that is not over and may concern the component that is `wanted`."""
    for incident in _dicts(summary.get("incidents")):
        touched = list(_dicts(incident.get("components")))
        concerns = not touched or any(_concerns(one, wanted) for one in touched)
        if concerns and _text(incident.get("status")).lower() not in _OVER:
            return _text(incident.get("name"))
    return ""


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _line(text: str) -> str:
    """Return `text` in one line that no terminal can be upset by."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words if len(words) <= MOST_TEXT else f"{words[: MOST_TEXT - 1]}…"
