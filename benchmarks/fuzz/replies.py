"""Whole answers of providers, errors among them: what they mean, what they count, and whether they do."""

from __future__ import annotations

import json
import random
from collections.abc import Hashable
from typing import Any, Final

from benchmarks.fuzz.captured import ANSWERS, REQUESTS, SURFACES, surface_of, table
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_json, mutated_lines
from benchmarks.fuzz.surface import Broken, Luck, Surface
from probes.cascade import CascadePolicy
from probes.dialects.classify import Diagnosis, ReplyFacts, classify
from probes.dialects.complaints import complaint_of, decode
from probes.dialects.hints import MAX_WAIT_S, NO_CLOCK
from probes.dialects.judging import judge, judge_beginning, judge_stream
from probes.dialects.quality import lacking
from probes.dialects.replies import read_reply
from probes.dialects.saying import said_of
from probes.dialects.texts import text_of
from probes.policy import Dialect

__all__ = ["REPLIES"]

_POLICY: Final = CascadePolicy(min_chars=3, min_logprob=-1.5, must_match=r"\w", must_not_match="(?i)as far as i know")
_LONGEST_REASON: Final = 400
_STATUSES: Final = (200, 200, 400, 401, 403, 404, 413, 422, 429, 500, 503, 529, 418, 599)
_TYPES: Final = ("application/json", "text/html; charset=x", "", "text/event-stream", "application/problem+json")


def _seeds() -> list[bytes]:
    bodies = [(surface_of(one.name), one.status, one.body) for one in ANSWERS]
    bodies += [(0, case["status"], json.dumps(case["body"]).encode()) for case in _cases()]
    bodies += [(0, 200, b'{"choices":[{"message":{"content":"{\\"a\\":1}"},"finish_reason":"stop"}],"usage":{}}')]
    return [bytes([surface, _place(status), 0, number % len(REQUESTS)]) + body
            for number, (surface, status, body) in enumerate(bodies)]  # fmt: skip


def _cases() -> list[dict[str, Any]]:
    found = table("error_cases")
    rows = found if isinstance(found, list) else next(each for each in found.values() if isinstance(each, list))
    return [row for row in rows if "status" in row and "body" in row]


def _place(status: object) -> int:
    return next((place for place, known in enumerate(_STATUSES) if known == status), 0)


def _mutated_body(data: bytes, luck: Luck) -> bytes:
    return data[:4] + mutated_json(data[4:], luck)


def _take(data: bytes) -> Hashable:
    control, body = data[:4].ljust(4, b"\0"), data[4:]
    surface = SURFACES[control[0] % len(SURFACES)]
    status = _STATUSES[control[1] % len(_STATUSES)]
    content_type = _TYPES[control[2] % len(_TYPES)]
    _, request = REQUESTS[control[3] % len(REQUESTS)]
    answer = read_reply(surface, content_type, body)
    dialect = surface.dialect if control[2] % 2 else Dialect.OPENAI
    facts = ReplyFacts(status=status, content_type=content_type, body=body, dialect=dialect)
    diagnosis = _sound(classify(facts, now_wall=NO_CLOCK))
    if answer.diagnosis is not None:
        _sound(answer.diagnosis)
    complaint_of(decode(body))
    said, text = said_of(surface, body), text_of(surface, body)
    lacks = lacking(surface, request, body)
    judge(_POLICY, surface, request, body)
    judge_stream(_POLICY, surface, request, said)
    judge_beginning(_POLICY, surface, request, said)
    # The other way round: whatever a client may ask of an answer.
    lacking(surface, body, request)
    judge_stream(_POLICY, surface, body, said)
    found = answer.diagnosis and answer.diagnosis.fault.value
    return (surface.name, status, diagnosis.fault.value, found, lacks, text is None, said.others, said.refused)


def _sound(diagnosis: Diagnosis) -> Diagnosis:
    """Insist that a reason is one short line and a wait one that can be waited. Raises Broken."""
    reason, wait = diagnosis.reason, diagnosis.retry_after_s
    if "\n" in reason or "\r" in reason or len(reason) > _LONGEST_REASON:
        raise Broken(f"a reason that is not one short line: {reason[:80]!r}")
    if wait is not None and not 0 <= wait <= MAX_WAIT_S:
        raise Broken(f"a wait of {wait} s")
    return diagnosis


def _other_facts(data: bytes, luck: Luck) -> bytes:
    control = bytearray(data[:4].ljust(4, b"\0"))
    control[luck.randrange(4)] = luck.randrange(256)
    return _mutated_body(bytes(control) + data[4:], random.Random(luck.getrandbits(32)))  # noqa: S311


REPLIES: Final = Surface(
    "replies",
    _seeds,
    mixed(_mutated_body, _mutated_body, _other_facts, mutated_bytes, mutated_lines),
    _take,
    share=9,
)
