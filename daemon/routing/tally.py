"""What the dispatcher counts: the leases that are out, and how much was ever sent to each target."""

from __future__ import annotations

from collections import Counter

import msgspec

from state.targets import TargetName, provider_of

__all__ = ["Held", "Tally"]


class Held(msgspec.Struct, frozen=True):
    """One lease as it was counted."""

    target: TargetName
    ordinal: int
    """Which grant at this target it is, from 1."""
    tokens_sent: int
    """Estimated tokens sent to the target by then, its own included."""
    trial: bool = False
    """Whether it finds out if a guessed block is over."""


class Tally:
    """The counts. What is under way goes up and down; what was sent only grows, for as long as the process lives."""

    def __init__(self) -> None:
        """Count from zero."""
        self.targets: Counter[TargetName] = Counter()
        self.providers: Counter[str] = Counter()
        self.trials: Counter[TargetName] = Counter()
        self.sent: Counter[TargetName] = Counter()
        self.tokens_sent: Counter[TargetName] = Counter()
        self._held: dict[int, Held] = {}

    def __contains__(self, ticket: int) -> bool:
        """Return whether the lease of that ticket is out."""
        return ticket in self._held

    def target_of(self, ticket: int) -> TargetName:
        """Return the target of the lease of that ticket, an empty name where it is not out."""
        held = self._held.get(ticket)
        return TargetName("") if held is None else held.target

    def take(self, ticket: int, target: TargetName, tokens: int) -> Held:
        """Count a lease on `target` for a request of about `tokens`."""
        self.sent[target] += 1
        self.tokens_sent[target] += tokens
        self.targets[target] += 1
        self.providers[provider_of(target)] += 1
        held = self._held[ticket] = Held(target, self.sent[target], self.tokens_sent[target])
        return held

    def take_trial(self, ticket: int, target: TargetName, tokens: int) -> Held:
        """Count a lease that is the one trial of its target after a guessed block."""
        self.trials[target] += 1
        held = self._held[ticket] = msgspec.structs.replace(self.take(ticket, target, tokens), trial=True)
        return held

    def without(self, ticket: int) -> tuple[Counter[TargetName], Counter[str]]:
        """Return what is under way at targets and at providers besides the lease of that ticket, as copies."""
        held = self._held.get(ticket)
        targets, providers = self.targets.copy(), self.providers.copy()
        if held is not None:
            targets[held.target] -= 1
            providers[provider_of(held.target)] -= 1
        return targets, providers

    def give_back(self, ticket: int) -> bool:
        """Count a lease as over; False where there is none of that ticket."""
        held = self._held.pop(ticket, None)
        if held is None:
            return False
        self.targets[held.target] -= 1
        self.providers[provider_of(held.target)] -= 1
        self.trials[held.target] -= held.trial
        return True
