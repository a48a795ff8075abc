"""One client request from its arrival to its end: lease, exchange, and past the targets that fail."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import msgspec

from daemon.faces.refusals import Refusal, refusal_body, refusal_headers
from daemon.lease_desk import LeaseDesk
from daemon.relay.calls import Answer, Broken, Client, ClientCall, ClientLeft, Failed, Streamed, Whole
from daemon.relay.envelope import with_model
from daemon.relay.exchange import Exchange, Gear
from daemon.relay.headers import answer_headers, story_headers
from daemon.relay.journal import Ending, Journal, Witnesses
from daemon.relay.refusing import Tried, deadline_passed, exhausted, no_lease, passed_on, too_long
from daemon.routing.chain import Fallback, Situation, next_step
from daemon.routing.leases import Lease, NoLease, RouteQuery
from probes.dialects.requests import RequestForm
from probes.policy import Provider
from state.faults import Fault
from state.outcome import Outcome
from state.targets import split_target

__all__ = ["Session", "Surroundings"]

_LEFT = 499
"""nginx's status for a client that left before its answer; it is only ever written down, never sent."""


class Surroundings(msgspec.Struct, frozen=True):
    """What every session works with."""

    desk: LeaseDesk
    gear: Gear
    witnesses: Witnesses
    providers: Mapping[str, Provider]
    forms: Mapping[str, RequestForm]
    """What all requests to a provider have in common, by its name."""


class Session:
    """The life of one request. `run` once."""

    def __init__(self, call: ClientCall, around: Surroundings) -> None:
        """Take up `call`."""
        self._call = call
        self._around = around
        self._journal = Journal(call, around.witnesses)
        self._tried: list[Tried] = []
        self._client: Client

    async def run(self, client: Client) -> Answer | None:
        """Return the answer, or None where it was streamed to `client`.

        Raises ClientLeft, or is cancelled, when the client leaves; the request is then written down as cancelled.
        """
        self._client = client
        try:
            return await self._answer()
        except (ClientLeft, anyio.get_cancelled_exc_class()):
            self._journal.ended(Ending(outcome="cancelled", status=_LEFT))
            raise

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin the client's stream with the provider's headers and the story so far."""
        story = self._journal.story
        now = self._around.gear.clock()
        story.first_byte_s = now - self._call.arrived_at
        own = story_headers(self._call, story, now)
        await self._client.start(status, answer_headers(headers, own, "text/event-stream"))

    async def write(self, piece: bytes) -> None:
        """Pass a piece of the stream on."""
        await self._client.write(piece)

    async def _answer(self) -> Answer | None:
        if refusal := too_long(self._call):
            return self._refuse(refusal, "refused")
        while True:
            query = RouteQuery(
                request_id=self._call.request_id,
                workload=self._call.workload,
                surface=self._call.surface,
                number=len(self._tried) + 1,
                tried=tuple(target for target, _ in self._tried),
                deadline=self._call.deadline,
            )
            asked_at = self._around.gear.clock()
            async with self._around.desk.lease(query) as lease:
                self._decided(lease, asked_at)
                if isinstance(lease, NoLease):
                    return self._without_lease(lease)
                result = await self._attempt(lease)
            match result:
                case Whole():
                    return self._whole(result)
                case Streamed() | Broken():
                    outcome = "ok" if isinstance(result, Streamed) else "cut"
                    self._journal.ended(Ending(outcome=outcome, status=200, last=result.outcome, usage=result.usage))
                    return None
                case Failed():
                    if (answer := self._after(result)) is not None:
                        return answer

    def _decided(self, lease: Lease | NoLease, asked_at: float) -> None:
        story = self._journal.story
        story.queue_s += lease.waited_s
        story.decide_s += max(0.0, self._around.gear.clock() - asked_at - lease.waited_s)
        self._journal.decided(lease.choice, len(self._tried) + 1)
        if isinstance(lease, NoLease):
            return
        if self._tried:
            origin, outcome = self._tried[-1]
            self._journal.fell_back(origin, lease.target, outcome)
        elif (primary := lease.choice.primary) is not None and primary != lease.target:
            self._journal.fell_back(primary, lease.target, Outcome(reason=lease.choice.reason))

    async def _attempt(self, lease: Lease) -> Whole | Streamed | Broken | Failed:
        provider_name, model = split_target(lease.target)
        provider = self._around.providers[provider_name]
        body = self._call.body if model == self._call.model else with_model(self._call.body, model)
        form = self._around.forms[provider_name]
        request = form.upstream(self._call.surface, self._call.headers, body, self._call.query)
        story = self._journal.story
        story.target = lease.target
        story.attempts += 1
        exchange = Exchange(self._call, provider, self._around.gear)
        try:
            result = await exchange.run(request, self)
        except (ClientLeft, anyio.get_cancelled_exc_class()):
            self._journal.attempted(lease.target, exchange.abandoned())
            raise
        self._journal.attempted(lease.target, result.outcome)
        self._tried.append((lease.target, result.outcome))
        return result

    def _whole(self, result: Whole) -> Answer:
        story = self._journal.story
        now = self._around.gear.clock()
        story.first_byte_s = now - self._call.arrived_at
        story.connect_s = result.connect_s
        own = story_headers(self._call, story, now)
        self._journal.ended(Ending(outcome="ok", status=result.status, last=result.outcome, usage=result.usage))
        return Answer(
            status=result.status, headers=answer_headers(result.headers, own, "application/json"), body=result.body
        )

    def _after(self, failed: Failed) -> Answer | None:
        """Return what the client is told after a failed attempt, None where the next target is tried."""
        situation = Situation(
            outcome=failed.outcome,
            attempts=len(self._tried),
            fallback_allowed=self._call.fallback_allowed,
            now=self._around.gear.clock(),
            deadline=self._call.deadline,
        )
        step = next_step(self._call.workload, situation)
        if isinstance(step, Fallback):
            return None
        if failed.outcome.fault is Fault.CANCELLED:
            return self._refuse(deadline_passed(self._tried), "failed")
        if (answer := self._passed_on(failed)) is not None:
            return answer
        return self._refuse(exhausted(self._call, self._tried, step.reason), "failed")

    def _passed_on(self, failed: Failed) -> Answer | None:
        """Return the provider's own words, where they are for the client to read and nothing else was tried."""
        workload = self._call.workload
        if failed.outcome.fault in workload.fallback_on and (
            len(self._tried) > 1 or workload.degraded.mode == "static"
        ):
            return None
        own = story_headers(self._call, self._journal.story, self._around.gear.clock())
        answer = passed_on(failed, own)
        if answer is not None:
            self._journal.ended(Ending(outcome="failed", status=answer.status, last=failed.outcome))
        return answer

    def _without_lease(self, lease: NoLease) -> Answer:
        if self._tried:
            return self._refuse(exhausted(self._call, self._tried, "No other target is left."), "failed")
        return self._refuse(no_lease(self._call, lease), "refused")

    def _refuse(self, refusal: Refusal, outcome: str) -> Answer:
        story = self._journal.story
        last = self._tried[-1][1] if self._tried else None
        if self._call.workload.degraded.mode == "static" and refusal.status >= 500:  # noqa: PLR2004
            story.degraded = "static"
        headers = story_headers(self._call, story, self._around.gear.clock()) | refusal_headers(refusal)
        headers["content-type"] = "application/json"
        self._journal.ended(Ending(outcome=outcome, status=refusal.status, last=last))
        body = refusal_body(refusal, self._call.surface.dialect, self._call.request_id)
        return Answer(status=refusal.status, headers=headers, body=body)
