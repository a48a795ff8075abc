"""Proxies named by the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from probes.origin import Origin, host_name
from probes.policy import Secret

__all__ = ["Proxy", "proxy_for"]


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP proxy. `credentials` is the value of `proxy-authorization`, empty where it asks for none."""

    host: str
    port: int
    credentials: Secret = Secret()

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"proxy {self.host}:{self.port}"


def proxy_for(origin: Origin) -> Proxy | None:
    """Return the proxy that the environment prescribes for `origin`, None to connect directly.

    What lies on this machine is never asked of a proxy. Raises ValueError, without repeating credentials, where the
    environment names a proxy that cannot be used.
    """
    if origin.local:
        return None
    named = getproxies()
    url = named.get(origin.scheme) or named.get("all")
    if not url or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    return _proxy_at(url)


def _proxy_at(url: str) -> Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(
            f"the environment names a proxy of the kind {parts.scheme}://, and only http://host:port can be used; "
            "name such a proxy, or list the provider's host in NO_PROXY"
        )
    return Proxy(
        host=host_name(parts.hostname),
        port=parts.port or 80,
        credentials=_basic(parts.username, parts.password),
    )


def _basic(user: str | None, password: str | None) -> Secret:
    if user is None:
        return Secret()
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return Secret(f"Basic {b64encode(pair.encode()).decode('ascii')}")
