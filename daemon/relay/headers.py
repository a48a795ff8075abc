"""The headers of an answer: the provider's own, without what belongs to its connection, and what fairlead adds."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from daemon.relay.calls import ClientCall
from state.targets import TargetName

__all__ = ["Story", "answer_headers", "header_text", "story_headers"]

_CONNECTIONS_OWN = frozenset(
    {
        "alt-svc",
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "request-id",
        "retry-after",
        "server",
        "set-cookie",
        "strict-transport-security",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
        "x-should-retry",
    }
)
_OURS = "fairlead-"
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Story(msgspec.Struct, kw_only=True):
    """What has happened to one request so far, as its answer's headers tell it. Times are seconds."""

    target: TargetName | None = None
    attempts: int = 0
    fallback_from: TargetName | None = None
    fallback_reason: str = ""
    degraded: str | None = None
    escalated: int = 0
    """How often a stronger target was asked for a better answer."""
    hedged: str | None = None
    """`won` where a hedge's answer is the one given, `lost` where a hedge was sent for nothing."""
    decide_s: float = 0.0
    queue_s: float = 0.0
    connect_s: float = 0.0
    first_byte_s: float | None = None
    cost_usd: float | None = None
    """Of all attempts, where it is known before the answer goes out."""
    budget: str = ""
    """The limits that the request is over, or near to, and that let it through."""
    upstream_s: float = 0.0
    """Spent in exchanges, over all attempts."""


def header_text(text: str) -> str:
    """Return `text` as one line of printable ASCII, at most 200 characters."""
    return _UNPRINTABLE.sub(" ", text).strip()[:200]


def story_headers(call: ClientCall, story: Story, now: float) -> dict[str, str]:
    """Return what fairlead says of the request on every answer under `/v1`."""
    headers = {"x-request-id": call.request_id, "fairlead-workload": header_text(call.workload.name)}
    if call.surface.dialect == "anthropic":
        headers["request-id"] = call.request_id
    if story.target is not None:
        headers["fairlead-target"] = story.target
    headers["fairlead-attempts"] = str(story.attempts)
    if story.fallback_from is not None:
        headers["fairlead-fallback-from"] = story.fallback_from
        headers["fairlead-fallback-reason"] = header_text(story.fallback_reason)
    if story.escalated:
        headers["fairlead-escalated"] = str(story.escalated)
    if story.hedged is not None:
        headers["fairlead-hedged"] = story.hedged
    if story.degraded is not None:
        headers["fairlead-degraded"] = story.degraded
    if story.budget:
        headers["fairlead-budget"] = header_text(story.budget)
    if story.cost_usd is not None:
        headers["fairlead-cost-usd"] = f"{story.cost_usd:.9f}".rstrip("0").rstrip(".")
    headers["server-timing"] = _server_timing(call, story, now)
    return headers


def _server_timing(call: ClientCall, story: Story, now: float) -> str:
    overhead = max(0.0, now - call.arrived_at - story.queue_s - story.upstream_s)
    first_byte = f", ttfb;dur={story.first_byte_s * 1e3:.1f}" if story.first_byte_s is not None else ""
    return (
        f"decide;dur={story.decide_s * 1e3:.2f}, queue;dur={story.queue_s * 1e3:.1f}, "
        f"connect;dur={story.connect_s * 1e3:.1f}{first_byte}, overhead;dur={overhead * 1e3:.2f}"
    )


def answer_headers(upstream: Mapping[str, str], own: Mapping[str, str], content_type: str) -> dict[str, str]:
    """Return the provider's headers that concern the client, with fairlead's over them.

    What begins with `fairlead-` is never the provider's: it would tell of a fallback that nobody made.
    The provider's request id goes on under a name of its own, for a ticket with its support.
    """
    headers = {
        name: value for name, value in upstream.items() if name not in _CONNECTIONS_OWN and not name.startswith(_OURS)
    }
    theirs = upstream.get("x-request-id") or upstream.get("request-id")
    if theirs:
        headers["fairlead-upstream-request-id"] = header_text(theirs)
    if "json" not in headers.get("content-type", "") and "event-stream" not in headers.get("content-type", ""):
        headers["content-type"] = content_type
    headers.update(own)
    return headers
