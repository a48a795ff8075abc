"""The pure parts of the doors: pace, places, room for bodies, unpacking, and what is a request at all."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.http import HttpVersion
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from daemon.doors.guard.descriptors import affordable
from daemon.doors.guard.framing import framing_problem, is_wasteful
from daemon.doors.guard.larder import Larder
from daemon.doors.guard.patience import Pace, Terms, keep_pace
from daemon.doors.guard.policy import DoorPolicy, Reason
from daemon.doors.guard.roll import Roll
from daemon.doors.guard.turns import Turns
from daemon.doors.guard.unpacking import TooLarge, Unpacker, Unreadable

_TERMS = Terms(grace=30, rate=1000)


@given(st.lists(st.tuples(st.floats(0.1, 5), st.integers(0, 100_000)), min_size=1, max_size=50))
def test_credit_never_exceeds_the_grace_and_a_silent_transfer_is_lost_when_it_is_over(
    steps: list[tuple[float, int]],
) -> None:
    """Law: however fast a transfer began, silence ends it within the grace."""
    now, done, pace = 0.0, 0, keep_pace(None, 0, 0.0, _TERMS)
    for waited, more in steps:
        now, done = now + waited, done + more
        pace = keep_pace(pace, done, now, _TERMS)
        assert pace.left <= _TERMS.grace
    assert keep_pace(pace, done, now + _TERMS.grace + 0.001, _TERMS).lost


def _of(roll: Roll[_Visitor], peer: str) -> int:
    return sum(guest.peer == peer for guest in roll.everyone())


def test_a_transfer_that_keeps_the_rate_is_never_lost() -> None:
    """Law: what is slow but steady is let through."""
    pace: Pace | None = None
    for second in range(1000):
        pace = keep_pace(pace, second * 1000, second, _TERMS)
        assert not pace.lost


class _Visitor:
    def __init__(self, peer: str, idle_since: float | None = None) -> None:
        self.peer = peer
        self.idle_since = idle_since
        self.displaced = False

    def displace(self) -> None:
        self.displaced = True


def _roll(most: int, per_peer: int) -> Roll[_Visitor]:
    return Roll(DoorPolicy(max_connections=most, max_connections_per_peer=per_peer))


def test_the_longest_idle_of_the_same_peer_makes_room() -> None:
    """Law: a peer at its bound displaces its own, and nobody else's."""
    roll = _roll(10, 2)
    old, new, other = _Visitor("a", 1.0), _Visitor("a", 2.0), _Visitor("b", 0.0)
    assert [roll.welcome(one, 3.0) for one in (new, old, other)] == [None] * 3
    assert roll.welcome(_Visitor("a"), 3.0) is None
    assert (old.displaced, new.displaced, other.displaced) == (True, False, False)
    assert _of(roll, "a") == 2


def test_whoever_has_most_makes_room_where_the_house_is_full() -> None:
    """Law: one connection of a modest peer is never displaced by a greedy one."""
    roll = _roll(3, 3)
    greedy = [_Visitor("greedy", float(number)) for number in range(2)]
    modest = _Visitor("modest", 0.0)
    for one in (*greedy, modest, _Visitor("newcomer")):
        assert roll.welcome(one, 5.0) is None
    assert (greedy[0].displaced, modest.displaced, roll.count) == (True, False, 3)


def test_where_all_are_busy_a_newcomer_is_refused_with_the_bound_that_it_met() -> None:
    """Law: a request under way is never displaced; and once one is idle, there is room again."""
    roll = _roll(2, 1)
    busy = _Visitor("a")
    assert roll.welcome(busy, 0.0) is None
    assert roll.welcome(_Visitor("a"), 0.0) is Reason.PEER_FULL
    assert roll.welcome(_Visitor("b"), 0.0) is None
    assert roll.welcome(_Visitor("c"), 0.0) is Reason.FULL
    busy.idle_since = 0.0
    assert roll.welcome(_Visitor("a"), 1.0) is None
    assert busy.displaced


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["come", "idle", "leave"])), max_size=60))
def test_the_count_is_always_that_of_who_is_there_and_within_the_bounds(steps: list[tuple[str, str]]) -> None:
    """Law: no sequence of coming, falling idle and leaving loses count or exceeds a bound."""
    roll, everyone = _roll(5, 3), list[_Visitor]()
    for now, (peer, step) in enumerate(steps):
        theirs = [one for one in everyone if one.peer == peer and not one.displaced]
        if step == "come":
            one = _Visitor(peer)
            if roll.welcome(one, float(now)) is None:
                everyone.append(one)
        elif theirs and step == "idle":
            theirs[0].idle_since = float(now)
        elif theirs:
            roll.leave(theirs[0])
            everyone.remove(theirs[0])
        there = [one for one in everyone if not one.displaced]
        assert roll.count == len(there) == len(roll.everyone()) <= 5
        assert all(_of(roll, name) <= 3 for name in "abc")


def test_one_peer_has_at_most_half_of_the_room_for_bodies() -> None:
    """Law: others find room beside a peer that takes all that it may, and what is given back is there again."""
    larder = Larder(100)
    assert larder.take("a", 50)
    assert not larder.take("a", 1)
    assert larder.take("b", 50)
    assert not larder.take("c", 1)
    larder.give_back("a", 50)
    assert (larder.take("c", 1), larder.held) == (True, 51)


def test_descriptors_bound_the_connections() -> None:
    """Law: each connection may need one towards its provider, and the daemon itself some."""
    assert affordable(DoorPolicy(), 100_000) == DoorPolicy()
    lowered = affordable(DoorPolicy(), 1024)
    assert 2 * lowered.max_connections < 1024
    assert lowered.max_connections_per_peer <= lowered.max_connections


