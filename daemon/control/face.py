"""The control face: what operators and the command line ask under `/fairlead/v1/`, answered as JSON or as a problem."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from aiohttp import web

from daemon.access.visitors import VISITOR
from daemon.control import picture
from daemon.control.eventing import Eventing
from daemon.control.explaining import explained
from daemon.control.operating import (
    VERBS,
    Controls,
    Operating,
    Problem,
    existing_target,
    json_body,
    operator,
    problem,
)
from daemon.control.previewing import previewed
from daemon.control.pruning import Pruning
from daemon.control.reporting import Report, Reporting
from daemon.control.reviewing import Look, Reviewing
from daemon.faces.refusals import RefusalKind, problem_body
from daemon.faces.telling import say_refused
from daemon.in_force import InForce
from state.errors import HistoryError
from state.history.inspection import QueryLimits
from state.history.inspection import query as run_query
from state.history.rows import FlushRequested
from state.mailbox import Reply

__all__ = ["ControlFace"]

_FLUSH_S = 1.0


class _Sql(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    query: str


def _role(request: web.BaseRequest) -> str | None:
    """Return what whoever asks may do."""
    role = request[VISITOR].role
    return None if role is None else role.word


class ControlFace:
    """Turns HTTP requests under `/fairlead/v1` into questions to the actors."""

    def __init__(self, controls: Controls, in_force: InForce, clock: Callable[[], float]) -> None:
        """Answer from `controls` and the configuration in force."""
        self._controls = controls
        self._operating = Operating(controls, in_force, clock)
        self._in_force = in_force
        self._clock = clock
        self._eventing = Eventing(controls.tail)
        self._reviewing = Reviewing(controls.recorder, controls.tail.path, clock)
        self._pruning = Pruning(controls.recorder, clock)
        self._reporting = Reporting(controls.registry, controls.recorder, controls.alarm, clock)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            if request.path == "/fairlead/v1/events" and request.method == "GET":
                await self._flushed()
                return await self._eventing.stream(request)
            answer = await self._dispatch(request)
        except Problem as refused:
            say_refused(refused.refusal, None)
            body = problem_body(refused.refusal)
            return web.Response(status=refused.refusal.status, body=body, content_type="application/problem+json")
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _dispatch(self, request: web.BaseRequest) -> object:
        place = request.path.removeprefix("/fairlead/v1/").strip("/")
        match request.method, place.split("/"):
            case "GET" | "HEAD", words:
                answer = await self._read(request, words)
            case "POST", ["sql"]:
                answer = await self._sql(await json_body(request, _Sql))
            case "POST", ["report"]:
                report = await json_body(request, Report)
                answer = self._reporting.take(report, request[VISITOR].caller.user, await self._controls.desk.view())
            case "POST", ["mock-fault"]:
                answer = await self._operating.rehearse(request)
            case "POST", ["reviews", request_id]:
                answer = await self._reviewing.decide(request_id, await json_body(request, Look), operator(request))
            case "POST", ["history", "prune"]:
                answer = await self._pruning.prune(request, operator(request))
            case "POST", ["reload"]:
                answer = await self._operating.reload(request)
            case "POST", ["targets", provider, *model, verb] if verb in VERBS:
                target = existing_target(await self._controls.desk.view(), provider, "/".join(model))
                answer = await self._operating.operate(request, verb, target)
            case _:
                answer = None
        if answer is None:
            raise problem(
                RefusalKind.NOT_FOUND,
                f"There is no {request.method} {request.path}. Under /fairlead/v1/ there are GET status, targets, "
                "targets/{provider}/{model}, workloads, route?workload=W, explain/{request_id}, events; POST sql, "
                "report, mock-fault, reload, reviews/{request_id}, history/prune, "
                "targets/{provider}/{model}/drain, /resume, /probe.",
            )
        return answer

    async def _read(self, request: web.BaseRequest, words: list[str]) -> dict[str, Any] | None:
        match words:
            case ["status"]:
                return await self._status() | {"role": _role(request)}
            case ["targets"] | ["workloads"]:
                return {words[0]: (await self._status())[words[0]]}
            case ["route"]:
                return await self._route(request)
            case ["explain", request_id]:
                await self._flushed()
                return await explained(self._controls.tail.path, request_id)
            case ["targets", provider, *model]:
                return await self._target(provider, "/".join(model))
            case _:
                return None

    async def _status(self) -> dict[str, Any]:
        view = await self._controls.desk.view()
        now = self._clock()
        state = self._controls.recorder_state()
        recent = self._controls.alarm.recent()
        workloads = picture.workload_picture(view, now, recent)
        return {
            "version": self._controls.version,
            "pid": os.getpid(),
            "ready": all(workload["available"] for workload in workloads),
            "uptime_s": round(now - self._controls.started_at, 1),
            "problems": [*picture.problems(view, state, self._in_force, now), *picture.degraded_problems(recent)],
            "rehearsals": [msgspec.to_builtins(order) for order in self._controls.rehearsals.pending()],
            "targets": [picture.target_picture(health, view, now) for health in view.snapshot.targets.values()],
            "workloads": workloads,
            "canaries": picture.canaries_picture(self._in_force.configuration.providers, self._controls.spent_usd),
            "budgets": picture.budgets_picture(self._controls.budgets()),
            "history": picture.history_picture(state),
            "config": {"source": self._in_force.configuration.source, "stale": bool(self._in_force.stale)},
        }

    async def _target(self, provider: str, model: str) -> dict[str, Any]:
        view = await self._controls.desk.view()
        target = existing_target(view, provider, model)
        return picture.target_picture(view.snapshot.targets[target], view, self._clock())

    async def _route(self, request: web.BaseRequest) -> dict[str, Any]:
        query = previewed(request.rel_url.query, self._in_force.routes)
        view = await self._controls.desk.view()
        choice = await self._controls.desk.preview(query)
        shown = picture.route_picture(choice, view, picture.base_urls(self._in_force))
        return {**shown, "label": query.preference.label or None, "why": query.preference.why or None}

    async def _flushed(self) -> None:
        """Let what has just happened reach the file: whoever asks wants to see it."""
        saved: Reply[bool] = Reply()
        self._controls.recorder.post(FlushRequested(reply=saved))
        with anyio.move_on_after(_FLUSH_S):
            await saved.wait()

    async def _sql(self, asked: _Sql) -> dict[str, Any]:
        await self._flushed()
        path = self._controls.recorder_state().path
        try:
            table = await anyio.to_thread.run_sync(lambda: run_query(path, asked.query, limits=QueryLimits()))
        except HistoryError as error:
            raise problem(RefusalKind.INVALID_REQUEST, str(error)) from error
        return {"columns": table.columns, "rows": table.rows, "truncated": table.truncated}
