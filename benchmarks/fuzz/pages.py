"""Status pages, price lists and addresses: what a provider, or who configures one, may write there."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Final

from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_json
from benchmarks.fuzz.surface import Broken, Luck, Surface
from probes.origin import origin_of
from probes.pricing.catalogue import lookup
from probes.status_page import MOST_TEXT, read_summary

__all__ = ["PAGES"]

_PAGE: Final = {
    "page": {"id": "x", "name": "OpenAI", "updated_at": "2026-11-20T23:30:00Z"},
    "status": {"indicator": "minor", "description": "Partially Degraded Service"},
    "components": [
        {"id": "1", "name": "API", "status": "partial_outage", "group": False},
        {"id": "2", "name": "ChatGPT", "status": "operational", "group_id": None},
    ],
    "incidents": [{"name": "Errors", "status": "investigating", "components": [{"name": "API"}], "impact": "minor"}],
}
_ADDRESSES: Final = (
    *("https://api.openai.com/v1 gpt-5-mini", "https://api.anthropic.com claude-sonnet-5-20260101"),
    *("https://openrouter.ai/api/v1 x-ai/grok-4:free", "http://127.0.0.1:8080/v1 qwen3", "unix:///run/x.sock:/v1 m"),
    *("https://[2001:db8::1]:8443/v1 m", "https://user:pass@b\u00fccher.example/v1 gemini-2.5-pro"),
)


def _seeds() -> list[bytes]:
    return [
        b"{API\n" + json.dumps(_PAGE).encode(),
        b"{\n" + json.dumps(_PAGE).encode(),
        *(each.encode() for each in _ADDRESSES),
    ]


def _mutated_page(data: bytes, luck: Luck) -> bytes:
    head, line_end, page = data.partition(b"\n")
    return head + line_end + mutated_json(page, luck) if data.startswith(b"{") else mutated_bytes(data, luck)


def _take(data: bytes) -> Hashable:
    return _page(data[1:]) if data.startswith(b"{") else _address(data.decode("utf-8", "replace"))


def _page(data: bytes) -> Hashable:
    component, _, body = data.partition(b"\n")
    report = read_summary(body, component.decode("utf-8", "replace"), 0.0)
    if report is None:
        return None
    if not 0 <= report.level <= 1 or len(report.text) > MOST_TEXT or not report.text.isprintable():
        raise Broken(f"a report of {report}")
    return (report.level, bool(report.text), ": " in report.text)


def _address(text: str) -> Hashable:
    base_url, _, model = text.partition(" ")
    listed = lookup(base_url, model)
    lookup.cache_clear()
    found = None if listed is None else (listed.provider, listed.price is None)
    try:
        origin = origin_of(base_url)
    except ValueError as error:
        return (str(error)[:30], found)
    _ = origin.place, origin.local
    if "\r" in origin.authority or "\n" in origin.authority or "@" in origin.authority:
        raise Broken(f"an authority of {origin.authority!r}")
    return (origin.scheme, origin.local, bool(origin.prefix), found)


PAGES: Final = Surface("pages", _seeds, mixed(_mutated_page, _mutated_page, mutated_bytes), _take, share=7)
