"""What is sent to a provider, and what of the client's stays here."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.requests import (
    ANTHROPIC_VERSION,
    RequestForm,
    canary_request,
    catalog_request,
    liveness_request,
    upstream_request,
)
from probes.policy import Dialect, Provider, Secret
from probes.surfaces import Surface

KEY = "the-provider-s-key"


def provider(dialect: Dialect, base_url: str = "http://127.0.0.1:9", key: str = KEY) -> Provider:
    """Return a provider of a dialect."""
    return Provider(name="p", dialect=dialect, base_url=base_url, api_key=Secret(key), models=("m",))


def headers_sent(dialect: Dialect, *client: tuple[str, str], key: str = KEY) -> dict[str, str]:
    """Return the headers that a provider gets for the client's."""
    surface = Surface.MESSAGES if dialect is Dialect.ANTHROPIC else Surface.CHAT
    sent = upstream_request(provider(dialect, key=key), surface, client, b"{}").headers
    assert len({name for name, _ in sent}) == len(sent)
    return dict(sent)


@pytest.mark.parametrize(
    "header",
    [
        "Authorization",
        "X-Api-Key",
        "api-key",
        "X-Goog-Api-Key",
        "Proxy-Authorization",
        "Cookie",
        "Fairlead-Team",
        "fairlead-deadline-ms",
        "X-Forwarded-For",
        "Forwarded",
        "Host",
        "Content-Length",
        "Content-Encoding",
        "Transfer-Encoding",
        "Keep-Alive",
        "TE",
        "Upgrade",
        "Expect",
    ],
)
@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_is_the_client_s_own_business_stays_here(dialect: Dialect, header: str) -> None:
    """Credentials, hop-by-hop headers and fairlead's own never reach a provider."""
    assert "secret-value" not in headers_sent(dialect, (header, "secret-value")).values()


def test_headers_that_connection_lists_are_for_this_hop_only() -> None:
    """RFC 9110, section 7.6.1: a proxy removes what `connection` names, and `connection` itself."""
    sent = headers_sent(Dialect.OPENAI, ("X-Hop", "1"), ("X-Stay", "2"), ("Connection", "close, X-Hop"))
    assert "x-hop" not in sent
    assert "connection" not in sent
    assert sent["x-stay"] == "2"


def test_all_other_headers_pass_as_sent() -> None:
    """What fairlead does not know it forwards."""
    kept = {
        "user-agent": "OpenAI/Python",
        "x-stainless-retry-count": "1",
        "openai-beta": "assistants=v2",
        "traceparent": "00-1-2-01",
        "idempotency-key": "k",
        "content-type": "application/json; charset=utf-8",
    }
    sent = headers_sent(Dialect.OPENAI, *((name.title(), value) for name, value in kept.items()))
    assert kept.items() <= sent.items()


def test_bodies_are_asked_for_without_compression() -> None:
    """Answers are read as they pass, so the client's wish for gzip is not passed on."""
    assert headers_sent(Dialect.OPENAI, ("Accept-Encoding", "gzip, deflate"))["accept-encoding"] == "identity"


def test_the_provider_s_key_takes_the_place_of_the_client_s() -> None:
    """Each dialect has its own header for it."""
    client = ("Authorization", "Bearer client")
    assert headers_sent(Dialect.OPENAI, client)["authorization"] == f"Bearer {KEY}"
    sent = headers_sent(Dialect.ANTHROPIC, client)
    assert sent["x-api-key"] == KEY
    assert "authorization" not in sent


@pytest.mark.parametrize(
    ("version", "name", "value"),
    [
        ("2023-06-01", "x-api-key", KEY),
        ("2026-10-21", "authorization", f"Bearer {KEY}"),
        ("2027-01-01", "authorization", f"Bearer {KEY}"),
    ],
)
def test_anthropic_s_key_goes_the_way_of_the_version_asked(version: str, name: str, value: str) -> None:
    """Since 2026-10-21 Anthropic's own clients send a bearer token; the client's version is forwarded as sent."""
    sent = headers_sent(Dialect.ANTHROPIC, ("anthropic-version", version), ("anthropic-beta", "b1,b2"))
    assert (sent[name], sent["anthropic-version"], sent["anthropic-beta"]) == (value, version, "b1,b2")
    assert len({"x-api-key", "authorization"} & sent.keys()) == 1


def test_an_anthropic_version_is_added_only_where_the_client_names_none() -> None:
    """The API refuses requests without one; OpenAI's has none."""
    assert headers_sent(Dialect.ANTHROPIC)["anthropic-version"] == ANTHROPIC_VERSION
    assert "anthropic-version" not in headers_sent(Dialect.OPENAI)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_without_a_key_no_credential_is_sent(dialect: Dialect) -> None:
    """Local servers need none, and an empty one is refused by some."""
    assert {"authorization", "x-api-key"}.isdisjoint(headers_sent(dialect, key=""))


