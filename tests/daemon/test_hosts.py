"""DNS rebinding: a request over TCP is the daemon's own only under the daemon's own names, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from daemon.access.hosts import host_of, is_loopback, own_hosts, stranger

_OWN = own_hosts(frozenset({"llm.lan"}), "192.0.2.7")


def _refused(*headers: tuple[str, str], target: str = "/v1/models") -> int | None:
    found = stranger(CIMultiDictProxy(CIMultiDict(headers)), target, _OWN)
    return found.status if found else None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:4180",
        "localhost.",
        "localhost.:4180",
        "localhost:",
        "127.0.0.1",
        "127.8.9.1:65535",
        "[::1]",
        "[::1]:4180",
        "[0:0:0:0:0:0:0:1]:4180",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]",
        "192.0.2.7:4180",
        "LLM.lan:80",
    ],
)
def test_the_daemons_own_names_are_let_in(host: str) -> None:
    """Law: loopback in every spelling of an address, the address called, and the names of daemon.hosts."""
    assert _refused(("Host", host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:4180",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "user:pw@localhost",
        "localhost..",
        "localhost:65536",
        "localhost:4180:80",
        "localhost:port",
        "localhost:-1",
        "localhost/",
        "localhost/evil.example",
        "localhost#evil",
        "localhost evil.example",
        "localhost,evil.example",
        "lоcalhost",  # noqa: RUF001 - a Cyrillic o is the attack
        "localhost:４１８０",  # noqa: RUF001 - so are wide digits
        "127.1",
        "0x7f.1",
        "2130706433",
        "0177.0.0.1",
        "127.0.0.01",
        "0.0.0.0",  # noqa: S104 - which Linux takes for loopback
        "0",
        "[::]",
        "[::1",
        "::1",
        "[::1%25lo]",
        "[fe80::1]",
        "[::ffff:192.0.2.8]",
        "192.0.2.8",
        "sub.localhost",
        ".",
        ":4180",
        "[]",
    ],
)
def test_every_other_name_is_refused(host: str) -> None:
    """Law: what a resolver of somebody else's could point at us is not ours."""
    assert _refused(("Host", host)) == 403


def test_a_request_names_its_host_once() -> None:
    """Law: without one, with an empty one, or with two, nobody guesses."""
    assert _refused() == 400
    assert _refused(("Host", "")) == 400
    assert _refused(("Host", "localhost"), ("host", "localhost")) == 400
    assert _refused(("Host", "localhost"), ("HOST", "evil.example")) == 400


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/x", None),
        ("*", None),
        ("http://localhost:4180/x", None),
        ("HTTP://[::1]", None),
        ("http://llm.lan?x", None),
        ("http://evil.example/x", 403),
        ("http://localhost@evil.example/x", 403),
        ("http://evil.example:80#localhost", 403),
        ("http:///x", 403),
        ("http:/localhost", 403),
        ("evil.example:443", 403),
        ("localhost:443", None),
        ("", 403),
    ],
)
def test_a_target_that_names_a_host_is_checked_like_one(target: str, status: int | None) -> None:
    """Law: an absolute target goes before Host by RFC 9112, so both must be ours."""
    assert _refused(("host", "localhost"), target=target) == status
    assert _refused(("host", "evil.example"), target=target) == 403


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("origin", "http://localhost:3000", None),
        ("origin", "https://[::1]", None),
        ("origin", "http://llm.lan", None),
        ("origin", "null", 403),
        ("origin", "", 403),
        ("origin", "http://evil.example", 403),
        ("origin", "http://localhost.evil.example", 403),
        ("origin", "http://localhost/", 403),
        ("origin", "http://localhost evil", 403),
        ("origin", "file://localhost", 403),
        ("origin", "chrome-extension://abcdef", 403),
        ("origin", "localhost", 403),
        ("sec-fetch-site", "same-origin", None),
        ("sec-fetch-site", "Same-Site", None),
        ("sec-fetch-site", "none", None),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "", 403),
        ("sec-fetch-site", "same-origin, cross-site", 403),
    ],
)
def test_a_page_of_somebody_elses_is_refused(name: str, value: str, status: int | None) -> None:
    """Law: whose page sends a request is what its browser says, and nobody else's than ours is heard."""
    assert _refused(("host", "localhost"), (name, value)) == status


def test_two_origins_must_both_be_ours() -> None:
    """Law: a second header hides no first one."""
    both = (("origin", "http://localhost"), ("origin", "http://evil.example"))
    assert _refused(("host", "localhost"), *both) == _refused(("host", "localhost"), *reversed(both)) == 403


_labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.text(st.characters(codec=None), max_size=60))
@example("127.0.0.1\n")
@example("localhost\x00")
def test_whatever_a_host_is_it_raises_nothing_and_what_it_names_is_plain(authority: str) -> None:
    """Law: a host that is understood consists of what hosts consist of, and is understood again as itself."""
    host = host_of(authority)
    if host is not None:
        assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.:-")
        assert host_of(f"[{host}]" if ":" in host else host) in {host, host.removesuffix(".") or None}


@given(st.lists(_labels, min_size=1, max_size=4), st.integers(0, 65535), st.booleans())
def test_a_name_is_the_same_however_its_case_its_dot_and_its_port(labels: list[str], port: int, upper: bool) -> None:  # noqa: FBT001
    """Law: spelling makes no other host of one."""
    name = ".".join(labels)
    written = f"{name.upper() if upper else name}.:{port}"
    assert host_of(written) == host_of(name)
    assert _refused(("host", written)) == (None if host_of(name) == "localhost" or is_loopback(name) else 403)


@given(st.ip_addresses(v=4))
def test_an_address_is_ours_only_on_loopback_or_where_the_connection_came_in(address: object) -> None:
    """Law: in both families' spelling."""
    ours = str(address).startswith("127.") or str(address) == "192.0.2.7"
    for written in (f"{address}:80", f"[::ffff:{address}]:80"):
        assert _refused(("host", written)) == (None if ours else 403)


def test_a_port_of_any_length_is_no_mistake_of_ours() -> None:
    """Law: Python reads no number of 5,000 digits; nobody asks it to."""
    assert host_of("localhost:" + "1" * 5000) is None
    assert host_of("localhost:65535") == "localhost"
