"""What a request is, before anybody is asked to answer it: its tier, its task, whether a candidate was drawn for it."""

from __future__ import annotations

from daemon.relay.calls import ClientCall
from daemon.relay.course import Course
from daemon.relay.gear import AsksHowHard, Surroundings
from daemon.relay.journal import Journal
from daemon.routing.leases import Preference
from daemon.routing.sorting.drawing import CANARY, canaried, drawn
from daemon.routing.sorting.policy import Classifier, Tiers
from daemon.routing.sorting.tasks import TASK_HEADER, Signs, by_task
from daemon.routing.sorting.tiers import by_tier
from probes.dialects.complaints import decode
from probes.dialects.prompts import system_prompt, tools_offered
from state.outcome import Work

__all__ = ["is_drawn", "preferred", "sort"]

_KEY_HEADER = "idempotency-key"


async def sort(course: Course, journal: Journal, around: Surroundings) -> None:
    """Find out what the request is; where a model is asked for that, the time is its provider's."""
    asked_at = around.gear.clock()
    course.preference = await preferred(course.call, around.model)
    journal.label = course.preference.label or None
    if course.call.workload.classifier is Classifier.MODEL:
        journal.story.upstream_s += around.gear.clock() - asked_at


async def preferred(call: ClientCall, model: AsksHowHard | None) -> Preference:
    """Return which targets suit the request; `model` is asked how hard it is where the workload wants that."""
    canary, tiers = call.workload.canary, call.workload.tiers
    candidate = canary is not None and is_drawn(call, canary.share, CANARY)
    if tiers is not None and call.surface.work is not Work.EMBED:
        preference = await _by_tier(call, tiers, None if candidate else model)
    elif call.workload.tasks:
        preference = by_task(call.workload.tasks, _signs_of(call))
    else:
        preference = Preference()
    return canaried(canary, preference) if canary is not None and candidate else preference


def is_drawn(call: ClientCall, share: float, purpose: str) -> bool:
    """Return whether the request is among a `share` of all; a client that asks again with the same key is as before."""
    return drawn(share, _header(call, _KEY_HEADER) or call.request_id, purpose)


async def _by_tier(call: ClientCall, tiers: Tiers, model: AsksHowHard | None) -> Preference:
    from daemon.routing.complexity.features import asked_of  # noqa: PLC0415 - 10 ms and a megabyte, where tiers are
    from daemon.routing.complexity.heuristic import classify  # noqa: PLC0415 - the same

    asked = asked_of(call.surface, call.body)
    ruled = classify(asked)
    if model is None or call.workload.classifier is not Classifier.MODEL or not call.surface.generates:
        return by_tier(tiers, ruled)
    return by_tier(tiers, await model.classified(call, asked, ruled))


def _signs_of(call: ClientCall) -> Signs:
    request = decode(call.body)
    return Signs(_header(call, TASK_HEADER), system_prompt(call.surface, request), tools_offered(request))


def _header(call: ClientCall, name: str) -> str:
    return next((value for key, value in call.headers if key == name), "")