def test_the_largest_body_fits_into_one_peers_share() -> None:
    """Law: raising max_body alone is enough."""
    assert DoorPolicy(max_body=2**30).buffered == 2**31


def test_whoever_sends_fast_waits_for_a_turn() -> None:
    """Law: one is resumed in each turn, in the order in which they came."""
    calls: list[object] = []
    resumed: list[str] = []

    class One:
        def __init__(self, name: str) -> None:
            self.resume = lambda: resumed.append(name)

    turns = Turns()
    for name in "abc":
        turns.wait(One(name), calls.append)
    for number in range(3):
        calls.pop(0)()  # type: ignore[operator]
        assert resumed == list("abc")[: number + 1]
    assert calls == []


_GOOD = bytes(range(256)) * 5000


@pytest.mark.parametrize(
    ("packed", "coding"),
    [
        (gzip.compress(_GOOD), "gzip"),
        (gzip.compress(_GOOD[:999]) + gzip.compress(_GOOD[999:]), "gzip"),
        (zlib.compress(_GOOD), "deflate"),
        (zlib.compress(_GOOD, wbits=-15), "deflate"),
    ],
    ids=["gzip", "two-members", "zlib", "bare-deflate"],
)
def test_a_compressed_body_comes_out_whole(packed: bytes, coding: str) -> None:
    """Law: what was packed is what is read."""
    assert Unpacker(packed, coding, len(_GOOD)).rest() == _GOOD
    with pytest.raises(TooLarge):
        Unpacker(packed, coding, len(_GOOD) - 1).rest()


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_bytes_that_are_not_compressed_are_unreadable(packed: bytes, coding: str) -> None:
    """Law: a body, a named error, and nothing else; it never goes on for ever."""
    try:
        assert len(Unpacker(packed, coding, 1000).rest()) <= 1000
    except (Unreadable, TooLarge):
        return


def test_a_compressed_body_that_is_cut_short_is_unreadable() -> None:
    """Law: half a body is none."""
    with pytest.raises(Unreadable):
        Unpacker(gzip.compress(_GOOD)[:-20], "gzip", len(_GOOD)).rest()
    with pytest.raises(Unreadable):
        Unpacker(b"x", "br", 10)


@pytest.mark.parametrize(
    ("version", "target", "headers", "words"),
    [
        (HttpVersion11, "/v1/models", {"host": "localhost"}, ""),
        (HttpVersion11, "/", {"host": "localhost", "transfer-encoding": "Chunked"}, ""),
        (HttpVersion11, "http://LOCALHOST/x", {"host": "localhost"}, ""),
        (HttpVersion10, "/", {}, ""),
        (HttpVersion(0, 9), "/", {}, "HTTP/0.9"),
        (HttpVersion(2, 0), "/", {"host": "localhost"}, "HTTP/2.0"),
        (HttpVersion10, "/", {"transfer-encoding": "chunked"}, "HTTP/1.0"),
        (HttpVersion11, "/", {"transfer-encoding": "gzip, chunked"}, "chunked, alone"),
        (HttpVersion11, "/", {"transfer-encoding": ""}, "chunked, alone"),
        (HttpVersion11, "/", {"transfer_encoding": "chunked"}, "underscore"),
        (HttpVersion11, "/", {"Content_Length": "5"}, "underscore"),
        (HttpVersion11, "http://evil/x", {"host": "localhost"}, "another host"),
        (HttpVersion11, "evil:443", {"host": "localhost"}, "another host"),
    ],
)
def test_a_request_whose_end_is_in_doubt_is_named(
    version: HttpVersion, target: str, headers: dict[str, str], words: str
) -> None:
    """Law: what the parser lets through and RFC 9112 does not is refused with its reason."""
    problem = framing_problem(version, target, CIMultiDictProxy(CIMultiDict(headers)))
    assert (problem is None) == (words == "")
    assert words in (problem or "")


def test_chunks_of_one_byte_are_no_waste_and_long_extensions_are() -> None:
    """Law: a slow writer's six bytes for one are taken; a kilobyte for one is not."""
    assert not is_wasteful(6 * 10**6, 10**6)
    assert is_wasteful(10**9, 10**6)
    assert is_wasteful(100_000, 3)


def test_a_reason_is_the_name_of_the_key_that_sets_its_bound() -> None:
    """Law: whoever reads the metric knows what to raise."""
    assert {reason.value for reason in Reason} - set(DoorPolicy.__struct_fields__) == {"displaced", "malformed"}


def test_a_body_of_many_parts_is_one_body_and_one_of_too_many_is_none() -> None:
    """Law: gzip may be laid end to end; ten thousand empty ones are an attack, told after a thousand."""
    part = gzip.compress(b"part")
    assert Unpacker(part * 1000, "gzip", 4000).rest() == b"part" * 1000
    with pytest.raises(Unreadable, match="too many parts"):
        Unpacker(gzip.compress(b"") * 10_000, "gzip", 4000).rest()


def test_a_body_that_hardly_shrinks_is_unpacked_window_by_window() -> None:
    """Law: what does not fit into one window is the same body, whatever its length."""
    noise = random.Random(7).randbytes(300_001)
    assert Unpacker(gzip.compress(noise), "gzip", len(noise)).rest() == noise
    assert Unpacker(zlib.compress(noise), "deflate", len(noise)).rest() == noise


def test_a_target_with_half_an_address_is_another_hosts() -> None:
    """Law: what cannot be read is refused like what is wrong."""
    assert framing_problem(HttpVersion11, "http://[x/", CIMultiDictProxy(CIMultiDict({"host": "x"})))
