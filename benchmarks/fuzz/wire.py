"""Providers' bytes as they come: heads, chunks and compressed bodies, cut anywhere."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Hashable
from typing import Final

from benchmarks.fuzz.captured import captures
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_lines
from benchmarks.fuzz.surface import Broken, Luck, Surface
from probes.wire.answer import MAX_HEAD, Answer
from probes.wire.inflation import MOST, inflater_for
from state.errors import WireError

__all__ = ["WIRE"]

_CODINGS: Final = ("gzip", "deflate", "x-gzip")
_TEXT: Final = b'{"choices":[]}' * 200


def _chunked(head: bytes, body: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at : at + 50]), body[at : at + 50]) for at in range(0, len(body), 50))
    return head + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\nx-trailer: 1\r\n\r\n"


def _seeds() -> list[bytes]:
    answers = [b"\0\0" + one.raw for one in captures()[::4]]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    framed = (
        _chunked(head, _TEXT[:400]),
        b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"content-length: 2\r\n\r\n{}",
        head + b"connection: close\r\n\r\n{}",
        b"HTTP/1.0 204 No Content\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
    )
    raw = zlib.compressobj(wbits=-15)
    packed = (
        gzip.compress(_TEXT),
        zlib.compress(_TEXT),
        raw.compress(_TEXT) + raw.flush(),
        gzip.compress(bytes(10**6)),
    )
    return [
        *answers,
        *(b"\0\1" + each for each in framed),
        *(b"\1" + bytes([place % 3]) + each for place, each in enumerate(packed)),
    ]


def _pieces(body: bytes, luck: Luck) -> list[bytes]:
    longest = luck.choice((1, 7, 200, 70_000)) if len(body) < 20_000 else 70_000
    pieces, at = [], 0
    while at < len(body):
        size = luck.randint(1, longest)
        pieces.append(body[at : at + size])
        at += size
    return pieces


def _take(data: bytes) -> Hashable:
    kind, seed, body = data[:1], data[1:2], data[2:]
    luck = random.Random(seed)  # noqa: S311 - a fuzzer's luck is no secret
    if kind == b"\1":
        return _inflated(_CODINGS[(seed or b"\0")[0] % len(_CODINGS)], _pieces(body, luck))
    return _answered(_pieces(body, luck))


def _answered(pieces: list[bytes]) -> Hashable:
    answer = Answer("127.0.0.1:9")
    taken = 0
    try:
        for piece in pieces:
            answer.feed(piece)
            taken += len(answer.take())
            if answer.whole:
                break
        lost = answer.end(None)
    except WireError as error:
        return (type(error).__name__, str(error)[:40])
    finally:
        answer.release()
    if taken > sum(map(len, pieces)) or sum(map(len, answer.headers.values())) > 2 * MAX_HEAD:
        raise Broken(f"{taken} bytes of body from {sum(map(len, pieces))}")
    if any("\n" in value or "\r" in value or "\0" in value for value in answer.headers.values()):
        raise Broken("a header's value with the end of a line in it")
    return (answer.status // 100, answer.headed, answer.whole, answer.keeps, taken > 0, lost and type(lost).__name__)


def _inflated(coding: str, pieces: list[bytes]) -> Hashable:
    inflater = inflater_for(coding)
    if inflater is None:
        raise Broken(f"{coding} is not known")
    most = 0
    try:
        for piece in pieces:
            most = max(most, len(inflater.feed(piece)))
            for _ in range(200):
                if inflater.hungry:
                    break
                most = max(most, len(inflater.feed(b"")))
    except zlib.error as error:
        return str(error)[:20]
    if most > MOST:
        raise Broken(f"one step yielded {most} bytes")
    return (inflater.finished, most > 0)


WIRE: Final = Surface("wire", _seeds, mixed(mutated_bytes, mutated_lines), _take, share=6)
