"""Exchanges with all providers: a pool for each, made when first needed and dropped when the provider is gone."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterable

import anyio.lowlevel

from probes.calls import Unreachable, UpstreamRequest
from probes.origin import origin_of
from probes.policy import Provider
from probes.wire.dialing import Route
from probes.wire.pool import Pool
from probes.wire.protocol import Connection
from probes.wire.proxies import proxy_for
from probes.wire.reply import Reply

__all__ = ["Wires"]


class Wires:
    """Opens exchanges with providers. Lives in one event loop; `aclose` ends every connection.

    `tls` replaces the system's trust, which `SSL_CERT_FILE` and `SSL_CERT_DIR` steer.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Start without a connection."""
        self.stale: Counter[str] = Counter()
        """Per provider's name, how often a reused connection turned out dead and a new one took over unseen."""
        self._tls = tls
        self._pools: dict[str, Pool] = {}
        self._live: set[Connection] = set()
        self._closed = False

    def __repr__(self) -> str:
        """Show the pools."""
        return f"<Wires connections={len(self._live)} {list(self._pools.values())}>"

    @property
    def connections(self) -> int:
        """How many connections exist, serving or idle."""
        return len(self._live)

    async def open(self, provider: Provider, request: UpstreamRequest) -> Reply:
        """Send `request` to `provider` and return its answer once status and headers are there.

        Raises Unreachable, ConnectTimedOut, TlsFailed, Disconnected, Garbled or Unsendable. The answer must be closed.
        """
        pool = self._pools.get(provider.name)
        if pool is None or (pool.provider is not provider and pool.provider != provider):
            pool = self._replace(provider)
        return await pool.open(request)

    def keep(self, providers: Iterable[Provider]) -> None:
        """Drop the pools of all but these: a configuration came into force. What is under way finishes."""
        kept = {provider.name: provider for provider in providers}
        for name, pool in list(self._pools.items()):
            if kept.get(name) != pool.provider:
                self._pools.pop(name).close()

    async def aclose(self) -> None:
        """Close every connection, also those that serve, and return once they are gone."""
        self._closed = True
        self.keep(())
        while self._live:
            for connection in list(self._live):
                connection.abort()
            await anyio.lowlevel.checkpoint()

    def _replace(self, provider: Provider) -> Pool:
        if self._closed:
            raise Unreachable(f"provider {provider.name} was not asked: fairlead is stopping")
        pool = Pool(provider, self._route(provider), self._live, self._count_stale)
        if provider.name in self._pools:
            self._pools[provider.name].close()
        self._pools[provider.name] = pool
        return pool

    def _route(self, provider: Provider) -> Route:
        try:
            origin = origin_of(provider.base_url)
            proxy = proxy_for(origin)
        except ValueError as problem:
            raise Unreachable(f"provider {provider.name} cannot be reached: {problem}") from problem
        return Route(origin=origin, proxy=proxy, tls=self._context() if origin.scheme == "https" else None)

    def _context(self) -> ssl.SSLContext:
        """Return the one context; reading the system's certificates takes long enough to do it only once."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _count_stale(self, name: str) -> None:
        self.stale[name] += 1
