"""Reading a status page's summary: samples of what providers show, and everything else that may come in its place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from probes.status_page import MOST_BYTES, MOST_TEXT, read_summary
from state.pages import PageReport

_AT = 7.0


def _component(name: str, status: str) -> dict[str, Any]:
    return {"id": name.lower(), "name": name, "status": status, "group": False, "position": 1}


def _incident(name: str, status: str, *components: str) -> dict[str, Any]:
    touched = [_component(component, "partial_outage") for component in components]
    return {"id": "i", "name": name, "status": status, "impact": "major", "components": touched}


def _summary(indicator: str, description: str, *more: dict[str, Any]) -> dict[str, Any]:
    return {
        "page": {"id": "x", "name": "Lab", "url": "https://status.lab.example"},
        "status": {"indicator": indicator, "description": description},
        "components": [one for one in more if "impact" not in one],
        "incidents": [one for one in more if "impact" in one],
        "scheduled_maintenances": [],
    }


_FINE = _summary("none", "All Systems Operational", _component("API", "operational"))
_MIXED = _summary(
    "major",
    "Partial System Outage",
    _component("Chat API", "partial_outage"),
    _component("Batch API", "degraded_performance"),
    _component("Images", "major_outage"),
    _incident("Pictures do not load", "investigating", "Images"),
    _incident("Slow answers, long over", "resolved", "Chat API"),
    _incident("Errors in chat", "identified", "Chat API"),
)
_BARE = {"components": [_component("API", "operational"), _component("Console", "degraded_performance")]}
_WORK = _summary("maintenance", "Service Under Maintenance", _component("API", "under_maintenance"))


@pytest.mark.parametrize(
    ("summary", "component", "level", "text"),
    [
        (_FINE, "", 0.0, "All Systems Operational"),
        (_FINE, "api", 0.0, "API: operational"),
        (_FINE, "embeddings", None, ""),
        (_MIXED, "", 0.2, "Partial System Outage: Pictures do not load"),
        (_MIXED, "chat", 0.2, "Chat API: partial outage: Errors in chat"),
        (_MIXED, "API", 0.2, "Chat API: partial outage: Errors in chat"),
        (_MIXED, "BATCH", 0.05, "Batch API: degraded performance"),
        (_MIXED, "images", 0.5, "Images: major outage: Pictures do not load"),
        (_BARE, "", 0.05, "Console: degraded performance"),
        (_WORK, "", 0.05, "Service Under Maintenance"),
        (_WORK, "api", 0.05, "API: under maintenance"),
        (_summary("minor", "Minor Service Outage"), "", 0.05, "Minor Service Outage"),
        (_summary("critical", "Major Service Outage"), "", 0.5, "Major Service Outage"),
        (_summary(" MAJOR ", "a\r\n\x1b[31mb\x00\u202ec"), "", 0.2, "a [31mb c"),
        (_summary("weird", "Nobody knows"), "", None, ""),
        ({"status": {"indicator": "major", "description": 7}, "incidents": [3, {"name": None}]}, "", 0.2, ""),
        ({"status": {"indicator": ["none"]}, "components": {"a": 1}}, "", None, ""),
        ({"components": [{"name": 3, "status": "major_outage"}, None]}, "", 0.5, ": major outage"),
        ({"components": [{"name": 3, "status": "major_outage"}]}, "3", None, ""),
        ([], "", None, ""),
        (None, "", None, ""),
    ],
)
def test_what_a_summary_says(summary: object, component: str, level: float | None, text: str) -> None:
    """The page's indicator, or the worst of the components that are named; with the incident that may be behind it."""
    expected = None if level is None else PageReport(level, text, _AT)
    assert read_summary(msgspec.json.encode(summary), component, _AT) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Just a moment...</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"status":{"indicator":"none"',
        b'{"status":{"indicator":"none"}}' + b" " * MOST_BYTES,
    ],
)
def test_what_is_no_summary_says_nothing(body: bytes) -> None:
    """Law: a page of another kind, or one that is too long, is neither good news nor bad."""
    assert read_summary(body, "", _AT) is None


_SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=300)
_WORDS = st.sampled_from(["none", "major", "critical", "operational", "major_outage", "resolved", "API"])
_KEYS = st.sampled_from(["status", "indicator", "description", "components", "name", "incidents"])
_TREES = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(_KEYS, _TREES, max_size=6), st.sampled_from(["", "api", "API ", "é"]))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example({"status": {"indicator": "major", "description": "x" * 400}}, "")
def test_whatever_a_summary_holds_the_report_is_bounded(summary: dict[str, Any], component: str) -> None:
    """Law: no summary raises; a level is a share up to a half, a text one printable line of 200 characters."""
    report = read_summary(msgspec.json.encode(summary), component, _AT)
    if report is not None:
        assert 0.0 <= report.level <= 0.5
        assert len(report.text) <= MOST_TEXT
        assert report.text.isprintable()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_upset_the_reader(body: bytes) -> None:
    """Law: it never raises."""
    read_summary(body, "api", _AT)
