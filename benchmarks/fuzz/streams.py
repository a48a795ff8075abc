"""Event streams of three surfaces: cut anywhere, with any line ends, and whatever reads them on their way."""

from __future__ import annotations

import random
from collections.abc import Hashable
from typing import Final

from benchmarks.fuzz.captured import STREAMS, SURFACES, surface_of
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_json, mutated_lines
from benchmarks.fuzz.surface import Broken, Luck, Surface
from daemon.relay.events import WholeEvents, ends_event, without_usage
from probes.dialects.beginnings import Beginning
from probes.dialects.continuing import Splice
from probes.dialects.events import read_event, skim_event
from probes.dialects.pace import spoken_tokens
from probes.dialects.sse import EventSplitter
from probes.dialects.streams import MAX_HELD_BYTES, StreamReader
from probes.dialects.texts import TextSoFar
from probes.surfaces import Surface as Call
from state.outcome import Usage

__all__ = ["STREAMED"]

_MOST_PIECE: Final = 64 * 1024
_MOST_HELD: Final = MAX_HELD_BYTES + _MOST_PIECE


def _seeds() -> list[bytes]:
    return [bytes([surface_of(one.name), 0, 0]) + one.body for one in STREAMS]


def _mutated_events(data: bytes, luck: Luck) -> bytes:
    """Change the structure of the JSON of one event."""
    head, lines = data[:3], data[3:].split(b"\n")
    places = [place for place, line in enumerate(lines) if line.startswith(b"data: {")]
    if not places:
        return mutated_bytes(data, luck)
    place = luck.choice(places)
    lines[place] = b"data: " + mutated_json(lines[place][6:], luck)
    return head + b"\n".join(lines)


def _pieces(body: bytes, seed: int) -> list[bytes]:
    """Cut a body at places that only depend on `seed`; 0 leaves it whole."""
    if not seed:
        return [body[at : at + _MOST_PIECE] for at in range(0, len(body), _MOST_PIECE)]
    luck, pieces, at = random.Random(seed), [], 0  # noqa: S311 - a fuzzer's luck is no secret
    longest = luck.choice((1, 3, 40, 1500)) if len(body) < 20_000 else 1500
    while at < len(body):
        size = luck.randint(1, longest)
        pieces.append(body[at : at + size])
        at += size
    return pieces


def _take(data: bytes) -> Hashable:
    surface = SURFACES[data[0] % len(SURFACES)] if data else Call.CHAT
    body = data[3:]
    whole = _read(surface, [body] if body else [])
    told = _read(surface, _pieces(body, int.from_bytes(data[1:3], "big")))
    if told != whole:
        raise Broken(f"cut apart it reads as {told}, whole as {whole}")
    _overhear(surface, body)
    return (surface.name, *told)


def _read(surface: Call, pieces: list[bytes]) -> tuple[Hashable, ...]:
    """Return what a reader makes of a stream, whose bytes it must not change."""
    reader, out = StreamReader(surface), bytearray()
    for piece in pieces:
        out += reader.feed(piece)
    if max(map(len, pieces), default=0) <= _MOST_PIECE and sum(map(len, reader._held)) > _MOST_HELD:  # noqa: SLF001
        raise Broken("it holds more than it may")
    end = reader.end()
    if reader.committed and bytes(out) != b"".join(pieces):
        raise Broken("the bytes of a stream were changed")
    faults = [each and each.fault.value for each in (reader.diagnosis, end)]
    return (reader.finished, reader.committed, *faults, _counted(reader.usage))


def _counted(usage: Usage) -> str:
    """Return which counts there are. Raises Broken where one is below nothing."""
    numbers = [getattr(usage, name) for name in usage.__struct_fields__]
    if any(isinstance(number, int | float) and number < 0 for number in numbers):
        raise Broken(f"negative counts: {usage}")
    return "".join("-" if number in (None, "") else "n" for number in numbers)


def _overhear(surface: Call, body: bytes) -> None:
    """Let all others read the stream that may hear it."""
    text, splice, whole, beginning = TextSoFar(surface), Splice(surface), WholeEvents(), Beginning(surface, 40)
    for piece in _pieces(body, 7):
        text.feed(piece)
        splice.feed(piece)
        ends_event(whole.take(piece))
    whole.rest()
    without_usage(body)
    for event in EventSplitter().feed(body):
        skim_event(surface, event)
        read_event(surface, event)
        spoken_tokens(event)
        beginning.take(event)
    _ = text.text, beginning.said, beginning.enough


STREAMED: Final = Surface(
    "streams", _seeds, mixed(mutated_bytes, mutated_lines, _mutated_events, _mutated_events), _take, share=9
)
