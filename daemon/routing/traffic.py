"""What is under way at each target: leases, how long they have been silent, when one was last sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from daemon.routing.latency import Silence
from daemon.routing.leases import Choice, Departure, DispatcherView, RouteQuery
from daemon.routing.policy import Routes
from daemon.routing.selection import Load
from daemon.routing.strategies.strategy import Turn
from daemon.routing.tally import Held, Tally
from state.standing import HealthSnapshot, TargetHealth
from state.targets import TargetName

__all__ = ["Traffic", "allowance_s"]

_NEVER: Final = float("-inf")
_OLDEST: Final = 8
_SUSPECT_S: Final = 10.0
"""How long a target is suspected that said nothing until somebody gave up, and has not been heard since."""


def allowance_s(choice: Choice, query: RouteQuery) -> float:
    """Return how many seconds beyond a first token the choice's target is expected to say nothing.

    Those in its queue, and, where the answer comes in one piece, those of writing it.
    """
    for candidate in reversed(choice.candidates):
        if candidate.target == choice.chosen:
            terms = candidate.terms
            return terms.get("wait_s", 0.0) + (0.0 if query.streamed else terms.get("generation_s", 0.0))
    return 0.0


class Traffic:
    """The leases under way, and what they have said so far. Belongs to one owner, who alone calls it."""

    def __init__(self) -> None:
        """Start with nothing under way."""
        self.tally = Tally()
        self._silent: dict[TargetName, dict[int, Silence]] = {}
        self._sent_at: dict[TargetName, float] = {}

    def __contains__(self, ticket: int) -> bool:
        """Whether the lease is under way."""
        return ticket in self.tally

    def depart(
        self, ticket: int, choice: Choice, query: RouteQuery, health: TargetHealth, now: float
    ) -> tuple[Held, Departure]:
        """Count a request that is sent now to the choice's target, whose `health` is known."""
        target = health.target
        before = self.tally.targets[target]
        take = self.tally.take_trial if health.unsure else self.tally.take
        held = take(ticket, target, query.tokens)
        sent_at = self._sent_at.get(target, _NEVER)
        self._sent_at[target] = now
        self._silent.setdefault(target, {})[ticket] = Silence(now, allowance_s(choice, query))
        idle_s = 0.0 if before or sent_at == _NEVER else now - sent_at
        return held, Departure(before + 1, idle_s, choice.answer_tokens)

    def answered(self, ticket: int) -> None:
        """Note a first token: those that were sent before it and are still silent are stragglers, and tell nothing."""
        silent = self._silent.get(self.tally.target_of(ticket), {})
        if ticket in silent:
            for earlier in list(silent):
                del silent[earlier]
                if earlier == ticket:
                    return

    def forgive(self, ticket: int) -> None:
        """Forget that a request has said nothing: it ends for reasons of its client."""
        self._silent.get(self.tally.target_of(ticket), {}).pop(ticket, None)

    def end(self, ticket: int, now: float) -> bool:
        """Count a request that is over; False where there is no such. Who never said a word stays under suspicion."""
        silent = self._silent.get(self.tally.target_of(ticket), {})
        if not self.tally.give_back(ticket):
            return False
        if (silence := silent.get(ticket)) is not None:
            silent[ticket] = Silence(silence.since, silence.allowed_s, now)
        return True

    @property
    def asked_at(self) -> float:
        """When a request was last sent anywhere; minus infinity where none ever was."""
        return max(self._sent_at.values(), default=_NEVER)

    def openings(self, health: TargetHealth) -> Iterator[float]:
        """Yield when something that stands in the way at a target may end by itself, monotonic seconds."""
        if health.blocked_until is not None:
            yield health.blocked_until
        if health.trial_from is not None:
            yield health.trial_from
        if health.quota is not None:
            yield from health.quota.turning_points(self.tally.sent[health.target])

    def view(self, snapshot: HealthSnapshot, routes: Routes, waiting: Mapping[str, int]) -> DispatcherView:
        """Return a picture of it that stays as it is, beside what else the dispatcher holds."""
        tally = self.tally
        return DispatcherView(
            snapshot=snapshot,
            routes=routes,
            in_flight=dict(tally.targets),
            sent=dict(tally.sent),
            tokens_sent=dict(tally.tokens_sent),
            waiting=waiting,
        )

    def load(self, turn: Turn, now: float, ending: int = 0) -> Load:
        """Return what a choice may know of it at `now`; good until the next call of any other method.

        The lease of the ticket `ending` is taken to be over.
        """
        silences = {target: _recent(silent, now) for target, silent in self._silent.items() if silent}
        tally = self.tally
        targets, providers = tally.without(ending) if ending else (tally.targets, tally.providers)
        return Load(
            targets,
            providers,
            turn,
            silences,
            self._sent_at,
            tally.sent,
            tally.tokens_sent,
            tally.trials,
        )


def _recent(silent: dict[int, Silence], now: float) -> tuple[Silence, ...]:
    """Return those who have been silent longest, without those that were given up long ago: a few tell it all."""
    while silent and now - next(iter(silent.values())).until > _SUSPECT_S:
        del silent[next(iter(silent))]
    return tuple(each for each in islice(silent.values(), _OLDEST) if now - each.until <= _SUSPECT_S)
