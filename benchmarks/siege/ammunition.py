"""The bytes that attackers send."""

from __future__ import annotations

import json
import zlib
from typing import Final

__all__ = ["BOMB", "HEAD_BOMBS", "PAIRS", "REBINDING", "SMUGGLED", "chat", "ordinary"]

_PATH: Final = b"/v1/chat/completions"
GIGABYTE: Final = 2**30
SMUGGLED: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A second request behind the first; nobody may ever get its answer where the first one's end is in doubt."""


def ordinary(model: str, **more: object) -> bytes:
    """Return the body of an ordinary request."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], **more}).encode()


def chat(*headers: bytes, host: bytes = b"localhost") -> bytes:
    """Return the head of a chat completion with `headers`."""
    lines = [b"POST %s HTTP/1.1" % _PATH, b"Host: " + host, b"Content-Type: application/json", *headers, b"", b""]
    return b"\r\n".join(lines)


def _chunked(first: bytes, body: bytes = b"0\r\n\r\n") -> bytes:
    return chat(first) + body


_BODY: Final = ordinary("prey/m")
_LENGTH: Final = len(_BODY)
_TE: Final = b"Transfer-Encoding: chunked"
PAIRS: Final = {
    "CL+TE": chat(b"Content-Length: 6", _TE) + b"0\r\n\r\n",
    "TE+CL": chat(_TE, b"Content-Length: 6") + b"0\r\n\r\n",
    "two CL": chat(b"Content-Length: 0", b"Content-Length: 5") + b"abcde",
    "the same CL twice": chat(b"Content-Length: 5", b"Content-Length: 5") + b"abcde",
    "a list of CL": chat(b"Content-Length: 5, 5") + b"abcde",
    "CL with a sign": chat(b"Content-Length: +5") + b"abcde",
    "CL with an underscore": chat(b"Content-Length: 1_0") + b"abcdeabcde",
    "TE xchunked": _chunked(b"Transfer-Encoding: xchunked"),
    "TE gzip, chunked": _chunked(b"Transfer-Encoding: gzip, chunked"),
    "TE chunked, identity": _chunked(b"Transfer-Encoding: chunked, identity"),
    "TE with a comma before": _chunked(b"Transfer-Encoding: ,chunked"),
    "TE with a vertical tab": _chunked(b"Transfer-Encoding: \x0bchunked"),
    "TE twice": _chunked(_TE + b"\r\nTransfer-Encoding: identity"),
    "a space before the colon": _chunked(b"Transfer-Encoding : chunked"),
    "a folded line": _chunked(b"Transfer-Encoding:\r\n chunked"),
    "an underscore in the name": _chunked(b"Transfer_Encoding: chunked"),
    "a bare LF in a header": _chunked(b"X: y\nTransfer-Encoding: chunked"),
    "a bare CR in a header": _chunked(b"X: y\rTransfer-Encoding: chunked"),
    "a chunk's size that overflows": _chunked(_TE, b"10000000000000005\r\nabcde\r\n0\r\n\r\n"),
    "a chunk's size with a sign": _chunked(_TE, b"+5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk's size with an underscore": _chunked(_TE, b"0_5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk's size in 0x": _chunked(_TE, b"0x5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk that ends in LF": _chunked(_TE, b"5\nabcde\r\n0\r\n\r\n"),
    "an extension that ends in LF": _chunked(_TE, b"5;x\nabcde\r\n0\r\n\r\n"),
    "a length among the trailers": _chunked(_TE, b"5\r\nabcde\r\n0\r\nContent-Length: 9\r\n\r\n"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "TE in HTTP/1.0": b"POST %s HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % _PATH,
    "two Hosts": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    "another host in the target": b"GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an upgrade": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
}
"""What RFC 9112 says to refuse, or to read no further behind, by what is wrong with it."""

HEAD_BOMBS: Final = (
    chat(*[b"X-%d: y" % number for number in range(20_000)]),
    chat(b"X: " + b"y" * 2**20),
    b"GET /" + b"y" * 2**20 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    chat(*[b"X-%d: %s" % (number, b"y" * 8000) for number in range(120)]),
)
REBINDING: Final = (
    chat(b"Content-Length: %d" % _LENGTH, host=b"evil.example") + _BODY,
    chat(b"Content-Length: %d" % _LENGTH, b"Origin: https://evil.example") + _BODY,
)


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(2**20)
    return b"".join([packer.compress(zeros) for _ in range(1024)]) + packer.flush()


BOMB: Final = _bomb
"""Makes a gigabyte that is one megabyte on its way."""
