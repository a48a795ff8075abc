"""The three active checks: what each sends, and what its answer says of a target."""

from __future__ import annotations

import msgspec

from probes.calls import UpstreamRequest
from probes.dialects.classify import ReplyFacts, classify
from probes.dialects.complaints import UNREADABLE
from probes.dialects.replies import read_reply
from probes.dialects.requests import CANARY_TOKENS, canary_request, catalog_request, liveness_request
from probes.dialects.streams import StreamReader
from probes.policy import Dialect, Provider
from probes.schedule import Errand
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Outcome, ProbeKind

__all__ = ["Finding", "canary_surface", "is_billed", "judge", "request_of"]

_SERVER_FAILED = 500


class Finding(msgspec.Struct, frozen=True):
    """What came back, before it is judged for each target."""

    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes
    latency_s: float
    first_s: float | None = None
    """To a canary's first token, where it came as a stream."""


class _Model(msgspec.Struct, frozen=True):
    id: str


class _Listing(msgspec.Struct, frozen=True):
    data: tuple[_Model, ...]


def request_of(errand: Errand, provider: Provider) -> UpstreamRequest:
    """Return what the check sends."""
    match errand.kind:
        case ProbeKind.LIVENESS:
            return liveness_request(provider)
        case ProbeKind.CATALOG:
            return catalog_request(provider)
        case ProbeKind.CANARY:
            return canary_request(provider, errand.model or provider.models[0])


def judge(errand: Errand, provider: Provider, model: str, finding: Finding) -> Outcome:
    """Return what `finding` says of `model`.

    Liveness asks only whether the edge answers; a catalog also proves the key, and knows a model that is not there; a
    canary is judged like any client's answer.
    """
    good = finding.status < _SERVER_FAILED if errand.kind is ProbeKind.LIVENESS else finding.status in range(200, 300)
    if not good:
        return _failed(provider, finding)
    if errand.kind is ProbeKind.CANARY:
        return _judge_canary(provider, finding)
    if errand.kind is ProbeKind.CATALOG and not _lists(provider, model, finding.body):
        return _outcome(finding, Fault.MODEL_NOT_FOUND, "the provider does not list this model")
    return _outcome(finding, None, "")


def canary_surface(provider: Provider) -> Surface:
    """Return the API call that a canary at `provider` makes."""
    return Surface.MESSAGES if provider.dialect is Dialect.ANTHROPIC else Surface.CHAT


def is_billed(outcome: Outcome) -> bool:
    """Return whether a canary that ended so may have been paid for: all but what was refused or reached nobody."""
    if outcome.fault in {Fault.UNREACHABLE, Fault.TLS}:
        return False
    return outcome.status is None or outcome.status in range(200, 300)


def _judge_canary(provider: Provider, finding: Finding) -> Outcome:
    surface = canary_surface(provider)
    if not finding.content_type.startswith("text/event-stream"):
        answer = read_reply(surface, finding.content_type, finding.body)
        diagnosis, tokens = answer.diagnosis, answer.usage.completion_tokens
        first_s: float | None = finding.latency_s
    else:
        reader = StreamReader(surface)
        reader.feed(finding.body)
        diagnosis, tokens, first_s = reader.end(), reader.usage.completion_tokens or CANARY_TOKENS, finding.first_s
    if diagnosis is not None:
        fault = Fault.BAD_REPLY if diagnosis.fault is Fault.CUT else diagnosis.fault
        return _outcome(finding, fault, diagnosis.reason)
    streamed = finding.first_s is not None
    return msgspec.structs.replace(_outcome(finding, None, ""), first_byte_s=first_s, streamed=streamed, tokens=tokens)


def _lists(provider: Provider, model: str, body: bytes) -> bool:
    """Return whether a listing leaves room for `model`; one that cannot be read, or lists nothing, proves nothing."""
    if provider.dialect is Dialect.SIMULATED:
        return True
    try:
        listed = {entry.id for entry in msgspec.json.decode(body, type=_Listing).data}
    except UNREADABLE:
        return True
    return not listed or any(name == model or name.endswith(f"/{model}") or name.startswith(model) for name in listed)


def _failed(provider: Provider, finding: Finding) -> Outcome:
    facts = ReplyFacts(
        status=finding.status,
        content_type=finding.content_type,
        headers=finding.headers,
        body=finding.body,
        dialect=provider.dialect,
    )
    diagnosis = classify(facts, now_wall=float("nan"))
    outcome = _outcome(finding, diagnosis.fault, diagnosis.reason)
    return msgspec.structs.replace(outcome, retry_after_s=diagnosis.retry_after_s)


def _outcome(finding: Finding, fault: Fault | None, reason: str) -> Outcome:
    return Outcome(fault=fault, status=finding.status, reason=reason, latency_s=finding.latency_s)