@pytest.mark.parametrize(
    ("dialect", "base_url", "surface", "path"),
    [
        (Dialect.OPENAI, "https://api.openai.com/v1", Surface.CHAT, "/chat/completions"),
        (Dialect.OPENAI, "https://api.openai.com/v1/", Surface.RESPONSES, "/responses"),
        (Dialect.OPENAI, "http://127.0.0.1:11434/v1", Surface.EMBEDDINGS, "/embeddings"),
        (Dialect.OPENAI, "unix:///run/llama.sock", Surface.CHAT, "/v1/chat/completions"),
        (Dialect.OPENAI, "unix:///run/llama.sock:/v1", Surface.CHAT, "/chat/completions"),
        (Dialect.ANTHROPIC, "https://api.anthropic.com", Surface.MESSAGES, "/v1/messages"),
        (Dialect.ANTHROPIC, "https://api.anthropic.com", Surface.COUNT_TOKENS, "/v1/messages/count_tokens"),
        (Dialect.SIMULATED, "http://127.0.0.1:9", Surface.CHAT, "/v1/chat/completions"),
        (Dialect.SIMULATED, "http://127.0.0.1:9", Surface.MESSAGES, "/v1/messages"),
    ],
)
def test_the_path_joins_the_base_url_as_its_dialect_documents(
    dialect: Dialect, base_url: str, surface: Surface, path: str
) -> None:
    """An openai base_url ends in /v1, an anthropic one does not."""
    assert upstream_request(provider(dialect, base_url), surface, (), b"{}").path == path


def test_the_query_is_forwarded() -> None:
    """Anthropic's beta resources ask with `?beta=true`."""
    sent = upstream_request(provider(Dialect.ANTHROPIC), Surface.MESSAGES, (), b"{}", "beta=true")
    assert sent.path == "/v1/messages?beta=true"


def test_the_body_is_sent_as_it_is() -> None:
    """Not a byte is reordered."""
    sent = upstream_request(provider(Dialect.OPENAI), Surface.CHAT, (), b'{"b":1, "a":2}')
    assert (sent.method, sent.body) == ("POST", b'{"b":1, "a":2}')


def test_a_catalog_lists_models_with_the_key_and_liveness_without() -> None:
    """The one proves the key, the other proves the edge."""
    for dialect, path in ((Dialect.OPENAI, "/models"), (Dialect.ANTHROPIC, "/v1/models")):
        catalog, liveness = catalog_request(provider(dialect)), liveness_request(provider(dialect))
        assert (catalog.method, catalog.path.split("?")[0], liveness.method, liveness.path) == (
            "GET",
            path,
            "GET",
            path,
        )
        assert any(KEY in value for _, value in catalog.headers)
        assert not any(KEY in value for _, value in liveness.headers)


@pytest.mark.parametrize(
    ("base_url", "limit"),
    [("http://127.0.0.1:9/v1", "max_tokens"), ("https://api.openai.com/v1", "max_completion_tokens")],
)
def test_a_canary_asks_for_a_few_tokens(base_url: str, limit: str) -> None:
    """One token is too few for some models, and api.openai.com's newer ones refuse `max_tokens`."""
    asked = msgspec.json.decode(canary_request(provider(Dialect.OPENAI, base_url), "gpt").body)
    assert (asked["model"], asked["stream"], asked[limit]) == ("gpt", True, 8)


def test_an_anthropic_canary_is_a_message() -> None:
    """The canary speaks its provider's dialect."""
    sent = canary_request(provider(Dialect.ANTHROPIC), "claude")
    assert sent.path == "/v1/messages"
    assert msgspec.json.decode(sent.body)["max_tokens"] == 8


names = st.sampled_from(["Authorization", "x-api-key", "Connection", "X-A", "content-type", "fairlead-x", "Cookie"])


@given(st.sampled_from(list(Dialect)), st.lists(st.tuples(names, st.text("abXA,- ", max_size=12)), max_size=8))
def test_no_client_credential_ever_leaves(dialect: Dialect, client: list[tuple[str, str]]) -> None:
    """Whatever else `connection` lists, the provider's own key and nothing of the client's is sent."""
    sent = RequestForm(provider(dialect)).upstream(Surface.CHAT, client, b"{}").headers
    credentials = [value for name, value in sent if name in {"authorization", "x-api-key", "cookie"}]
    assert credentials in ([f"Bearer {KEY}"], [KEY])
    assert not any(name.startswith("fairlead-") or name == "connection" for name, _ in sent)
    assert any(name == "content-type" for name, _ in sent)
