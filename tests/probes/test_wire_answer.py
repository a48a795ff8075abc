"""The parser of answers, without a socket: where the bytes are cut apart makes no difference."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.calls import CutShort, Disconnected, Garbled
from probes.wire.answer import MAX_HEAD, Answer
from tests.rigs.peers import answer, chunked, head

BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
ANSWERS = st.one_of(
    BODIES.map(lambda pieces: (chunked(*pieces), b"".join(pieces), True)),
    BODIES.map(lambda pieces: (answer(b"".join(pieces), "x-a:", "x-a: 1"), b"".join(pieces), True)),
    BODIES.map(lambda pieces: (head("server: x") + b"".join(pieces), b"".join(pieces), False)),
    BODIES.map(lambda pieces: (head(status="103 Hints") + chunked(*pieces), b"".join(pieces), True)),
)


def cut_at(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut `data` apart at the given places."""
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


@given(ANSWERS, st.lists(st.integers(0, 2000), max_size=12), st.lists(st.booleans(), min_size=13, max_size=13))
def test_any_split_of_an_answer_gives_the_same_body(
    case: tuple[bytes, bytes, bool], cuts: list[int], takes: list[bool]
) -> None:
    """Status, headers and body depend on the bytes alone, not on how they arrived or when they were taken."""
    data, body, framed = case
    whole = Answer("there")
    whole.feed(data)
    split = Answer("there")
    taken = []
    for piece, take in zip(cut_at(data, cuts), takes, strict=False):
        split.feed(piece)
        if take:
            taken.append(split.take())
    assert b"".join([*taken, split.take()]) == whole.take() == body
    assert (split.status, split.headers, split.whole, split.keeps) == (200, whole.headers, framed, framed)


@given(ANSWERS, st.integers(1, 10_000))
def test_no_proper_part_of_a_framed_answer_is_whole(case: tuple[bytes, bytes, bool], length: int) -> None:
    """Cut anywhere, an answer ends in an error; only one that the close itself ends may be whole."""
    data, _, framed = case
    part = data[: length % len(data)]
    cut = Answer("there")
    if part:
        cut.feed(part)
    error = cut.end(None)
    if framed or not cut.headed:
        assert isinstance(error, CutShort if cut.headed else Garbled if part else Disconnected)
    else:
        assert error is None


@given(st.binary(max_size=300), st.booleans())
def test_whatever_arrives_is_an_answer_or_garbled(data: bytes, prefixed: bool) -> None:  # noqa: FBT001 - an example
    """No bytes at all raise anything but Garbled."""
    parser = Answer("there")
    with suppress(Garbled):
        parser.feed(head("transfer-encoding: chunked") + data if prefixed else data)


def test_one_parser_serves_answer_after_answer() -> None:
    """After a reset nothing of the last answer is left."""
    parser = Answer("there")
    for number in range(3):
        parser.reset()
        parser.feed(answer(b"body %d" % number, f"x-{number}: 1"))
        assert parser.take() == b"body %d" % number
        assert list(parser.headers) == ["content-length", f"x-{number}"]
        assert parser.keeps


@pytest.mark.parametrize("surplus", [answer(b"more"), b"junk", b"HTTP/1.1 200 OK\r\n"])
def test_bytes_beyond_an_answer_spoil_only_its_connection(surplus: bytes) -> None:
    """What was asked for is read; the connection, out of step, is not used again."""
    parser = Answer("there")
    parser.feed(answer(b"hello") + surplus)
    assert parser.whole
    assert parser.take() == b"hello"
    assert not parser.keeps


@pytest.mark.parametrize(("version", "keeps"), [("HTTP/1.1", True), ("HTTP/1.0", False)])
def test_an_old_server_keeps_no_connection(version: str, keeps: bool) -> None:  # noqa: FBT001 - an example
    """HTTP/1.0 closes after each answer unless it says otherwise."""
    parser = Answer("there")
    parser.feed(answer(b"hello").replace(b"HTTP/1.1", version.encode()))
    assert parser.keeps is keeps


def test_a_stream_of_any_length_is_no_endless_head() -> None:
    """The bound on headers counts what brings no body, not what a long stream's framing adds up to."""
    parser = Answer("there")
    parser.feed(head("transfer-encoding: chunked"))
    for _ in range(MAX_HEAD):
        parser.feed(b"1\r\n")
        parser.feed(b"x")
        parser.feed(b"\r\n")
    assert parser.take() == b"x" * MAX_HEAD


def test_a_released_parser_is_freed_at_once() -> None:
    """A connection leaves no cycle behind for the collector."""
    gc.disable()
    try:
        parser = _Watched("there")
        watched = weakref.ref(parser)
        parser.release()
        del parser
        assert watched() is None
    finally:
        gc.enable()


class _Watched(Answer):
    """An Answer that can be referred to weakly."""
