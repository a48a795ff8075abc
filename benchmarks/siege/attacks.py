"""The attacks. Each is what one attacker does with one connection, again and again until its time is over."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from benchmarks.siege.ammunition import BOMB, HEAD_BOMBS, PAIRS, REBINDING, SMUGGLED, chat, ordinary

__all__ = ["ATTACKS", "Attack", "Connect", "Tally"]

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Pipe]]
Tally = Counter[str]
_Once = Callable[[Pipe, Tally], Awaitable[None]]
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")
_PIECE: Final = bytes(2**18)
_PATIENCE_S: Final = 30.0


class Attack(NamedTuple):
    """One kind of attack."""

    title: str
    once: _Once
    at_once: int
    """How many connections."""
    doors: tuple[str, ...] = ("tcp", "unix")
    rest_s: float = 0.02
    """One that is refused, or has had its answer, tries again after so long."""


async def _answer(pipe: Pipe, tally: Tally) -> bytes:
    """Read all that comes until the connection ends, and count the statuses."""
    answer = b""
    while piece := await pipe[0].read(2**16):
        answer += piece
    tally.update(status.decode() for status in _STATUS.findall(answer))
    if not answer:
        tally["closed without a word"] += 1
    return answer


async def _trickle(pipe: Pipe, tally: Tally, begin: bytes, more: bytes) -> None:
    """Send a byte every half second until the daemon has had enough."""
    pipe[1].write(begin)
    reading = asyncio.ensure_future(_answer(pipe, tally))
    for byte in itertools.cycle(more):
        done, _ = await asyncio.wait([reading], timeout=0.5)
        if done:
            break
        pipe[1].write(bytes([byte]))
    await asyncio.gather(reading, return_exceptions=True)


async def slowloris(pipe: Pipe, tally: Tally) -> None:
    """Send a header a byte at a time."""
    await _trickle(pipe, tally, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b"y")


async def slow_body(pipe: Pipe, tally: Tally) -> None:
    """Send a body a byte at a time."""
    await _trickle(pipe, tally, chat(b"Content-Length: 1000000"), b"x")


async def half_open(pipe: Pipe, tally: Tally) -> None:
    """Say nothing."""
    await _answer(pipe, tally)


async def _pour(pipe: Pipe, tally: Tally, head: bytes, piece: bytes) -> None:
    pipe[1].write(head)
    reading = asyncio.ensure_future(_answer(pipe, tally))
    try:
        for _ in range(2**30 // len(_PIECE)):
            pipe[1].write(piece)
            await pipe[1].drain()
    except OSError:
        tally["cut off while sending"] += 1
    await asyncio.gather(reading, return_exceptions=True)


async def gigabyte(pipe: Pipe, tally: Tally) -> None:
    """Send a body of 1 GB that says so."""
    await _pour(pipe, tally, chat(b"Content-Length: %d" % 2**30), _PIECE)


async def gigabyte_chunked(pipe: Pipe, tally: Tally) -> None:
    """Send a body of 1 GB in chunks."""
    await _pour(pipe, tally, chat(b"Transfer-Encoding: chunked"), b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE))


async def just_small_enough(pipe: Pipe, tally: Tally) -> None:
    """Send all but the last byte of the largest body that is taken, and keep it there."""
    pipe[1].write(chat(b"Content-Length: %d" % 2**24))
    for _ in range(2**24 // len(_PIECE) - 1):
        pipe[1].write(_PIECE)
        await pipe[1].drain()
    await _answer(pipe, tally)


async def chunk_extensions(pipe: Pipe, tally: Tally) -> None:
    """Send chunks of one byte with extensions of 16 KB."""
    await _pour(pipe, tally, chat(b"Transfer-Encoding: chunked"), (b"1;x=" + b"y" * 2**14 + b"\r\nz\r\n") * 16)


_bombs = itertools.cycle(HEAD_BOMBS)
_pairs = itertools.cycle(PAIRS.items())
_rebinding = itertools.cycle(REBINDING)
_packed: list[bytes] = []


async def head_bomb(pipe: Pipe, tally: Tally) -> None:
    """Send a head of a megabyte, in one of four ways."""
    pipe[1].write(next(_bombs))
    await _answer(pipe, tally)


async def smuggling(pipe: Pipe, tally: Tally) -> None:
    """Send a request whose end is in doubt, and another behind it."""
    name, request = next(_pairs)
    pipe[1].write(request + SMUGGLED)
    if (await _answer(pipe, tally)).count(b"HTTP/1.") > 1:
        tally[f"ANSWERED TWICE: {name}"] += 1


async def rebinding(pipe: Pipe, tally: Tally) -> None:
    """Send what a web page would send."""
    pipe[1].write(next(_rebinding))
    tally.update(status.decode() for status in _STATUS.findall(await pipe[0].readuntil(b"\r\n\r\n")))


async def compressed_bomb(pipe: Pipe, tally: Tally) -> None:
    """Send a gigabyte as a megabyte."""
    if not _packed:
        _packed.append(BOMB())
    length = b"Content-Length: %d" % len(_packed[0])
    pipe[1].write(chat(b"Connection: close", b"Content-Encoding: gzip", length) + _packed[0])
    await _answer(pipe, tally)


async def _unread(pipe: Pipe, tally: Tally, body: bytes) -> None:
    pipe[1].transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    pipe[1].transport.pause_reading()  # type: ignore[attr-defined]
    pipe[1].write(chat(b"Content-Length: %d" % len(body)) + body)
    tally["asked and did not read"] += 1
    await asyncio.sleep(_PATIENCE_S)


async def unread_stream(pipe: Pipe, tally: Tally) -> None:
    """Ask for a long stream and do not read it."""
    await _unread(pipe, tally, ordinary("prey/long", stream=True))


async def unread_answer(pipe: Pipe, tally: Tally) -> None:
    """Ask for a long answer and do not read it."""
    await _unread(pipe, tally, ordinary("prey/long"))


async def hoarding(pipe: Pipe, tally: Tally) -> None:
    """Ask once, and keep the connection."""
    pipe[1].write(SMUGGLED)
    tally.update(status.decode() for status in _STATUS.findall(await pipe[0].readuntil(b"ok\n")))
    await _answer(pipe, tally)


async def reset(pipe: Pipe, tally: Tally) -> None:
    """Ask, and be gone with a reset."""
    body = ordinary("prey/m")
    pipe[1].write(chat(b"Content-Length: %d" % len(body)) + body)
    connection = pipe[1].transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pipe[1].transport.abort()
    tally["reset"] += 1


ATTACKS: Final = {
    "slowloris": Attack("Slowloris: headers a byte at a time", slowloris, 2000),
    "slow-bodies": Attack("bodies a byte at a time", slow_body, 1000),
    "half-open": Attack("10,000 silent connections", half_open, 10_000, rest_s=5),
    "gigabyte": Attack("bodies of 1 GB, with their length", gigabyte, 4),
    "gigabyte-chunked": Attack("bodies of 1 GB, in chunks", gigabyte_chunked, 4),
    "just-small-enough": Attack("64 bodies of 16 MiB, all but a byte", just_small_enough, 64),
    "head-bombs": Attack("header bombs of 1 MB", head_bomb, 8),
    "chunk-extensions": Attack("chunks of extensions", chunk_extensions, 4),
    "smuggling": Attack(f"{len(PAIRS)} smuggling pairs", smuggling, 8),
    "rebinding": Attack("DNS rebinding", rebinding, 8, ("tcp",)),
    "unread-streams": Attack("streams that nobody reads", unread_stream, 30),
    "unread-answers": Attack("answers that nobody reads", unread_answer, 30),
    "bombs": Attack("1 GB compressed to 1 MB", compressed_bomb, 4),
    "hoarding": Attack("5,000 idle keep-alive connections", hoarding, 5000, rest_s=5),
    "resets": Attack("requests that are reset", reset, 8),
}
