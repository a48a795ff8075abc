"""The settings of one provider: where it is, how to speak to it, how long to wait, how to check it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from probes.pricing.catalogue import lookup
from state.durations import Seconds
from state.policy import HealthPolicy
from state.prices import Price
from state.targets import TargetName, target_name

__all__ = ["Abilities", "Dialect", "ProbePolicy", "ProbeSetting", "Provider", "Secret", "Timeouts"]


_MOST_TOKENS_PER_BYTE = 10
"""An image by its URL: a thousand tokens in a hundred bytes."""
_VOUCH = Seconds(15)
"""The longest that a canary takes to fail, and a little more."""


class Dialect(StrEnum):
    """The API family a provider speaks. `simulated` providers speak both of the others."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    SIMULATED = "simulated"


class ProbeSetting(StrEnum):
    """What the prober does of its own accord for a provider's targets."""

    LIVENESS = "liveness"
    CATALOG = "catalog"
    CANARY = "canary"
    NONE = "none"


class Secret(msgspec.Struct, frozen=True):
    """A key that reaches no log, error or history: neither its repr nor its str shows it."""

    value: str = ""

    def __repr__(self) -> str:
        """Show only whether there is one."""
        return "Secret(…)" if self.value else "Secret()"

    __str__ = __repr__

    def __bool__(self) -> bool:
        """Whether there is a key at all."""
        return bool(self.value)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The four deadlines of one exchange."""

    connect: Seconds = Seconds(3)
    first_byte: Seconds = Seconds(30)
    """From sending the request to the first byte of the answer."""
    idle: Seconds = Seconds(30)
    """Between two pieces of the answer."""
    total: Seconds = Seconds(600)


class ProbePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provider's targets are checked when nobody asks."""

    kind: ProbeSetting = ProbeSetting.CATALOG
    every: Seconds = Seconds(30)
    timeout: Seconds = Seconds(5)
    max_per_day: int = 1000
    """A bound on `canary` probes, which cost tokens, for each target of the provider."""
    canary_usd: float = 0.0001
    """What one canary is taken to cost, in dollars: about twenty tokens at $5 a million."""
    usd_per_day: float = 1.0
    """What the canaries at a provider may cost within 24 hours, over all its targets."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model can take, where that is known."""

    context_window: int | None = None
    """Tokens of input and output together."""
    lacks: tuple[str, ...] = ()
    """What it cannot do: images, audio, files, tools, json, json_schema, choices, or a parameter's name."""

    def takes_all_of(self, size: int) -> bool:
        """Return whether every request of `size` bytes can be taken, whatever is in it."""
        return not self.lacks and (self.context_window is None or size * _MOST_TOKENS_PER_BYTE <= self.context_window)


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One configured account at one base URL, with its secret resolved."""

    name: str
    dialect: Dialect
    base_url: str
    """`https://host[:port][/prefix]`, `http://…`, or `unix:///path/to.sock` for an HTTP server on a Unix socket."""
    api_key: Secret = Secret()
    models: tuple[str, ...]
    max_in_flight: int = 64
    timeouts: Timeouts = Timeouts()
    probe: ProbePolicy = ProbePolicy()
    health: HealthPolicy = HealthPolicy()
    abilities: tuple[tuple[str, Abilities], ...] = ()
    """By model; `*` stands for all that are not named."""
    status_page: str = ""
    """The URL of its status page's summary, nothing where it is not read."""
    status_component: str = ""
    """What the names of the components that count have in them; nothing for the page as a whole."""

    prices: tuple[tuple[str, Price], ...] = ()
    """By model; `*` stands for all that are not named."""
    billing: str = ""
    """Whose bill its use goes on; empty where the configuration does not say."""

    @property
    def judged_by(self) -> HealthPolicy:
        """The health policy with what follows from the kind of its probes."""
        vouched = self.probe.kind is ProbeSetting.CANARY and self.health.vouch is None
        return msgspec.structs.replace(self.health, vouch=_VOUCH) if vouched else self.health

    def abilities_of(self, model: str) -> Abilities:
        """Return what `model` can take; the window that the configuration leaves open is the price lists'."""
        known = dict(self.abilities)
        abilities = known.get(model) or known.get("*") or Abilities()
        if abilities.context_window is not None or (listed := lookup(self.base_url, model)) is None:
            return abilities
        return msgspec.structs.replace(abilities, context_window=listed.context_window)

    def price_of(self, model: str) -> Price | None:
        """Return what `model` costs by the configuration, else by the price lists, None where neither knows it."""
        known = dict(self.prices)
        if (price := known.get(model) or known.get("*")) is not None:
            return price
        listed = lookup(self.base_url, model)
        return None if listed is None else listed.price

    @property
    def targets(self) -> tuple[TargetName, ...]:
        """The names of its targets, in the order of its models."""
        return tuple(target_name(self.name, model) for model in self.models)
