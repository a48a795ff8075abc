"""Who reads which status page when: free, rarely, and only while somebody could profit."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

import anyio
import msgspec
import structlog

from probes.calls import UpstreamReply, UpstreamRequest
from probes.canaries import QUIET_S
from probes.policy import Dialect, Provider, Timeouts
from probes.status_page import MOST_BYTES, read_summary
from state.durations import Seconds
from state.errors import WireError
from state.pages import PageReport

__all__ = ["PAGE_EVERY_S", "PAGE_TIMEOUT_S", "PageReader", "PageSchedule"]

PAGE_EVERY_S: Final = 60.0
"""Seconds between two readings of a page; a fifth more or less, so that not all who read it come at once."""
PAGE_TIMEOUT_S: Final = 5.0
_JITTER: Final = 0.2
_FIRST_WITHIN_S: Final = 1.0
_LOOK_AGAIN_S: Final = 10.0
"""While nobody asks for anything: until the next look whether somebody does."""
_OK: Final = 200
_Open = Callable[[Provider, UpstreamRequest], Awaitable[UpstreamReply]]
_log = structlog.get_logger("fairlead.pages")


class _Entry(msgspec.Struct):
    provider: Provider
    due_at: float
    read: bool = False
    """Whether it was ever asked for: the first time nobody needs to have sent a request."""


class PageSchedule:
    """When each status page is read next. `luck` gives the jitter; times are monotonic seconds."""

    def __init__(self, luck: random.Random) -> None:
        """Start with nothing to read."""
        self._luck = luck
        self._entries: dict[str, _Entry] = {}

    def follow(self, providers: Iterable[Provider], now: float) -> tuple[str, ...]:
        """Read the pages of `providers`, those that stay when they were due; return whose page is read no more."""
        wanted = {provider.name: provider for provider in providers if provider.status_page}
        held = {name: entry for name, entry in self._entries.items() if _same_page(entry.provider, wanted.get(name))}
        gone = tuple(name for name in self._entries if name not in held)
        self._entries = {}
        for name, provider in wanted.items():
            entry = held.get(name) or _Entry(provider, now + self._luck.random() * _FIRST_WITHIN_S)
            self._entries[name] = _Entry(provider, entry.due_at, entry.read)
        return gone

    def next_due(self) -> float | None:
        """Return when there is a page to read next, None where there never is."""
        return min((entry.due_at for entry in self._entries.values()), default=None)

    def take(self, asked_at: float, now: float) -> list[Provider]:
        """Return whose pages to read at `now`, and book their next; `asked_at` is when a request was last sent."""
        due = [entry for entry in self._entries.values() if entry.due_at <= now]
        read = [entry for entry in due if not entry.read or now - asked_at <= QUIET_S]
        for entry in due:
            entry.due_at = now + _LOOK_AGAIN_S
        for entry in read:
            entry.due_at = now + PAGE_EVERY_S * (1 + _JITTER * (2 * self._luck.random() - 1))
            entry.read = True
        return [entry.provider for entry in read]

    def reads(self, provider: Provider) -> bool:
        """Return whether the page that `provider` names is still one to read."""
        entry = self._entries.get(provider.name)
        return entry is not None and _same_page(entry.provider, provider)


class PageReader:
    """Reads status pages over `open_call`, which raises WireError. A page that cannot be read says nothing."""

    def __init__(self, open_call: _Open, timeout_s: float = PAGE_TIMEOUT_S) -> None:
        """Know of no trouble yet; a page has `timeout_s` seconds in all."""
        self._open = open_call
        self._timeout_s = timeout_s
        self._unreadable: set[tuple[str, str, str]] = set()

    async def read(self, provider: Provider) -> PageReport | None:
        """Return what the page of `provider` says now; None, and one line in the log, where it could not be read."""
        trouble, body = f"no answer within {self._timeout_s:g}s", b""
        with anyio.move_on_after(self._timeout_s):
            trouble, body = await self._fetched(provider)
        report = None if trouble else read_summary(body, provider.status_component, anyio.current_time())
        page = (provider.name, provider.status_page, provider.status_component)
        if report is not None:
            self._unreadable.discard(page)
        elif page not in self._unreadable:
            self._unreadable.add(page)
            _log.warning("status_page_unread", provider=provider.name, reason=trouble or _silent(provider))
        return report

    async def _fetched(self, provider: Provider) -> tuple[str, bytes]:
        """Return what went wrong, nothing where nothing did, and the body."""
        place, request = _asked(provider)
        try:
            reply = await self._open(place, request)
        except WireError as error:
            return str(error), b""
        try:
            if reply.status != _OK:
                return f"it answered {reply.status}", b""
            return await _body(reply)
        except WireError as error:
            return str(error), b""
        finally:
            await reply.aclose()


async def _body(reply: UpstreamReply) -> tuple[str, bytes]:
    body = bytearray()
    while piece := await reply.read():
        body += piece
        if len(body) > MOST_BYTES:
            return f"it is longer than {MOST_BYTES} bytes", b""
    return "", bytes(body)


def _asked(provider: Provider) -> tuple[Provider, UpstreamRequest]:
    """Return where the page is, as a provider without a key and of a name that no other can have, and what to send."""
    parts = urlsplit(provider.status_page)
    place = Provider(
        name=f"{provider.name}/status page",
        dialect=Dialect.OPENAI,
        base_url=f"{parts.scheme}://{parts.netloc}",
        models=(),
        timeouts=Timeouts(connect=Seconds(PAGE_TIMEOUT_S)),
    )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return place, UpstreamRequest(method="GET", path=path, headers=(("accept", "application/json"),))


def _silent(provider: Provider) -> str:
    named = f" that says how {provider.status_component!r} is" if provider.status_component else ""
    return f"it is no summary{named}"


def _same_page(one: Provider, other: Provider | None) -> bool:
    if other is None:
        return False
    return (one.status_page, one.status_component) == (other.status_page, other.status_component)
