"""What RFC 9112 forbids and the server's parser (llhttp, in its strict mode) still lets through.

Two programs that disagree where a request ends are how one client's bytes become another's request. Tried against the
parser; what it refuses itself is in the tests: both lengths, several of one, signs, folded lines, bare LF, a space
before the colon, sizes of chunks that overflow.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiohttp import HttpVersion10, HttpVersion11, hdrs
from aiohttp.http import HttpVersion
from multidict import CIMultiDictProxy

__all__ = ["framing_problem", "is_wasteful"]

_VERSIONS: Final = {HttpVersion10, HttpVersion11}
_LOOKALIKES: Final = ("transfer_encoding", "content_length")
"""What a CGI or WSGI server behind another proxy reads as the real ones."""
_SLACK: Final = 64 * 2**10
_MOST_WIRE_BYTES: Final = 8
"""For each byte of a body: a chunk of one byte takes six."""


def framing_problem(version: HttpVersion, target: str, headers: CIMultiDictProxy[str]) -> str | None:
    """Return why a request is not to be trusted in where it begins and ends, None where it is."""
    if version not in _VERSIONS:
        return f"HTTP/{version.major}.{version.minor} is not spoken here; use HTTP/1.1."
    coding = headers.get(hdrs.TRANSFER_ENCODING)
    if coding is not None:
        if version != HttpVersion11:
            return "Transfer-Encoding means nothing in HTTP/1.0."
        if coding.lower() != "chunked":
            return "The only Transfer-Encoding that is understood here is chunked, alone."
    if _LOOKALIKES[0] in headers or _LOOKALIKES[1] in headers:
        return "A header's name looks like that of a length, with an underscore."
    if target[:1] != "/" and _misdirected(target, headers.get(hdrs.HOST, "")):
        return "The request's target is another host's than its Host header's."
    return None


def is_wasteful(wire: int, body: int) -> bool:
    """Return whether `wire` bytes are too many for a body of `body`: chunks with long extensions, or without end."""
    return wire > _SLACK + _MOST_WIRE_BYTES * body


def _misdirected(target: str, host: str) -> bool:
    """Return whether a target in absolute form names another host than the header, which checks go by."""
    try:
        return target != "*" and urlsplit(target).netloc.lower() != host.lower()
    except ValueError:  # an address in brackets that is none
        return True
