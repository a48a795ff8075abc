"""Laws of a stream that hold wherever the network cuts it into pieces."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from probes.dialects.sse import MAX_EVENT_BYTES, EventSplitter, fields_of
from probes.surfaces import Surface
from tests.rigs import streamed as ev
from tests.rigs.streamed import cut_at, seen

NOISE = [b"\n", b"\r", b"\r\n", b"{", b"<", b"data: [DONE]", b"\xef\xbb\xbf", b": ping\n\n", b"data: {oops\n\n"]
EVENTS = {
    Surface.CHAT: [ev.ROLE, ev.HELLO, ev.STOP, ev.USAGE, ev.DONE, ev.BROKEN],
    Surface.MESSAGES: [ev.START, ev.BLOCK, ev.PING, ev.TEXT, ev.DELTA, ev.OVER, ev.OVERLOADED],
    Surface.RESPONSES: [ev.event("response.created"), ev.SAID, ev.COMPLETED, ev.LIMITED],
}
LINE_ENDS = [b"\n", b"\r\n", b"\r", b"\n\r"]


def variants(surface: Surface) -> list[bytes]:
    """Return a surface's events with all line ends, over several data lines, and noise between them."""
    plain = EVENTS[surface]
    folded = [event.replace(b'":{', b'":\ndata: {') for event in plain]
    return [event.replace(b"\n", end) for event in plain + folded for end in LINE_ENDS] + NOISE


places = st.lists(st.integers(0, 2000), max_size=12)
streams = st.sampled_from(list(EVENTS)).flatmap(
    lambda surface: st.tuples(st.just(surface), st.lists(st.sampled_from(variants(surface)), max_size=8).map(b"".join))
)


@settings(max_examples=400)
@given(streams, places)
def test_where_a_stream_is_cut_into_pieces_changes_nothing(stream: tuple[Surface, bytes], at: list[int]) -> None:
    """Bytes given out, the end, the counts and the fault are the stream's, not the network's."""
    surface, body = stream
    assert seen(surface, cut_at(body, at)) == seen(surface, [body])


@settings(max_examples=200)
@given(streams)
@example((Surface.MESSAGES, ev.TEXT + ev.OVER.replace(b"\n", b"\r")))
def test_single_bytes_read_like_the_whole(stream: tuple[Surface, bytes]) -> None:
    """The smallest pieces are pieces."""
    surface, body = stream
    assert seen(surface, [bytes([byte]) for byte in body]) == seen(surface, [body])


@given(st.sampled_from(list(Surface)), st.binary(max_size=300), places)
def test_any_bytes_pass_without_an_exception(surface: Surface, body: bytes, at: list[int]) -> None:
    """A stream is foreign: noise is held, and then a fault."""
    assert seen(surface, cut_at(body, at)) == seen(surface, [body])


@given(
    st.lists(st.sampled_from([b"data: a", b"\n", b"\r", b"\r\n", b":c", b"event: e"]), max_size=20).map(b"".join),
    places,
)
def test_splitting_into_events_follows_the_standard(stream: bytes, at: list[int]) -> None:
    """Events end at an empty line, whichever line ends and pieces the stream comes in."""
    splitter = EventSplitter()
    events = [event for piece in cut_at(stream, at) for event in splitter.feed(piece)]
    found = [fields_of(event) for event in events]
    assert [fields for fields in found if fields != (b"", b"")] == by_the_letter(stream)


def by_the_letter(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Read a stream line by line, as the standard tells it."""
    events, block = [], b""
    for line in re.split(rb"\r\n|\n|\r", stream)[:-1]:
        block += line + b"\n"
        if not line:
            if (fields := fields_of(block)) != (b"", b""):
                events.append(fields)
            block = b""
    return events


def test_an_event_too_long_to_keep_is_its_head_however_it_comes() -> None:
    """Memory is bounded, and the same is known of the event."""
    stream = b"event: big\ndata: " + b"x" * (MAX_EVENT_BYTES + 50_000) + b"\n\n"
    heads = []
    for size in (len(stream), 65_536):
        splitter = EventSplitter()
        for at in range(0, len(stream), size):
            heads.extend(splitter.feed(stream[at : at + size]))
            assert len(splitter._waiting) <= MAX_EVENT_BYTES + 4
        assert splitter.feed(b"data: next\n\n") == (b"data: next\n\n",)
    assert len(heads) == 2
    assert heads[0] == heads[1]
    assert fields_of(heads[0])[0] == b"big"
