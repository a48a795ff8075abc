"""Reading what the daemon answered, strictly: what a client could not parse is a finding."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from benchmarks.fuzz.surface import Broken

__all__ = ["Answer", "answers_in", "insist_on_shape"]

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [\x20-\x7e\x80-\xff]*\r\n")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x20-\x7e\t\x80-\xff]*)\r\n")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]+)\r\n")
_UNREAD: Final = frozenset({"malformed_request", "headers_too_large"})
"""Whose path nobody could read is answered in the shape that both dialects know."""
_OLD: Final = b"HTTP/1.0 "
_BODILESS: Final = frozenset({204, 304})


class Answer(NamedTuple):
    """One answer; `whole` says whether its body came to its end, `bodiless` that it has none."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    bodiless: bool = False


def answers_in(raw: bytes, methods: tuple[bytes, ...]) -> list[Answer]:
    """Return the answers in what a connection gave. Raises Broken where it is no HTTP.

    `methods` are those of the requests: an answer to HEAD has no body, whatever its headers say.
    """
    found: list[Answer] = []
    while raw:
        head = b"HEAD" in methods and methods[min(len(found), len(methods) - 1)] == b"HEAD"
        answer, raw = _answer(raw, bodiless=head)
        if answer.status >= 200:
            found.append(answer)
    return found


def _answer(raw: bytes, *, bodiless: bool) -> tuple[Answer, bytes]:
    status_line = _STATUS.match(raw)
    if status_line is None:
        raise Broken(f"no status line: {raw[:80]!r}")
    status, at, headers = int(status_line[1]), status_line.end(), dict[str, str]()
    while raw[at : at + 2] != b"\r\n":
        header = _HEADER.match(raw, at)
        if header is None:
            raise Broken(f"no header: {raw[at : at + 80]!r}")
        headers[header[1].decode().lower()] = header[2].decode("latin-1")
        at = header.end()
    at += 2
    unasked = raw.startswith(_OLD)  # what could not be read is answered in the oldest form, whatever it may have been
    if (bodiless and not unasked) or status in _BODILESS or status < 200:
        return Answer(status, headers, b"", whole=True, bodiless=True), raw[at:]
    return _with_body(status, headers, raw[at:])


def _with_body(status: int, headers: dict[str, str], rest: bytes) -> tuple[Answer, bytes]:
    if headers.get("transfer-encoding") == "chunked":
        body, rest, whole = _dechunked(rest)
        return Answer(status, headers, body, whole), rest
    length = headers.get("content-length")
    if length is None:
        return Answer(status, headers, rest, whole=True), b""
    if not length.isdigit():
        raise Broken(f"a content-length of {length!r}")
    size = int(length)
    return Answer(status, headers, rest[:size], whole=len(rest) >= size), rest[size:]


def _dechunked(rest: bytes) -> tuple[bytes, bytes, bool]:
    body, at = bytearray(), 0
    while (chunk := _CHUNK.match(rest, at)) is not None:
        size = int(chunk[1], 16)
        body += rest[chunk.end() : chunk.end() + size]
        at = chunk.end() + size + 2
        if rest[at - 2 : at] not in (b"\r\n", b"\r", b""):
            raise Broken("a chunk that does not end where it says")
        if not size:
            return bytes(body), rest[at:], True
    return bytes(body), b"", False


def insist_on_shape(answer: Answer, path: str) -> str:
    """Return an error's code; insist that it is said in the shape of its face. Raises Broken where it is not."""
    if answer.status < 400 or not answer.whole:
        return ""
    if not answer.body and (answer.bodiless or "content-type" not in answer.headers):
        return "bare"
    if answer.headers.get("content-type", "").startswith("text/plain"):
        if answer.status != 400:
            raise Broken(f"{answer.status} in plain text: {answer.body[:80]!r}")
        return "plain"
    told = _object(answer.body)
    if isinstance(error := told.get("error"), dict) and error.get("code") in _UNREAD:
        return _client_error(told)
    if path.startswith("/fairlead/") or answer.headers.get("content-type") == "application/problem+json":
        return _problem(answer, told)
    return _client_error(told)


def _problem(answer: Answer, told: dict[str, Any]) -> str:
    if told.get("status") != answer.status or not told.get("title") or not isinstance(told.get("detail"), str):
        raise Broken(f"no problem details: {answer.body[:200]!r}")
    return str(told.get("type"))


def _client_error(told: dict[str, Any]) -> str:
    error = told.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str) or not error.get("type"):
        raise Broken(f"an error in no dialect's shape: {str(told)[:200]}")
    return str(error.get("code") or error["type"])


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError as error:
        raise Broken(f"an error that is no JSON ({error}): {body[:80]!r}") from error
    if not isinstance(told, dict):
        raise Broken(f"an error that is no object: {body[:80]!r}")
    return told
