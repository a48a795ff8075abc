"""Requests' bodies as routing reads and rewrites them: everything but what it may change must stay."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any, Final

from benchmarks.fuzz.captured import REQUESTS, SURFACES
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_json
from benchmarks.fuzz.surface import Broken, Luck, Surface
from daemon.degraded.keys import Asker, answer_key
from daemon.relay.envelope import EnvelopeProblem, read_envelope, with_model, with_usage
from daemon.routing.complexity.features import asked_of
from daemon.routing.complexity.heuristic import classify
from probes.dialects.complaints import decode
from probes.dialects.continuing import continued_body
from probes.dialects.needs import estimated_tokens, needs_of
from probes.dialects.prompts import system_prompt, tools_offered
from probes.dialects.quality import asked_format
from probes.dialects.rendering import wants_usage
from probes.surfaces import Surface as Call

__all__ = ["BODIES"]

_MODEL: Final = 'other "model"'


def _seeds() -> list[bytes]:
    whole = [bytes([SURFACES.index(surface)]) + body for surface, body in REQUESTS]
    odd = (
        b'{"mod\\u0065l":"a","x":{"model":"b"},"model":"c"}',
        b'{"model":"a","stream_options":null,"stream":true}',
        b'{"x":"\\"model\\":","model" : "a"}',
    )
    return [*whole, *(b"\0" + body for body in odd)]


def _mutated_body(data: bytes, luck: Luck) -> bytes:
    return data[:1] + mutated_json(data[1:], luck)


def _take(data: bytes) -> Hashable:
    surface = SURFACES[data[0] % len(SURFACES)] if data else Call.CHAT
    body = data[1:]
    _overread(surface, body)
    envelope = read_envelope(body)
    if isinstance(envelope, EnvelopeProblem):
        if "\n" in envelope.message or len(envelope.message) > 2000:
            raise Broken(f"a problem that is not one line: {envelope.message[:80]!r}")
        return ("problem", envelope.message.partition(":")[0])
    _insist_on_limits(envelope.limit, envelope.answers)
    before, renamed = _members(body), _members(with_model(body, _MODEL))
    if renamed.pop("model", None) != _MODEL or renamed != {key: before[key] for key in before if key != "model"}:
        raise Broken("with_model changed more than the model")
    wished = with_usage(body)
    if wished is not None:
        _insist_on_wish(before, wished)
    return (
        surface.name,
        _kind(envelope.stream),
        _kind(envelope.limit),
        envelope.answers > 1,
        wished is None,
        *_about(surface, body),
    )


def _about(surface: Call, body: bytes) -> tuple[Hashable, ...]:
    asked = asked_of(surface, body)
    needs = needs_of(body)
    if needs.tokens < 0 or estimated_tokens(body) < 0:
        raise Broken(f"needs of {needs}")
    key = answer_key("w", surface, body, Asker(uid=1))
    continued = continued_body(surface, body, "So ")
    if continued is not None and isinstance(read_envelope(continued), EnvelopeProblem):
        raise Broken("a continued body that cannot be read")
    return (
        str(classify(asked).tier),
        tuple(sorted(name[:12] for name in needs.features)[:4]),
        key is None,
        continued is None,
    )


def _overread(surface: Call, body: bytes) -> None:
    request = decode(body)
    system_prompt(surface, request)
    tools_offered(request)
    wants_usage(body)
    asked_format(surface, body)


def _insist_on_limits(limit: int | None, answers: int) -> None:
    if (limit is not None and not 0 <= limit < 10**10) or not 1 <= answers < 10**10:
        raise Broken(f"a limit of {limit} for {answers} answers")


def _insist_on_wish(before: dict[str, Any], wished: bytes) -> None:
    after = _members(wished)
    options = after.get("stream_options", {"include_usage": True})
    if not isinstance(options, dict) or options.get("include_usage") is not True:
        raise Broken("with_usage did not wish")
    if {key: after[key] for key in after if key != "stream_options"} != {
        key: before[key] for key in before if key != "stream_options"
    }:
        raise Broken("with_usage changed more than the wish")


def _members(body: bytes) -> dict[str, Any]:
    """Return the members of a body as another parser reads them, numbers and texts as they are spelled."""
    try:
        return dict(json.loads(body.decode("utf-8", "surrogateescape"), parse_int=str, parse_float=str))
    except RecursionError:
        return {"model": _MODEL}


def _kind(value: object) -> str:
    return type(value).__name__


BODIES: Final = Surface("bodies", _seeds, mixed(_mutated_body, _mutated_body, _mutated_body, mutated_bytes), _take, 8)
