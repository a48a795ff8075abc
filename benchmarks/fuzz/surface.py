"""What a surface that takes foreign input is to the run, and what a run finds there."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple

import msgspec

__all__ = ["LONGEST", "Broken", "Finding", "Luck", "Mutate", "Surface", "Tally", "secrets_in"]

Luck = random.Random
Mutate = Callable[[bytes, Luck], bytes]

LONGEST: Final = 64 * 1024
"""Bytes of a mutated input; only growing makes longer ones."""

SECRETS: Final = ("sk-canary-3f9a1c77d2", "cl-canary-8e0b5d41aa", "hook-canary-51c9e2f07b")
"""What is planted as keys: a provider's, a client's and a webhook's. None may ever come out."""


_TELLING: Final = 40
"""Findings whose first letters are alike are one finding: an exception's name and where it was raised."""


class Broken(Exception):
    """An input broke a law of its surface; the text says which."""


class Finding(NamedTuple):
    """An input that broke a law."""

    law: str
    """What happened, in one line."""
    data: bytes


class Surface(NamedTuple):
    """One parser, or one group of them, that takes bytes of foreigners."""

    name: str
    seeds: Callable[[], Sequence[bytes]]
    """Valid inputs to begin from."""
    mutate: Mutate
    take: Callable[[bytes], Hashable]
    """Takes one input and returns what came of it, in few words; raises whatever the parser should not have."""
    share: int
    """How many of 100 inputs are for this surface."""
    grows: bool = True
    """Whether an input's time is also measured while the input is doubled."""


class Tally(msgspec.Struct):
    """What a run over one surface came to."""

    name: str
    inputs: int = 0
    outcomes: set[Hashable] = msgspec.field(default_factory=set)
    lines: int = 0
    """Lines of the product that its traced inputs reached; 0 where it runs in another process."""
    slowest_s: float = 0.0
    """CPU, in this process; until its answer, where another process takes the inputs."""
    slowest: bytes = b""
    memory_mb: list[float] = msgspec.field(default_factory=list)
    """Resident at 20, 60 and 100 % of the inputs."""
    blocks: list[int] = msgspec.field(default_factory=list)
    """Python's own, allocated at the same moments; none for another process."""
    findings: list[Finding] = msgspec.field(default_factory=list)
    took_s: float = 0.0

    def found(self, law: str, data: bytes) -> None:
        """Keep a finding, each kind of them once."""
        kind = law[:_TELLING]
        if all(kind != known.law[:_TELLING] for known in self.findings):
            self.findings.append(Finding(law, data))

    def took(self, seconds: float, data: bytes) -> None:
        """Note how long an input took."""
        if seconds > self.slowest_s:
            self.slowest_s, self.slowest = seconds, data


def secrets_in(text: str | bytes) -> list[str]:
    """Return which of the planted secrets stand in `text`."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return [secret for secret in SECRETS if secret.encode() in raw]
