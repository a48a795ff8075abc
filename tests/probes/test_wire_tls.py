"""TLS to providers: whom it trusts, and how it says that it does not."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import anyio
import pytest

from probes.calls import ConnectTimedOut, CutShort, TlsFailed, Unreachable
from state.faults import Fault
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import (
    Close,
    Gate,
    HalfClose,
    Reset,
    Send,
    StartTls,
    answer,
    chunked,
    head,
    peer,
)
from tests.rigs.wires import ASK, body_of, opened, provider_at

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl command to make a certificate with")
OK = Send(answer(b"ok"))


def make_certificate(folder: Path, names: str) -> Path:
    """Make a key and its own certificate for `names`, in one file."""
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=lab -addext"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(  # noqa: S603
        [str(OPENSSL), *command.split(), f"subjectAltName={names}", *files], check=True, capture_output=True
    )
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


def served_with(certificate: Path) -> ssl.SSLContext:
    """Return what a peer serves TLS with; it would rather speak HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one for the address and the name that the tests connect to."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1,DNS:localhost")


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    """Return the peer's side."""
    return served_with(certificate)


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    """Return the side of a client that trusts the peer."""
    return ssl.create_default_context(cafile=str(certificate))


@EVERY_LOOP
def test_a_trusted_provider_is_spoken_to(loop: str, serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """An exchange in TLS is an exchange like any other: kept, reused, streamed."""

    async def main() -> None:
        async with peer([OK], [Send(chunked(b"o", b"k"))], tls=serving) as good, opened(trusting) as wires:
            for _ in range(3):
                assert await body_of(await wires.open(provider_at(good.base_url), ASK)) == b"ok"
            assert good.accepted == 1

    on_loop(loop, main)


@EVERY_LOOP
def test_the_environment_says_whom_to_trust(
    loop: str, serving: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSL_CERT_FILE` is honoured, and HTTP/1.1 agreed on even where the peer prefers HTTP/2."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def main() -> None:
        async with peer([OK], tls=serving) as good, opened() as wires:
            reply = await wires.open(provider_at(good.base_url.replace("127.0.0.1", "localhost")), ASK)
            connection = reply._connection
            assert connection is not None
            assert connection._transport is not None
            assert connection._transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            assert await body_of(reply) == b"ok"

    on_loop(loop, main)


@EVERY_LOOP
def test_an_unknown_certificate_is_not_trusted(loop: str, serving: ssl.SSLContext) -> None:
    """Nothing is sent to a provider that cannot prove who it is, and the text says why."""

    async def main() -> None:
        async with peer([OK], tls=serving) as bad, opened(ssl.create_default_context()) as wires:
            with pytest.raises(
                TlsFailed, match=r"certificate of 127\.0\.0\.1:\d+ is not trusted: self.signed"
            ) as caught:
                await wires.open(provider_at(bad.base_url), ASK)
            assert caught.value.fault is Fault.TLS
            assert not bad.heard

    on_loop(loop, main)


@EVERY_LOOP
def test_a_certificate_for_another_name_is_not_trusted(loop: str, tmp_path: Path) -> None:
    """A trusted certificate of somebody else's proves nothing."""
    others = make_certificate(tmp_path, "DNS:elsewhere")

    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(others))
        async with peer([OK], tls=served_with(others)) as bad, opened(trusting) as wires:
            with pytest.raises(TlsFailed, match=r"is not trusted: .*not valid for"):
                await wires.open(provider_at(bad.base_url), ASK)
            assert not bad.heard

    on_loop(loop, main)


@EVERY_LOOP
def test_a_plain_port_spoken_tls_to_is_named(loop: str, trusting: ssl.SSLContext) -> None:
    """`https://` where `http://` was meant is a matter of TLS, and says so."""

    async def main() -> None:
        async with peer([OK], greeting=[Send(b"HTTP/1.1 400 Bad Request\r\n\r\n")]) as plain, opened(trusting) as wires:
            with pytest.raises(TlsFailed, match="does not speak TLS"):
                await wires.open(provider_at(plain.base_url.replace("http", "https")), ASK)

    on_loop(loop, main)


@EVERY_LOOP
@pytest.mark.parametrize("end", [Close(), Reset(), HalfClose()])
def test_a_peer_that_leaves_during_the_handshake_is_unreachable(
    loop: str, trusting: ssl.SSLContext, end: Close | Reset | HalfClose
) -> None:
    """A balancer that drops connections is no matter of certificates, so the default fallback applies."""

    async def main() -> None:
        async with peer([OK], greeting=[end]) as rude, opened(trusting) as wires:
            with pytest.raises(Unreachable, match="closed while it was opened, by"):
                await wires.open(provider_at(rude.base_url.replace("http", "https")), ASK)

    on_loop(loop, main)


@EVERY_LOOP
def test_a_handshake_that_never_ends_has_the_connect_deadline(loop: str, trusting: ssl.SSLContext) -> None:
    """A peer that accepts and says nothing is given up as not connected, and sees the connection close."""
    gate = anyio.Event()

    async def main() -> None:
        async with peer([OK], greeting=[Gate(gate)]) as rude, opened(trusting) as wires:
            with pytest.raises(ConnectTimedOut):
                await wires.open(provider_at(rude.base_url.replace("http", "https"), connect_s=0.05), ASK)
            assert wires.connections == 0
            gate.set()

    on_loop(loop, main)


@EVERY_LOOP
def test_a_body_cut_within_tls_is_cut(loop: str, serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """The end of a connection ends no counted body, in TLS as without."""
    gate = anyio.Event()
    script = [Send(head("content-length: 10") + b"hello"), Gate(gate), Close()]

    async def main() -> None:
        async with peer(script, tls=serving) as rude, opened(trusting) as wires:
            reply = await wires.open(provider_at(rude.base_url), ASK)
            assert await reply.read() == b"hello"
            gate.set()
            with pytest.raises(CutShort):
                await reply.read()

    on_loop(loop, main)


@EVERY_LOOP
def test_closing_sees_tls_connections_off(loop: str, serving: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """`aclose` waits for no farewell from a peer that may be gone."""

    async def main() -> None:
        async with peer([OK], tls=serving) as good, opened(trusting) as wires:
            await body_of(await wires.open(provider_at(good.base_url), ASK))
            await wires.aclose()
            assert wires.connections == 0
            await good.left.wait()

    on_loop(loop, main)


@EVERY_LOOP
def test_tls_goes_through_a_proxys_tunnel(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees a host and a port, the provider its own TLS and the plain path; both stay open for the next."""
    far = make_certificate(tmp_path, "DNS:far.invalid")
    script = [Send(b"HTTP/1.1 200 Connection established\r\n\r\n"), StartTls(served_with(far))]

    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(far))
        async with peer(script, [OK]) as proxy, opened(trusting) as wires:
            monkeypatch.setenv("https_proxy", proxy.base_url)
            monkeypatch.setenv("no_proxy", "")
            for _ in range(2):
                assert await body_of(await wires.open(provider_at("https://far.invalid/v1"), ASK)) == b"ok"
            assert [heard.path for heard in proxy.heard] == ["far.invalid:443", *["/v1/chat/completions"] * 2]
            assert proxy.heard[1].headers["host"] == "far.invalid"

    on_loop(loop, main)
