"""What routing reads of a request's body, and the one thing it may change in it: the model's name.

Everything else stays the bytes that the client sent: nothing is reordered, rewritten or dropped.
"""

from __future__ import annotations

import re

import msgspec

__all__ = ["Envelope", "EnvelopeProblem", "read_envelope", "with_model"]

_KEY = b'"model"'
_KEY_AND_VALUE = re.compile(rb'"model"\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")')
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_VALUE = re.compile(rb'\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)


_ABSENT = msgspec.Raw(b"")
_MOST_DIGITS = 10


class Envelope(msgspec.Struct, frozen=True):
    """The members of a request that routing reads; all others pass unread."""

    model: str
    stream: bool | None = None
    max_tokens: msgspec.Raw = _ABSENT
    max_completion_tokens: msgspec.Raw = _ABSENT
    max_output_tokens: msgspec.Raw = _ABSENT

    @property
    def limit(self) -> int | None:
        """How many tokens the answer may have, None where the request does not say so in a way that can be read."""
        for said in (self.max_tokens, self.max_completion_tokens, self.max_output_tokens):
            if said is not _ABSENT and (digits := bytes(said)).isdigit() and len(digits) < _MOST_DIGITS:
                return int(digits)
        return None


class EnvelopeProblem(msgspec.Struct, frozen=True):
    """Why a body cannot be routed, in words for the client."""

    message: str


_DECODER = msgspec.json.Decoder(Envelope)


def read_envelope(body: bytes) -> Envelope | EnvelopeProblem:
    """Return what routing needs of `body`, or what is wrong with it."""
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as problem:
        return EnvelopeProblem(f"The request's JSON does not fit: {problem}.")
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        return EnvelopeProblem(f"The request's body is not valid JSON: {problem}.")
    except RecursionError:
        return EnvelopeProblem("The request's JSON is nested too deeply to be read.")


def with_model(body: bytes, model: str) -> bytes:
    """Return `body` with its top-level `model` set to `model` and every other byte as it was.

    `body` has passed `read_envelope`. Only where the key is spelled with escapes is the body encoded anew.
    """
    value = msgspec.json.encode(model)
    spans = _sole_span(body) or _top_level_spans(body)
    if not spans:
        return _encoded_anew(body, model)
    pieces = []
    end = 0
    for start, stop in spans:
        pieces += [body[end:start], value]
        end = stop
    pieces.append(body[end:])
    return b"".join(pieces)


def _sole_span(body: bytes) -> list[tuple[int, int]]:
    """Find the value where `"model"` stands only once in the whole body: the common case, found quickly."""
    first = body.find(_KEY)
    if first < 0 or body.find(_KEY, first + 1) >= 0 or body[first - 1 : first] == b"\\":
        return []
    match = _KEY_AND_VALUE.match(body, first)
    return [match.span(1)] if match else []


def _top_level_spans(body: bytes) -> list[tuple[int, int]]:
    """Find every value whose key is `model` in the outermost object."""
    spans = []
    depth = 0
    for token in _TOKEN.finditer(body):
        text = token.group()
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif depth == 1 and text == _KEY and (value := _VALUE.match(body, token.end())):
            spans.append(value.span(1))
    return spans


def _encoded_anew(body: bytes, model: str) -> bytes:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(members)
