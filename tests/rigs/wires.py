"""Wires under test: a provider at a peer, a request to ask it, and proof that nothing is left behind."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from probes.calls import UpstreamReply, UpstreamRequest
from probes.policy import Dialect, Provider, Timeouts
from probes.wire import Reply, Wires
from state.durations import Seconds
from tests.rigs.peers import Peer, Script, peer

__all__ = ["ASK", "asked", "body_of", "opened", "provider_at"]

ASK = UpstreamRequest(
    method="POST", path="/chat/completions", headers=(("content-type", "application/json"),), body=b"{}"
)


def provider_at(base_url: str, *, name: str = "lab", connect_s: float = 5) -> Provider:
    """Return a provider at `base_url`."""
    timeouts = Timeouts(connect=Seconds(connect_s))
    return Provider(name=name, dialect=Dialect.OPENAI, base_url=base_url, models=("m",), timeouts=timeouts)


@asynccontextmanager
async def opened(tls: ssl.SSLContext | None = None) -> AsyncIterator[Wires]:
    """Hold wires, and see that closing them leaves no connection."""
    wires = Wires(tls)
    try:
        yield wires
    finally:
        await wires.aclose()
        assert wires.connections == 0


async def body_of(reply: UpstreamReply) -> bytes:
    """Read a reply to its end and give it back."""
    pieces = []
    while piece := await reply.read():
        pieces.append(piece)
    await reply.aclose()
    return b"".join(pieces)


@asynccontextmanager
async def asked(*scripts: Script, request: UpstreamRequest = ASK) -> AsyncIterator[tuple[Reply, Peer, Wires]]:
    """One request to a peer with these scripts, its answer begun."""
    async with peer(*scripts) as rude, opened() as wires:
        yield await wires.open(provider_at(rude.base_url), request), rude, wires
