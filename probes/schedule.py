"""Who is due for a free check: a pure schedule of providers, with jitter and a rate for all.

What costs money is not on a schedule: see `probes.canaries`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import msgspec

from probes.policy import ProbeSetting, Provider
from state.outcome import ProbeKind
from state.targets import TargetName

__all__ = ["MIN_GAP_S", "Errand", "Schedule"]

MIN_GAP_S = 0.2
"""Seconds between two probes of any kind: at most five a second, however many targets there are."""
_JITTER = 0.2
_FIRST_WITHIN_S = 1.0


class Errand(msgspec.Struct, frozen=True):
    """One check to make: of a provider as a whole, or of one model by a canary."""

    provider: str
    kind: ProbeKind
    model: str | None = None

    def targets(self, provider: Provider) -> tuple[TargetName, ...]:
        """Return the targets that the check tells of."""
        return provider.targets if self.model is None else (TargetName(f"{provider.name}/{self.model}"),)


class _Entry(msgspec.Struct):
    due_at: float
    every_s: float


class Schedule:
    """When each errand is due next. `luck` gives the jitter; times are monotonic seconds."""

    def __init__(self, luck: random.Random) -> None:
        """Start with nothing to do."""
        self._luck = luck
        self._entries: dict[Errand, _Entry] = {}
        self._free_at = float("-inf")

    def follow(self, providers: Iterable[Provider], now: float) -> None:
        """Have the errands of `providers`; those that stay keep their due times."""
        wanted = {errand: provider for provider in providers for errand in _errands(provider)}
        for errand in set(self._entries) - set(wanted):
            del self._entries[errand]
        for errand, provider in wanted.items():
            policy = provider.probe
            if errand in self._entries:
                self._entries[errand].every_s = policy.every
            else:
                first = now + self._luck.random() * min(_FIRST_WITHIN_S, policy.every)
                self._entries[errand] = _Entry(first, policy.every)

    def next_due(self) -> float | None:
        """Return when there is something to do next, None where there never is."""
        first = min((entry.due_at for entry in self._entries.values()), default=None)
        return None if first is None else max(first, self._free_at)

    def take(self, now: float, busy: Mapping[Errand, object]) -> Errand | None:
        """Return the errand to make now, and book its next; None where none is due, allowed or not under way yet."""
        if now < self._free_at:
            return None
        for errand, entry in sorted(self._entries.items(), key=lambda item: item[1].due_at):
            if entry.due_at > now:
                return None
            entry.due_at = now + entry.every_s * (1 + _JITTER * (2 * self._luck.random() - 1))
            if errand not in busy:
                self._free_at = now + MIN_GAP_S
                return errand
        return None


def _errands(provider: Provider) -> tuple[Errand, ...]:
    match provider.probe.kind:
        case ProbeSetting.NONE:
            return ()
        case ProbeSetting.LIVENESS:
            return (Errand(provider.name, ProbeKind.LIVENESS),)
        case ProbeSetting.CATALOG | ProbeSetting.CANARY:  # a listing is free, whoever is paid for besides
            return (Errand(provider.name, ProbeKind.CATALOG),)
