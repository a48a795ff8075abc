"""What is sent to a provider: its path, its key, and the client's own headers without what is nobody's business.

Paths are joined to `base_url` exactly as each dialect documents its own: an `openai` base_url carries the `/v1`
(`https://api.openai.com/v1`), an `anthropic` one does not (`https://api.anthropic.com`), a `simulated` one is a bare
origin. A Unix socket that names no prefix (`unix:///run/x.sock`) gets the whole path. A path always starts with `/`:
who joins it drops a slash that ends the base_url.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import msgspec

from probes.calls import UpstreamRequest
from probes.policy import Dialect, Provider
from probes.surfaces import Surface

__all__ = [
    "ANTHROPIC_VERSION",
    "CANARY_TOKENS",
    "RequestForm",
    "canary_request",
    "catalog_request",
    "liveness_request",
    "upstream_request",
]

ANTHROPIC_VERSION: Final = "2023-06-01"
"""Sent where the client names no version; the newest one that takes the key as `x-api-key`."""

_BEARER_SINCE: Final = "2026-10-21"
"""From this `anthropic-version` on the key goes as `authorization: Bearer`, as Anthropic's own clients send it."""

_DROPPED: Final = frozenset(
    {
        # hop by hop, RFC 9110 section 7.6.1
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # said anew by the wire; the body is sent decoded
        "accept-encoding",
        "content-encoding",
        "content-length",
        "host",
        # the client's own credentials and whereabouts
        "api-key",
        "authorization",
        "cookie",
        "forwarded",
        "proxy-authorization",
        "x-api-key",
        "x-goog-api-key",
        "x-real-ip",
    }
)
_DROPPED_PREFIXES: Final = ("fairlead-", "x-forwarded-")
_JSON: Final = ("content-type", "application/json")
_IDENTITY: Final = ("accept-encoding", "identity")

_COMPLETION_TOKENS_HOSTS: Final = ("api.openai.com", ".openai.azure.com")
"""Where `max_tokens` is refused by the newer models; everyone else may not know `max_completion_tokens` yet."""

CANARY_TOKENS: Final = 8
"""One token is refused or answered empty by some reasoning models."""


class RequestForm:
    """What every request to one provider has in common, worked out once."""

    def __init__(self, provider: Provider) -> None:
        """Work out the paths and the credential of `provider`."""
        self._dialect = provider.dialect
        self._host = urlsplit(provider.base_url).hostname or ""
        key = provider.api_key.value
        self._bearer = (("authorization", f"Bearer {key}"),) if key else ()
        self._x_api_key = (("x-api-key", key),) if key else ()
        whole = provider.dialect is not Dialect.OPENAI or _is_bare_socket(provider.base_url)
        self._paths = {surface: surface.value if whole else surface.value[3:] for surface in Surface}
        self._models = "/v1/models" if whole else "/models"
        self._provider = provider

    def upstream(
        self, surface: Surface, client_headers: Iterable[tuple[str, str]], body: bytes, query: str = ""
    ) -> UpstreamRequest:
        """Return a client's request as this provider gets it; `query` is the URL's, without its question mark."""
        kept: list[tuple[str, str]] = [_IDENTITY]
        version = listed = ""
        typed = False
        for name, value in client_headers:
            lower = name.lower()
            if lower == "connection":
                listed += "," + value
            if lower in _DROPPED or lower.startswith(_DROPPED_PREFIXES):
                continue
            if lower == "anthropic-version":
                version = value
            elif lower == "content-type":
                typed = True
            kept.append((lower, value))
        if listed:
            kept = _unlisted(kept, listed)
            version = dict(kept).get("anthropic-version", "")
        if not typed:
            kept.append(_JSON)
        if not version and self._is_anthropic(surface):
            kept.append(("anthropic-version", ANTHROPIC_VERSION))
        kept.extend(self._credential(version))
        path = self._paths[surface]
        return UpstreamRequest(method="POST", path=f"{path}?{query}" if query else path, headers=tuple(kept), body=body)

    def counts(self, surface: Surface, model: str) -> bool:
        """Return whether a stream of `model` is to be asked for its usage: it has a price, and takes the question."""
        return surface is Surface.CHAT and model in self._counting

    @cached_property
    def _counting(self) -> frozenset[str]:
        provider = self._provider
        priced = (model for model in provider.models if provider.price_of(model) is not None)
        return frozenset(model for model in priced if "stream_options" not in provider.abilities_of(model).lacks)

    def catalog(self) -> UpstreamRequest:
        """Return the request that lists the provider's models: free, and proves the key."""
        headers = (_IDENTITY, *self._version(), *self._credential(""))
        path = f"{self._models}?limit=1000" if self._dialect is Dialect.ANTHROPIC else self._models
        return UpstreamRequest(method="GET", path=path, headers=headers)

    def liveness(self) -> UpstreamRequest:
        """Return the same without a key: any answer below 500 proves that the provider's edge is there."""
        return UpstreamRequest(method="GET", path=self._models, headers=(_IDENTITY, *self._version()))

    def canary(self, model: str) -> UpstreamRequest:
        """Return a request for a few tokens of `model`, streamed: they tell how it begins, and its pace."""
        limit = "max_completion_tokens" if self._host.endswith(_COMPLETION_TOKENS_HOSTS) else "max_tokens"
        content = {
            "model": model,
            "messages": [{"role": "user", "content": "Count from 1 to 30."}],
            limit: CANARY_TOKENS,
            "stream": True,
        }
        surface = Surface.MESSAGES if self._dialect is Dialect.ANTHROPIC else Surface.CHAT
        return self.upstream(surface, (), msgspec.json.encode(content))

    def _is_anthropic(self, surface: Surface) -> bool:
        return self._dialect is Dialect.ANTHROPIC or (
            self._dialect is Dialect.SIMULATED and surface.dialect is Dialect.ANTHROPIC
        )

    def _version(self) -> tuple[tuple[str, str], ...]:
        return (("anthropic-version", ANTHROPIC_VERSION),) if self._dialect is Dialect.ANTHROPIC else ()

    def _credential(self, version: str) -> tuple[tuple[str, str], ...]:
        if self._dialect is Dialect.ANTHROPIC and version < _BEARER_SINCE:
            return self._x_api_key
        return self._bearer


def upstream_request(
    provider: Provider,
    surface: Surface,
    client_headers: Iterable[tuple[str, str]],
    body: bytes,
    query: str = "",
) -> UpstreamRequest:
    """Return a client's request as `provider` gets it; keep a `RequestForm` where this runs per request."""
    return RequestForm(provider).upstream(surface, client_headers, body, query)


def catalog_request(provider: Provider) -> UpstreamRequest:
    """Return the request that lists the provider's models."""
    return RequestForm(provider).catalog()


def liveness_request(provider: Provider) -> UpstreamRequest:
    """Return the cheap request without a key that any living provider answers below 500."""
    return RequestForm(provider).liveness()


def canary_request(provider: Provider, model: str) -> UpstreamRequest:
    """Return a request for a few tokens of `model`."""
    return RequestForm(provider).canary(model)


def _is_bare_socket(base_url: str) -> bool:
    return base_url.startswith("unix:") and ":/" not in base_url.removeprefix("unix:").lstrip("/")


def _unlisted(headers: list[tuple[str, str]], connection: str) -> list[tuple[str, str]]:
    """Drop the headers that the client's `connection` header says are for the next hop only."""
    names = {name.strip().lower() for name in connection.split(",")} - {"content-type", "accept-encoding"}
    return [header for header in headers if header[0] not in names]
