"""Proxies from the environment: when they are asked, how, and when they are not."""

from __future__ import annotations

from base64 import b64encode

import pytest

from probes.calls import Unreachable, UpstreamRequest
from probes.origin import Origin, origin_of
from probes.policy import Secret
from probes.wire.heads import Heads
from probes.wire.proxies import Proxy, proxy_for
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import Close, Send, answer, head, peer
from tests.rigs.wires import ASK, body_of, opened, provider_at

FAR = "http://far.invalid/v1"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine's own."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, FAR, None),
        ({"HTTP_PROXY": "http://p:3128"}, FAR, "proxy p:3128"),
        ({"http_proxy": "p:3128"}, FAR, "proxy p:3128"),
        ({"HTTP_PROXY": "http://p:3128"}, "https://far.invalid", None),
        ({"HTTPS_PROXY": "http://s"}, "https://far.invalid", "proxy s:80"),
        ({"ALL_PROXY": "http://a:1"}, "https://far.invalid", "proxy a:1"),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "x.y,.invalid"}, FAR, None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "far.invalid:80"}, FAR, None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "*"}, FAR, None),
        ({"ALL_PROXY": "http://a:1"}, "http://127.0.0.1:8080", None),
        ({"ALL_PROXY": "http://a:1"}, "http://127.9.9.9", None),
        ({"ALL_PROXY": "http://a:1"}, "http://[::1]:8080", None),
        ({"ALL_PROXY": "http://a:1"}, "https://localhost", None),
        ({"ALL_PROXY": "http://a:1"}, "unix:///run/x.sock", None),
    ],
)
def test_the_environment_names_the_proxy(
    environment: dict[str, str], url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheme's own variable, then `ALL_PROXY`; never for what `NO_PROXY` lists or this machine serves."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(origin_of(url))
    assert (proxy and proxy.place) == expected


def test_a_proxys_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the proxy's repr, nor the error for one that cannot be used, repeats credentials."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:s3cret%21@p:3128")
    proxy = proxy_for(origin_of(FAR))
    assert proxy is not None
    assert proxy.credentials.value == f"Basic {b64encode(b'me:s3cret!').decode()}"
    assert "s3cret" not in repr(proxy)
    assert proxy.credentials.value not in repr(proxy)
    monkeypatch.setenv("HTTP_PROXY", "socks5://me:s3cret@p:1080")
    with pytest.raises(ValueError, match="socks5://") as caught:
        proxy_for(origin_of(FAR))
    assert "s3cret" not in str(caught.value)


@EVERY_LOOP
def test_plain_http_goes_through_in_absolute_form(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is told the whole URL and its credentials, and keeps its connection like any peer."""

    async def main() -> None:
        async with peer([Send(answer(b"ok"))]) as proxy, opened() as wires:
            monkeypatch.setenv("HTTP_PROXY", f"http://me:pw@{proxy.place}")
            for _ in range(2):
                assert await body_of(await wires.open(provider_at(FAR), ASK)) == b"ok"
            assert proxy.accepted == 1
            heard = proxy.heard[0]
            assert heard.path == "http://far.invalid/v1/chat/completions"
            assert heard.headers["host"] == "far.invalid"
            assert heard.headers["proxy-authorization"] == f"Basic {b64encode(b'me:pw').decode()}"

    on_loop(loop, main)


@EVERY_LOOP
@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (answer(status="407 Proxy Authentication Required"), r"proxy 127\.0\.0\.1:\d+ refused a tunnel .* status 407"),
        (b"", r"proxy 127\.0\.0\.1:\d+ broke off"),
        (b"nonsense\r\n\r\n", "refused a tunnel"),
        (head(status="200 OK")[:-2], "broke off"),
    ],
)
def test_a_tunnel_refused_is_unreachable(
    loop: str, answered: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS asks the proxy for a tunnel to host and port, and says what the proxy said."""

    async def main() -> None:
        async with peer([Send(answered), Close()]) as proxy, opened() as wires:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@{proxy.place}")
            with pytest.raises(Unreachable, match=words) as caught:
                await wires.open(provider_at("https://far.invalid/v1"), ASK)
            assert "pw" not in str(caught.value)
            assert (proxy.heard[0].method, proxy.heard[0].path) == ("CONNECT", "far.invalid:443")
            assert proxy.heard[0].headers["proxy-authorization"].startswith("Basic ")

    on_loop(loop, main)


@EVERY_LOOP
def test_a_proxy_that_refuses_is_named(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed connect speaks of the hop that failed."""

    async def main() -> None:
        async with peer() as gone:
            place = gone.place
        async with opened() as wires:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{place}")
            with pytest.raises(Unreachable, match=f"connection refused by proxy {place}"):
                await wires.open(provider_at("https://far.invalid"), ASK)

    on_loop(loop, main)


@pytest.mark.parametrize(
    ("url", "place", "authority", "prefix"),
    [
        ("https://api.openai.com/v1", "api.openai.com:443", "api.openai.com", "/v1"),
        ("http://127.0.0.1:11434/v1/", "127.0.0.1:11434", "127.0.0.1:11434", "/v1"),
        ("http://[::1]:8080", "[::1]:8080", "[::1]:8080", ""),
        ("https://u:p@Ex.COM:443", "ex.com:443", "ex.com", ""),
        ("https://bücher.example", "xn--bcher-kva.example:443", "xn--bcher-kva.example", ""),
        ("unix:///run/x.sock", "/run/x.sock", "localhost", ""),
        ("unix:///run/x.sock:/v1", "/run/x.sock", "localhost", "/v1"),
    ],
)
def test_a_base_url_is_read(url: str, place: str, authority: str, prefix: str) -> None:
    """Where to connect, what to call it, and what stands before each path."""
    origin = origin_of(url)
    assert (origin.place, origin.authority, origin.prefix) == (place, authority, prefix)


@pytest.mark.parametrize("url", ["", "api.openai.com", "ftp://x", "http://", "http://x:99999", "unix://x", "unix:///"])
def test_a_base_url_that_names_no_place_is_refused(url: str) -> None:
    """What cannot be connected to is a ValueError with words for people."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        origin_of(url)


def test_a_get_counts_no_body() -> None:
    """`content-length` stands in every request that has or could have a body, and in no other."""
    heads = Heads(Origin(scheme="http", host="x", port=80, authority="x"), None)
    assert b"content-length" not in heads.write(UpstreamRequest(method="GET", path="/models"))
    assert b"content-length: 0" in heads.write(UpstreamRequest(method="POST", path="/models"))


def test_the_clients_agent_is_passed_on() -> None:
    """A `user-agent` that was given is sent instead of fairlead's."""
    proxy = Proxy(host="p", port=1, credentials=Secret("Basic x"))
    heads = Heads(Origin(scheme="https", host="x", port=443, authority="x"), proxy)
    head_ = heads.write(UpstreamRequest(method="GET", path="/", headers=(("user-agent", "me/1"),)))
    assert head_ == b"GET / HTTP/1.1\r\nhost: x\r\naccept-encoding: identity\r\nuser-agent: me/1\r\n\r\n"
