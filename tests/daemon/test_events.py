"""A stream's events stay whole on their way to the client."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from daemon.relay.events import WholeEvents


@st.composite
def _split_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    events = draw(st.lists(st.text("abc:{}", min_size=1, max_size=8), min_size=1, max_size=8))
    blank = draw(st.sampled_from(["\n\n", "\r\n\r\n", "\r\r"]))
    stream = "".join(f"data: {event}{blank}" for event in events).encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    return stream, [stream[start:end] for start, end in pairwise(edges)]


@given(_split_streams())
def test_however_a_stream_is_split_only_whole_events_go_on(case: tuple[bytes, list[bytes]]) -> None:
    """Law: each part that goes on ends with a blank line, and together with the rest they are the stream."""
    stream, pieces = case
    keeper = WholeEvents()
    parts = [keeper.take(piece) for piece in pieces]
    assert all(part.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")) for part in parts if part)
    assert b"".join(parts) + keeper.rest() == stream


def test_an_endless_event_is_not_held_for_ever() -> None:
    """Law: what is held is bounded."""
    keeper = WholeEvents()
    assert keeper.take(b"data: " + b"x" * 70_000).startswith(b"data: ")
    assert keeper.rest() == b""


def test_a_long_piece_of_short_events_goes_on_up_to_its_last_whole_event() -> None:
    """Law: how much arrives at once does not decide what the client may be left with."""
    keeper, events = WholeEvents(), b"data: word\n\n" * 10_000
    assert keeper.take(events + b'data: {"half') == events
    assert keeper.rest() == b'data: {"half'
