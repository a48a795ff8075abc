"""What only operators may do: drain, resume, probe and reload; and how the control face refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import anyio
import msgspec
from aiohttp import ClientPayloadError, web

from daemon.access.visitors import VISITOR
from daemon.alerts.alarm import Alarm
from daemon.faces.refusals import Refusal, RefusalKind
from daemon.in_force import InForce
from daemon.lease_desk import LeaseDesk
from daemon.rehearsals import Rehearsal, Rehearsals
from daemon.routing.leases import DispatcherView
from probes.prober import ProbeRequested, ProberMessage
from state.durations import LONGEST_DRAIN_S
from state.faults import Fault
from state.history.charges import BudgetRow
from state.history.condition import RecorderState
from state.history.rows import OperationRow, RecorderMessage
from state.mailbox import Address, Reply
from state.messages import DrainRequested, RegistryMessage, ResumeRequested
from state.outcome import Outcome, ProbeKind
from state.targets import TargetName

__all__ = ["VERBS", "Controls", "Operating", "Problem", "Tail", "existing_target", "json_body", "operator", "problem"]

T = TypeVar("T")
_UNREHEARSED: Final = frozenset({Fault.CANCELLED, Fault.INVALID_REQUEST, Fault.CUT})
VERBS: Final = frozenset({"drain", "resume", "probe"})
_PATIENCE_S = 15.0


class Tail(msgspec.Struct, frozen=True):
    """What following the history needs."""

    path: Callable[[], Path]
    stopping: anyio.Event
    """Set once the daemon ends: streams must end then, or they would hold it up."""
    wall: Callable[[], float]
    """Unix seconds."""


class Controls(msgspec.Struct, frozen=True):
    """What the control face asks and turns."""

    desk: LeaseDesk
    registry: Address[RegistryMessage]
    prober: Address[ProberMessage]
    recorder: Address[RecorderMessage]
    recorder_state: Callable[[], RecorderState]
    spent_usd: Callable[[str], float]
    """What the canaries at a provider have cost within 24 hours."""
    budgets: Callable[[], Iterable[BudgetRow]]
    """How every limit in dollars stands."""
    reload: Callable[[str], Awaitable[tuple[str, ...]]]
    """Swaps the configuration on behalf of the named user; returns the problems, none where it is in force."""
    version: str
    started_at: float
    rehearsals: Rehearsals
    alarm: Alarm
    tail: Tail


class _Drain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    for_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    reason: str = ""


class _Rehearse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workload: str
    fault: Fault
    count: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    target: str | None = None
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1


class _Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: ProbeKind = ProbeKind.CATALOG


class Problem(Exception):
    """A refusal on its way to the one place that answers with it."""

    def __init__(self, refusal: Refusal) -> None:
        """Carry `refusal`."""
        super().__init__(refusal.message)
        self.refusal = refusal


class Operating:
    """Does what operators ask: the gate lets nobody else come here."""

    def __init__(self, controls: Controls, in_force: InForce, clock: Callable[[], float]) -> None:
        """Turn `controls`."""
        self._controls = controls
        self._in_force = in_force
        self._clock = clock

    async def reload(self, request: web.BaseRequest) -> dict[str, Any]:
        """Swap the configuration for the one on disk. Raises Problem where that one is invalid."""
        problems = await self._controls.reload(operator(request))
        if problems:
            message = "The new configuration is invalid and was not put in force; the old one still is."
            raise Problem(Refusal(kind=RefusalKind.INVALID_CONFIGURATION, message=message, problems=problems))
        return {"ok": True, "source": self._in_force.configuration.source}

    async def rehearse(self, request: web.BaseRequest) -> dict[str, Any]:
        """Order a fault for the next requests of a workload. Raises Problem where that may or can not be."""
        by = operator(request)
        asked = await json_body(request, _Rehearse)
        workload = self._in_force.routes.workloads.get(asked.workload)
        if workload is None:
            known = ", ".join(self._in_force.routes.workloads)
            raise problem(RefusalKind.WORKLOAD_UNKNOWN, f"No workload is called {asked.workload!r}; there are {known}.")
        if asked.fault in _UNREHEARSED:
            message = f"{asked.fault} cannot be rehearsed: it is the client's own, or comes after an answer has begun."
            raise problem(RefusalKind.INVALID_REQUEST, message)
        if asked.target is not None and asked.target not in workload.targets:
            raise problem(RefusalKind.NOT_FOUND, f"{asked.target!r} is no target of {asked.workload}.")
        target = None if asked.target is None else TargetName(asked.target)
        order = Rehearsal(
            workload=asked.workload,
            fault=asked.fault,
            count=asked.count,
            target=target,
            attempts=asked.attempts,
            by=by,
        )
        self._controls.rehearsals.order(order)
        reason = f"{asked.fault.value} for {asked.count} requests of {asked.workload}"
        self._controls.recorder.post(
            OperationRow(at=self._clock(), verb="mock-fault", target=target, by=by, reason=reason)
        )
        return {"workload": asked.workload, "fault": asked.fault, "count": asked.count, "target": target}

    async def operate(self, request: web.BaseRequest, verb: str, target: TargetName) -> dict[str, Any]:
        """Drain, resume or probe `target`."""
        by = operator(request)
        match verb:
            case "drain":
                return await self._drain(target, by, await json_body(request, _Drain))
            case "resume":
                return await self._resume(target, by)
            case _:
                return await self._probe(target, by, await json_body(request, _Probe))

    async def _drain(self, target: TargetName, by: str, asked: _Drain) -> dict[str, Any]:
        if asked.for_s is not None and asked.for_s > LONGEST_DRAIN_S:
            message = f"A drain lasts at most ten years, {LONGEST_DRAIN_S:.0f} s; without for_s it lasts until resume."
            raise problem(RefusalKind.INVALID_REQUEST, message)
        until = None if asked.for_s is None else self._clock() + asked.for_s
        reply: Reply[bool] = Reply()
        self._controls.registry.post(
            DrainRequested(target=target, by=by, reason=asked.reason, until=until, reply=reply)
        )
        await _answered(reply)
        return {"target": target, "drained": True, "for_s": asked.for_s}

    async def _resume(self, target: TargetName, by: str) -> dict[str, Any]:
        reply: Reply[bool] = Reply()
        self._controls.registry.post(ResumeRequested(target=target, by=by, reply=reply))
        await _answered(reply)
        return {"target": target, "drained": False}

    async def _probe(self, target: TargetName, by: str, asked: _Probe) -> dict[str, Any]:
        reply: Reply[Outcome | None] = Reply()
        self._controls.prober.post(ProbeRequested(target=target, kind=asked.kind, by=by, reply=reply))
        outcome = await _answered(reply)
        return {
            "target": target,
            "kind": asked.kind.value,
            "ok": outcome is not None and outcome.succeeded,
            "fault": outcome.fault.value if outcome and outcome.fault else None,
            "reason": outcome.reason if outcome else "no such target",
            "latency_ms": round(outcome.latency_s * 1e3, 1) if outcome else None,
        }


def operator(request: web.BaseRequest) -> str:
    """Return the name of the operator who asks."""
    return request[VISITOR].caller.user


def problem(kind: RefusalKind, message: str) -> Problem:
    """Return the exception that answers with a refusal."""
    return Problem(Refusal(kind=kind, message=message))


def existing_target(view: DispatcherView, provider: str, model: str) -> TargetName:
    """Return the name of a target that exists. Raises Problem where there is none of that name."""
    name = TargetName(f"{provider}/{model}")
    if name not in view.snapshot.targets or name not in view.routes.places:
        known = ", ".join(view.routes.places)
        raise problem(RefusalKind.NOT_FOUND, f"There is no target {name}; there are {known}.")
    return name


async def json_body(request: web.BaseRequest, shape: type[T]) -> T:
    """Return the request's body as `shape`, its defaults where it is empty. Raises Problem where it does not fit."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, web.HTTPRequestEntityTooLarge) as error:
        raise problem(RefusalKind.INVALID_REQUEST, f"The request's body does not fit: {error}.") from error
    except (web.RequestPayloadError, ClientPayloadError) as error:
        raise problem(RefusalKind.INVALID_BODY, f"The request's body cannot be read: {error}.") from error


async def _answered(reply: Reply[T]) -> T:
    with anyio.move_on_after(_PATIENCE_S):
        return await reply.wait()
    raise problem(RefusalKind.STOPPING, f"No answer within {_PATIENCE_S:g}s; the daemon may be stopping.")
