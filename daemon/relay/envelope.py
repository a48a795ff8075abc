"""What routing reads of a request's body, and the two things it may change in it: the model's name, the wish for usage.

Everything else stays the bytes that the client sent: nothing is reordered, rewritten or dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

__all__ = ["Envelope", "EnvelopeProblem", "read_envelope", "with_model", "with_usage"]

_KEY = b'"model"'
_ESCAPE = b"\\u"
_HINT = b"\\u006"
_SPELLED = re.compile(rb'"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"(?=\s*:)')
"""The key in each of its spellings: all their escapes begin with the hint."""
_KEY_AND_VALUE = re.compile(rb'"model"\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")')
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]', re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_OPTIONS = b'"stream_options"'
_INCLUDE = b'"include_usage"'
_TRUE = b"true"
_WISH = b"{" + _INCLUDE + b":" + _TRUE + b"}"
_NULL = b"null"


_ABSENT = msgspec.Raw(b"")
_MOST_DIGITS = 10


class Envelope(msgspec.Struct, frozen=True):
    """The members of a request that routing reads; all others pass unread."""

    model: str
    stream: bool | None = None
    max_tokens: msgspec.Raw = _ABSENT
    max_completion_tokens: msgspec.Raw = _ABSENT
    max_output_tokens: msgspec.Raw = _ABSENT
    n: msgspec.Raw = _ABSENT

    @property
    def limit(self) -> int | None:
        """How many tokens the answer may have, None where the request does not say so in a way that can be read.

        Of several limits the highest is taken: which one holds is the provider's to say.
        """
        said = (self.max_tokens, self.max_completion_tokens, self.max_output_tokens)
        return max((number for each in said if (number := _number(each)) is not None), default=None)

    @property
    def answers(self) -> int:
        """How many answers are asked for at once: all of them are paid for."""
        return max(1, _number(self.n) or 1)


class EnvelopeProblem(msgspec.Struct, frozen=True):
    """Why a body cannot be routed, in words for the client."""

    message: str


_DECODER = msgspec.json.Decoder(Envelope)


def _number(said: msgspec.Raw) -> int | None:
    digits = bytes(said)
    return int(digits) if digits.isdigit() and len(digits) < _MOST_DIGITS else None


def read_envelope(body: bytes) -> Envelope | EnvelopeProblem:
    """Return what routing needs of `body`, or what is wrong with it."""
    try:
        if _ESCAPE in body and not body.isascii():
            body.decode()  # to find a name that is spelled with escapes, all of them are read: not only here
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
    if _HINT in body and any(key != _KEY for key in _SPELLED.findall(body)):
        return _encoded_anew(body, model)
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


def with_usage(body: bytes) -> bytes | None:
    """Return `body` with the wish that the stream tells its usage, every other byte as it was.

    `body` has passed `read_envelope`. None where it has that wish already, or one that cannot be read.
    """
    if _OPTIONS not in body and _ESCAPE not in body:
        return _with_first(body, _OPTIONS + b":" + _WISH)
    try:
        return _with_wish(body)
    except UnicodeDecodeError:  # in a name that nobody had to read so far
        return None


def _with_wish(body: bytes) -> bytes | None:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    options = bytes(members.get("stream_options", msgspec.Raw(_NULL)))
    if options == _NULL:
        return _with_member(body, _OPTIONS, _WISH)
    if not options.startswith(b"{"):
        return None
    wish = msgspec.json.decode(options, type=dict[str, msgspec.Raw]).get("include_usage", msgspec.Raw(_NULL))
    return None if bytes(wish) == _TRUE else _with_member(body, _OPTIONS, _with_member(options, _INCLUDE, _TRUE))


def _with_member(text: bytes, key: bytes, value: bytes) -> bytes:
    """Return the object in `text` with one member added, or put in the place of what it was."""
    name = msgspec.json.decode(key, type=str)
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    if name not in members:
        return _with_first(text, key + b":" + value)
    was = bytes(members[name])
    places = [at for at in _top_level_values(text, key) if text.startswith(was, at)]
    if places:
        return text[: places[-1]] + value + text[places[-1] + len(was) :]
    return msgspec.json.encode({**members, name: msgspec.Raw(value)})


def _with_first(text: bytes, member: bytes) -> bytes:
    """Return the object in `text` with one more member before its others."""
    head, brace, rest = text.partition(b"{")
    return b"".join((head, brace, member, b"" if rest.lstrip().startswith(b"}") else b",", rest))


def _sole_span(body: bytes) -> list[tuple[int, int]]:
    """Find the value where `"model"` stands only once in the whole body: the common case, found quickly."""
    first = body.find(_KEY)
    if first < 0 or body.find(_KEY, first + 1) >= 0 or body[first - 1 : first] == b"\\":
        return []
    match = _KEY_AND_VALUE.match(body, first)
    return [match.span(1)] if match else []


def _top_level_spans(body: bytes) -> list[tuple[int, int]]:
    """Find every value whose key is `model` in the outermost object."""
    values = (_STRING.match(body, at) for at in _top_level_values(body, _KEY))
    return [value.span() for value in values if value]


def _top_level_values(body: bytes, key: bytes) -> Iterator[int]:
    """Yield where the value of each member called `key` begins in the outermost object."""
    depth = 0
    for token in _TOKEN.finditer(body):
        text = token.group()
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        elif depth == 1 and text == key and (colon := _COLON.match(body, token.end())):
            yield colon.end()


def _encoded_anew(body: bytes, model: str) -> bytes:
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(members)
