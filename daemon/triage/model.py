"""The classifier `model`: it asks, remembers what was said, and leaves the rest to the rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import anyio
from msgspec.structs import replace

from daemon.relay.calls import ClientCall
from daemon.relay.gear import Surroundings
from daemon.relay.request_ids import new_request_id
from daemon.relay.session import Session
from daemon.relay.unheard import Unheard
from daemon.routing.complexity.tiers import Classified, Tier
from daemon.routing.policy import Routes, Workload
from daemon.triage.memory import Memory
from daemon.triage.question import MOST_CHARACTERS, MOST_TOKENS, question_about, surface_of, tier_said
from probes.dialects.texts import text_of

if TYPE_CHECKING:
    from daemon.routing.complexity.features import Asked

__all__ = ["ModelClassifier"]

_MOST_AT_ONCE: Final = 32
"""Questions under way; a request on top of them is sorted by the rule alone, without waiting."""
_OK: Final = 200
_LATE: Final = 504
_JSON: Final = (("content-type", "application/json"),)


class ModelClassifier:
    """Asks workloads how hard requests are: on the request's own turn, and never for longer than its workload wants."""

    def __init__(self, routes: Callable[[], Routes], around: Callable[[], Surroundings]) -> None:
        """Ask the workloads of `routes`, in the surroundings of the moment."""
        self._routes = routes
        self._around = around
        self._memory = Memory()
        self._under_way = 0

    async def classified(self, call: ClientCall, asked: Asked, ruled: Classified) -> Classified:
        """Return what the model takes the request for; on any fault `ruled`, which says what the fault was."""
        text, judge = asked.text[:MOST_CHARACTERS], call.workload.classifier_workload
        if not text.strip():
            return _despite("there is no text to show the model", ruled)
        known = self._memory.recall(judge, text)
        if known is not None:
            return replace(ruled, tier=known, reasons=("the model said so before",))
        said = await self._said(call, text)
        if not isinstance(said, Tier):
            return _despite(said, ruled)
        self._memory.keep(judge, text, said)
        return replace(ruled, tier=said, reasons=("the model says so",))

    async def _said(self, call: ClientCall, text: str) -> Tier | str:
        """Return the tier that the model names, or in words why there is none."""
        routes = self._routes()
        workload = routes.workloads.get(call.workload.classifier_workload)
        if workload is None:
            return "there is no classifier_workload any more"
        if self._under_way >= _MOST_AT_ONCE:
            return "the model is busy"
        self._under_way += 1
        try:
            around = self._around()
            return await _answer(_question(call, text, (workload, routes), around.gear.clock()), around)
        finally:
            self._under_way -= 1


def _question(call: ClientCall, text: str, asked: tuple[Workload, Routes], now: float) -> ClientCall:
    workload, routes = asked
    surface = surface_of(workload, routes)
    body = question_about(text, surface, workload)
    return ClientCall(
        request_id=new_request_id(),
        surface=surface,
        workload=workload,
        model=workload.name,
        streamed=False,
        headers=_JSON,
        query="",
        body=body,
        arrived_at=now,
        deadline=min(call.deadline, now + call.workload.classifier_deadline),
        choosy=routes.choosy(workload, len(body)),
        max_tokens=MOST_TOKENS,
        charged=replace(call.charged, workload=workload.name, purpose="classify"),
    )


async def _answer(question: ClientCall, around: Surroundings) -> Tier | str:
    answer = None
    with anyio.move_on_after(question.deadline - question.arrived_at):
        answer = await Session(question, around).run(Unheard())
    if answer is None or answer.status == _LATE:
        return "the model did not answer in time"
    if answer.status != _OK:
        return f"the model did not answer, status {answer.status}"
    return tier_said(text_of(question.surface, answer.body)) or "the model named no tier"


def _despite(trouble: str, ruled: Classified) -> Classified:
    first, *others = ruled.reasons or ("nothing speaks for another",)
    return replace(ruled, reasons=(f"{trouble}; {first}", *others))
