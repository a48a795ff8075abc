"""One recorded request under another configuration: where it would have gone, and what came of it, as far as is known.

`choose` and `next_step` decide, as they do in the daemon. Where they are asked what they were asked when it happened,
the recorded answer stands. Where a figure of the hour says that a share of the attempts failed, the request goes both
ways, each with its weight.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec.structs import replace

from daemon.routing.chain import Onward, Situation, next_step
from daemon.routing.leases import Choice, Preference, RouteQuery
from daemon.routing.policy import StreamRecovery, Workload
from daemon.routing.sorting.again import sorted_as
from daemon.routing.sorting.drawing import routed
from daemon.whatif.costing import FREE, Spent
from daemon.whatif.endings import Ending, Result, as_recorded
from daemon.whatif.neighbours import Answer, Basis, answer_of, seen_of
from daemon.whatif.then import read_then
from daemon.whatif.untold import is_judged, is_sorted
from daemon.whatif.world import World
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import Blame, Fault
from state.history.journeys import RecordedRequest
from state.outcome import Outcome
from state.targets import TargetName

__all__ = ["Course"]

_LOOK_AGAIN_S: Final = 0.05
"""Between two looks at a target that is full: only the end of another request lets it take this one."""
_ASKED: Final = ("needs", "more_than", "max_tokens", "tokens", "frugal")
"""What a request asks whatever the configuration: what it needs, how long it is, and whether its payer is short."""
_OWN_DOING: Final = frozenset({Blame.CALLER.value, Blame.POLICY.value})


class Course:
    """The way of one request. `go_on` is called whenever its next step is due."""

    def __init__(self, world: World, request: RecordedRequest, workload: Workload) -> None:
        """Begin where nothing has been tried."""
        self._world, self._request, self._workload = world, request, workload
        self._then = read_then(request.settings.get(1))
        self._tried: list[TargetName] = []
        self._endings: list[Ending] = []
        self._weight = 1.0
        self._basis = Basis.RECORDED
        self._faithful = True
        """Whether it has gone the recorded way so far."""
        self._onward: Onward | None = None
        self._spent: Spent = FREE
        """On the attempts so far."""
        self._unsorted = self._unjudged = False
        self._arrived_at = request.at_ms / 1e3
        self._asked_at = self._arrived_at
        self._hedged = any(attempt.hedge for attempt in request.attempts)

    def go_on(self, now: float) -> None:
        """Ask for a target; wait where there is none."""
        query = self._query()
        if self._choice_stands(now):
            self._go_as_recorded(query, now)
            return
        if not is_sorted(self._workload, self._request, self._then):
            self._unsorted = True
            self._rest_on(Basis.UNKNOWN)
            self._end_unknown()
            return
        choice = self._world.choose(query, now)
        if choice.chosen is None:
            ready_at = self._world.ready_at(query, now)
            if ready_at is not None and ready_at < self._asked_at + self._workload.max_wait:
                self._world.wake(self.go_on, max(ready_at, now + _LOOK_AGAIN_S))
                return
            choice = self._world.choose(replace(query, desperate=True), now)
        if choice.chosen is not None:
            self._send(query, choice, now)
        elif self._is_faithful_to_the_end:
            self._end_as_recorded()
        else:
            self._rest_on(Basis.RULES)
            self._fail(now)

    def _query(self) -> RouteQuery:
        then, workload, request = self._then, self._workload, self._request
        again = self._tried[-1] if self._onward is not None and self._onward.again else None
        allowed = then is None or then.fallback_allowed
        query = RouteQuery(
            request_id=request.request_id,
            workload=workload,
            surface=self._guessed_surface() if then is None else then.query.surface,
            number=len(self._tried) + 1,
            tried=tuple(target for target in self._tried if target != again),
            last_resort=again,
            elsewhere=self._onward is None or self._onward.elsewhere,
            fallback_on=workload.fallback_on if allowed else (),
            streamed=bool(request.streamed),
        )
        preference = self._preference
        query = replace(
            query, preference=preference, workload=routed(workload, preference), billing=self._payer(preference)
        )
        if then is None:
            return replace(query, tokens=request.prompt_tokens or 0)
        asked = {name: getattr(then.query, name) for name in _ASKED}
        return replace(query, **asked)

    @property
    def _preference(self) -> Preference:
        """What suits the request, by what it was taken for."""
        taken_for = Preference(label=self._request.label or "") if self._then is None else self._then.query.preference
        return sorted_as(self._workload, taken_for)

    def _payer(self, preference: Preference) -> str | None:
        """Return the group that pays for a fallback: that of the first target, a canary's candidate apart."""
        places = self._world.routes.places
        first = next((target for target in self._tried if target != preference.candidate), None)
        if first is None or first not in places or self._workload.cross_billing:
            return None
        return places[first].billing if any(each.billing for each in places.values()) else None

    def _guessed_surface(self) -> Surface:
        """Return what was probably asked, where no choice of the request is recorded: its target's usual call."""
        targets = [TargetName(attempt.target) for attempt in self._request.attempts] or list(self._workload.targets)
        places = [place for target in targets if (place := self._world.routes.places.get(target)) is not None]
        anthropic = bool(places) and places[0].dialect is Dialect.ANTHROPIC
        return Surface.MESSAGES if anthropic else Surface.CHAT

    def _choice_stands(self, now: float) -> bool:
        """Whether it has gone the recorded way, and nothing that its next choice was made from would be different."""
        if not self._faithful or self._weight < 1.0:
            return False
        number = len(self._tried) + 1
        then = self._then if number == 1 else read_then(self._request.settings.get(number))
        if then is None:  # too long for the workload, perhaps: it was refused before anything was chosen
            return not self._request.attempts and self._workload.max_input_tokens is not None
        return then.is_as(routed(self._workload, self._preference), self._world.routes, self._world.snapshot(now), now)

    def _go_as_recorded(self, query: RouteQuery, now: float) -> None:
        number, attempts = len(self._tried), self._request.attempts
        if number == len(attempts):  # nobody could take it
            self._end_as_recorded()
            return
        target, strategy = TargetName(attempts[number].target), self._workload.strategy
        choice = Choice(chosen=target, strategy=strategy, reason="as recorded", candidates=(), seed=0)
        self._send(query, choice, now)

    def _send(self, query: RouteQuery, choice: Choice, now: float) -> None:
        target = choice.chosen or TargetName("")
        number, attempts = len(self._tried), self._request.attempts
        self._faithful = self._faithful and number < len(attempts) and attempts[number].target == target
        self._tried.append(target)
        answer = self._answer(target, now)
        self._rest_on(answer.basis)
        if answer.basis is Basis.UNKNOWN:
            self._end_unknown()
            return
        self._world.sent(choice, query, answer, now)
        if self._faithful and self._hedged and self._workload.hedge:
            self._end_as_recorded()
        else:
            self._answered(answer, now)

    def _answer(self, target: TargetName, now: float) -> Answer:
        """Return what the attempt comes to: what this request met there itself, else what others met."""
        number = len(self._tried) - 1
        basis = Basis.RECORDED if self._faithful else Basis.OWN
        at_hand = self._request.attempts[number : number + 1] if self._faithful else self._request.attempts
        for attempt in at_hand:
            lost = attempt.blame == Blame.OURSELVES.value and self._hedged
            left = attempt.fault == Fault.CANCELLED.value and not self._faithful
            if attempt.target == target and not lost and not left:
                spent = self._world.prices.again(attempt, self._request, self._then)
                own = answer_of(seen_of(attempt, self._request), basis)
                return own._replace(ok_spent=spent, failed_spent=spent)
        if not self._faithful and any(attempt.blame in _OWN_DOING for attempt in self._request.attempts):
            return Answer(Basis.UNKNOWN)  # what was wrong with the request itself need not be wrong elsewhere
        answer = self._world.neighbours.answer(target, self._request.streamed, now)
        spent = self._world.prices.elsewhere(target, self._request, self._then, answer.usage)
        return answer._replace(ok_spent=spent)

    def _answered(self, answer: Answer, now: float) -> None:
        """Split into the way on which the attempt succeeds and the one on which it fails."""
        if answer.failing < 1.0:
            if self._is_faithful_to_the_end or (self._faithful and self._mends_more):
                self._end_as_recorded()
                return
            took_s = now + answer.ok_s - self._arrived_at
            self._unjudged = self._unjudged or not is_judged(self._workload)
            self._end(self._weight * (1.0 - answer.failing), "ok", took_s, self._spent.plus(answer.ok_spent))
            self._weight *= answer.failing
        if answer.failing > 0.0:
            self._spent = self._spent.plus(answer.failed_spent)
            self._after_failure(answer, now + answer.failed_s)
        else:
            self._finish()

    def _after_failure(self, answer: Answer, now: float) -> None:
        attempts, number = self._request.attempts, len(self._tried)
        if self._is_faithful_to_the_end and self._then is not None and self._then.rules_are(self._workload):
            self._end_as_recorded()
            return
        again = self._faithful and number < len(attempts) and attempts[number].target == self._tried[-1]
        deadline = self._workload.deadline
        situation = Situation(
            outcome=Outcome(fault=answer.fault or Fault.SERVER_ERROR, retry_after_s=answer.retry_after_s),
            attempts=number,
            repeatable=again and self._tried.count(self._tried[-1]) == 1,
            fallback_allowed=self._then is None or self._then.fallback_allowed,
            now=now,
            deadline=math.inf if deadline is None else self._arrived_at + deadline,
        )
        step = next_step(self._workload, situation)
        if isinstance(step, Onward):
            self._onward = step
            self._asked_at = now + step.pause_s
            self._world.wake(self.go_on, self._asked_at)
        elif self._is_faithful_to_the_end or (self._faithful and self._mends_more):
            self._end_as_recorded()
        else:
            self._fail(now)

    @property
    def _mends_more(self) -> bool:
        """Whether the workload does more than fall back, and did: it escalated, or continued a stream."""
        workload = self._workload
        mends = bool(workload.escalate or workload.cascade) or workload.stream_recovery is not StreamRecovery.NONE
        return mends and len(self._tried) < len(self._request.attempts)

    @property
    def _is_faithful_to_the_end(self) -> bool:
        return self._faithful and self._weight == 1.0 and len(self._tried) == len(self._request.attempts)

    def _rest_on(self, basis: Basis) -> None:
        if basis.weakness > self._basis.weakness:
            self._basis = basis

    def _end(self, weight: float, outcome: str, took_s: float, spent: Spent) -> None:
        self._endings.append(Ending(weight, outcome, took_s, len(self._tried), *spent))

    def _fail(self, now: float) -> None:
        self._end(self._weight, "failed", now - self._arrived_at, self._spent)
        self._finish()

    def _end_as_recorded(self) -> None:
        spent = self._world.prices.all_again(self._request, self._then)
        self._endings = [as_recorded(self._request)._replace(cost_usd=spent.usd, estimated=spent.estimated)]
        self._basis = Basis.RECORDED
        self._finish()

    def _end_unknown(self) -> None:
        self._endings = []
        self._finish()

    def _finish(self) -> None:
        attempts, before = self._request.attempts, as_recorded(self._request)
        if repriced := before.cost_usd is None:
            before = before._replace(cost_usd=self._world.prices.all_again(self._request, self._then).usd)
        self._world.done(
            Result(
                request=self._request,
                before=before,
                repriced=repriced,
                after=tuple(self._endings),
                basis=self._basis,
                first_before=attempts[0].target if attempts else None,
                first_after=self._tried[0] if self._tried else None,
                unknown_at=self._tried[-1] if self._basis is Basis.UNKNOWN and not self._unsorted else None,
                unsorted=self._unsorted,
                unjudged=self._unjudged,
            )
        )
