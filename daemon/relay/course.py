"""Where one request has been, and where it may still go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

import anyio
from msgspec.structs import replace

from daemon.rehearsals import Rehearsal
from daemon.relay.billing import NOBODY_IN_PARTICULAR, Payers, payer
from daemon.relay.calls import Broken, ClientCall, Failed, Streamed
from daemon.relay.refusing import Tried
from daemon.routing.cascading import costlier
from daemon.routing.chain import Onward, Situation, Stop, next_step
from daemon.routing.leases import Candidate, Lease, Preference, RouteQuery, UnderWay
from daemon.routing.policy import StreamRecovery
from daemon.routing.sorting.drawing import routed
from daemon.routing.sorting.policy import OverMaxInput
from probes.dialects.continuing import continued_body
from probes.dialects.needs import Needs, estimated_tokens, needs_of
from probes.dialects.texts import TextSoFar
from state.faults import Fault
from state.outcome import Outcome, Usage
from state.prices import Price
from state.targets import TargetName

__all__ = ["Course"]

_NO_PRICES: Final[Mapping[TargetName, Price]] = MappingProxyType({})
_RETRY_S: Final = 0.2
"""Before the same target is asked again: longer than a restart of its front end, shorter than a person notices."""
_JITTER: Final = 0.5
_LONG_BYTES: Final = 16 * 1024
_MEDIA: Final = b"base64"
_MENDED_BY_STRENGTH: Final = frozenset({Fault.CONTENT_FILTER, Fault.BAD_REPLY})
_TAKES_MORE: Final = frozenset({Fault.CONTEXT_LENGTH, Fault.TOO_LARGE})


class Course:
    """The attempts of one request, and what may come next. Owned by its session."""

    def __init__(
        self,
        call: ClientCall,
        clock: Callable[[], float],
        payers: Payers = NOBODY_IN_PARTICULAR,
        prices: Mapping[TargetName, Price] = _NO_PRICES,
    ) -> None:
        """Start where nothing has been tried.

        `payers` are the accounts that pay for targets; `prices` tell who is costlier, where the workload is a cascade.
        """
        self.call = call
        self._clock = clock
        self._payers = payers
        self._prices = prices
        self.preference = Preference()
        """Which targets suit the request by what it is."""
        self.answer_tokens = 0.0
        """How long the answer is expected to be."""
        self.tried: list[Tried] = []
        self.continued = b""
        """The request that asks for the rest of a stream that broke; empty while none did."""
        self.last_failure: Failed | None = None
        self.usage = Usage()
        """What the parts of the stream that broke have cost."""
        self.left_with: Streamed | None = None
        """The stream that a client had whole when it left."""
        self.rehearsal: Rehearsal | None = None
        """The order under which its attempts fail though nobody was asked."""
        self.stronger: tuple[TargetName, ...] | None = None
        """Whom the workload escalates to, once that is what is left; empty where they have failed too."""
        self._onward: Onward | None = None
        self.frugal = False
        """Whether a limit wants it at the cheapest target."""
        self._more_than = self._over_max_input
        self._outrun: set[TargetName] = set()
        """Who lost a race: tried, and still good for more."""
        self._racing = 0
        """Attempts under way besides the next."""

    @cached_property
    def needs(self) -> Needs:
        """What the request needs of a target."""
        return needs_of(self.call.body)

    @property
    def may_escalate(self) -> bool:
        """Whether a stronger model may still be asked."""
        attempts = len(self.tried) < self.call.workload.max_attempts
        return attempts and self.call.fallback_allowed and self._clock() < self.call.deadline

    @property
    def may_escalate_after_next(self) -> bool:
        """Whether a stronger model may still be asked once the attempt that comes now has been made."""
        return self.may_escalate and len(self.tried) + 1 < self.call.workload.max_attempts

    @property
    def may_hedge(self) -> bool:
        """Whether the next attempt may be raced by a second: a plain first one of a request that may go elsewhere."""
        workload = self.call.workload
        plain = not (self.tried or self.continued or self.stronger) and self.call.surface.streams
        return workload.hedge and plain and self.call.fallback_allowed and workload.max_attempts > 1

    @property
    def may_continue(self) -> bool:
        """Whether a broken stream may go on elsewhere."""
        workload = self.call.workload
        wanted = workload.stream_recovery is StreamRecovery.CONTINUE and self.call.fallback_allowed
        return wanted and len(self.tried) < workload.max_attempts and self._clock() < self.call.deadline

    def continues(self, text: TextSoFar | None, broken: Broken) -> bool:
        """Return whether another target is to go on with a stream from the text so far, and remember what it is asked.

        Nothing is added to a stream of which the client knows that it broke.
        """
        if text is None or broken.told is not None or not self.may_continue:
            return False
        if not text.plain or not text.text or text.stopped:
            return False
        body = continued_body(self.call.surface, self.call.body, text.text)
        if body is None:
            return False
        self.continued = body
        self.usage = self.usage.plus(broken.usage)
        return True

    def escalates(self, outcome: Outcome) -> bool:
        """Return whether the stronger model is asked after a failure that nothing else follows, and remember it.

        A refusal and an answer that is none are what a stronger model may mend; the workload has named one for that.
        """
        if self.stronger is not None or self.continued or outcome.fault not in _MENDED_BY_STRENGTH:
            return False
        cascade = self.call.workload.cascade
        if cascade is not None and outcome.fault is Fault.CONTENT_FILTER and not cascade.refusals:
            return False
        onto = self.stronger_than(self.tried[-1][0])
        if not onto or not self.may_escalate:
            return False
        self.stronger = onto
        return True

    def stronger_than(self, origin: TargetName) -> tuple[TargetName, ...]:
        """Return who is to better an answer of `origin`, and has not been tried: nobody where the workload wants none.

        In a cascade that is everybody costlier, unless money is short; else the one that the workload names.
        """
        workload = self.call.workload
        tried = {target for target, _ in self.tried}
        if workload.cascade is not None:
            if not self.call.surface.generates or self.frugal:
                return ()
            tokens = (self.tokens, self.answer_tokens)
            left = [target for target in workload.targets if target not in tried]
            return costlier(origin, left, self._prices, tokens)
        onto = workload.escalate
        return () if onto is None or onto == origin or onto in tried else (onto,)

    def query(self) -> RouteQuery:
        """Return what to ask the dispatcher for now."""
        if self.stronger is None or self.last_failure is None:
            return self._query()
        return self.escalation(self.stronger, self.last_failure.outcome.reason)

    def _query(self) -> RouteQuery:
        workload, onward = routed(self.call.workload, self.preference), self._onward
        again = self.tried[-1][0] if onward is not None and onward.again and not self.continued else None
        return RouteQuery(
            request_id=self.call.request_id,
            workload=workload,
            surface=self.call.surface,
            number=len(self.tried) + 1,
            tried=tuple(target for target, _ in self.tried if target != again and target not in self._outrun),
            deadline=self._deadline,
            last_resort=again,
            elsewhere=onward is None or onward.elsewhere or bool(self.continued),
            fallback_on=workload.fallback_on if self.call.fallback_allowed else (),
            needs=self.needs if self.call.choosy else Needs(),
            more_than=self._more_than,
            max_tokens=self.call.max_tokens,
            streamed=self.call.streamed,
            may_hedge=self.may_hedge,
            tokens=self.tokens,
            preference=self.preference,
            billing=payer(self.call, self.preference, self.tried, self._payers),
            frugal=self.frugal,
        )

    def hedge(self, own: Candidate, since: float) -> RouteQuery:
        """Return the question for a second target beside `own`, which has been asked at `since` and says nothing."""
        self._racing = 1
        under_way = UnderWay(own, since)
        billing = payer(self.call, self.preference, [(own.target, Outcome())], self._payers)
        again = replace(self._query(), billing=billing)
        return replace(again, number=2, tried=(own.target,), may_hedge=False, hedges=under_way)

    def raced(self, tried: list[Tried], winner: TargetName | None) -> None:
        """Take in the attempts of a race, the one that tells last; those that `winner` outran may be asked again."""
        self._racing = 0
        self.tried.extend(tried)
        self._outrun.update(target for target, outcome in tried if winner not in {None, target} and not outcome.counts)

    def escalation(self, onto: tuple[TargetName, ...], lack: str) -> RouteQuery:
        """Return the question for the stronger models alone, where an answer has a `lack`."""
        alone = replace(self.call.workload, targets=onto)
        return replace(self._query(), workload=alone, tried=(), last_resort=None, elsewhere=True, escalated=lack)

    def replacement(self, lease: Lease, lack: str) -> RouteQuery:
        """Return the question for who takes over from an attempt under way, whose beginning has a `lack`."""
        asked = self.escalation(self.stronger_than(lease.target), lack)
        tried = [*self.tried, (lease.target, Outcome())]
        billing = payer(self.call, self.preference, tried, self._payers)
        return replace(asked, billing=billing, number=asked.number + 1, instead_of=lease.ticket)

    async def after(self, failed: Failed) -> str:
        """Take in a failure: return why there is nothing more to try, or wait as the workload wants and return ""."""
        target, outcome = self.tried[-1]
        if self.stronger is not None:
            self.stronger = tuple(each for each in self.stronger if each != target)
            again = self.stronger and self.may_escalate
            return "" if again else f"{target}, to which the workload escalates, failed too."
        self.last_failure = failed
        times = sum(each == target for each, _ in self.tried)
        situation = Situation(
            outcome=outcome,
            attempts=len(self.tried),
            repeatable=failed.repeatable and times == 1 and not self.continued,
            fallback_allowed=self.call.fallback_allowed,
            now=self._clock(),
            deadline=self._deadline,
        )
        step = next_step(self.call.workload, situation)
        if isinstance(step, Stop):
            return step.reason
        self._onward = step
        if outcome.fault in _TAKES_MORE:
            self._more_than = max(1, self.needs.tokens, self._more_than)
        if step.pause_s > 0.0:
            await anyio.sleep(step.pause_s)
        return ""

    def pause_before(self, lease: Lease) -> float:
        """Return the seconds to wait before a target is asked that has just failed, 0.0 for any other.

        Never beyond the deadline: who waits that long has nobody left to answer to.
        """
        if not self.tried or self.tried[-1][0] != lease.target:
            return 0.0
        hint_s = self.tried[-1][1].retry_after_s or 0.0
        # Knuth's multiplicative hash of the choice's seed: jitter without a clock.
        share = (lease.choice.seed * 0x9E3779B1 & 0xFFFF) / 0xFFFF
        pause_s = hint_s + _RETRY_S * (1.0 - _JITTER + 2.0 * _JITTER * share)
        return max(0.0, min(pause_s, self._deadline - self._clock()))

    def chances(self, contenders: int) -> int:
        """Return how many attempts can still be made, this one included, when `contenders` are there now."""
        workload = self.call.workload
        if not self.call.fallback_allowed or Fault.TIMEOUT not in workload.fallback_on:
            return 1
        return max(1, min(contenders, workload.max_attempts - len(self.tried) - self._racing))

    @cached_property
    def tokens(self) -> int:
        """About how many tokens the request has; media make its length mean nothing, and only then is it read."""
        body = self.call.body
        if self.call.choosy or (len(body) > _LONG_BYTES and _MEDIA in body):
            return self.needs.tokens
        return estimated_tokens(body)

    @property
    def _over_max_input(self) -> int:
        """How many tokens the request has, where that is more than it may and a larger window is wanted; else 0."""
        workload = self.call.workload
        if workload.max_input_tokens is None or workload.over_max_input is not OverMaxInput.LARGER:
            return 0
        return self.needs.tokens if self.needs.tokens > workload.max_input_tokens else 0

    @property
    def _deadline(self) -> float:
        own = self.call.workload.deadline
        return self.call.deadline if own is None else min(self.call.deadline, self.call.arrived_at + own)
