"""The estimator of a target: first token, pace, queue and cold start, each moved only by what speaks of it.

Latency is the time to the first token, plus the tokens at their pace, plus a wait in the target's own queue. Source of
the model and its constants: facts/routing.md, section 1; docs/routing-benchmark.md says what each part is worth.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
from msgspec.structs import replace

from state.latency.cold import Cold, after_pause
from state.latency.knee import Knee, after_load, queue_wait
from state.latency.level import Level, doubted, learned

__all__ = ["NEWCOMER", "Estimator", "Sight", "after_answer", "after_first", "after_silence", "after_whole"]

_FIRST_S: Final = 0.8
_FIRST_NOISE: Final = 0.1
_TOKEN_S: Final = 0.02
_TOKEN_NOISE: Final = 0.04
_SERVICE_S: Final = 3.0
_SERVICE_RATE: Final = 0.05
_BEST_RISES: Final = 0.0005
"""How fast the record of the best level is forgotten, on the logarithm, for each answer."""
_AT_LEAST: Final = 0.3
"""The share of a first token's time that no queue and no cold start explains away."""
_PROBE_DOUBT: Final = 2.0
_FEW_TOKENS: Final = 20.0
_GUESS_DOUBT: Final = 12.0
"""The lengths of answers scatter by a factor of two about what is expected: more than any provider's pace does."""
_FEWEST_TOKENS: Final = 4
_SILENCE: Final = 1.3
"""What waited this long without a word would have waited longer: by how much, at least."""
_SILENCE_NOISE: Final = 1.5


class Sight(msgspec.Struct, frozen=True):
    """Under which circumstances something was seen."""

    at: float
    """Monotonic seconds."""
    in_flight: int = 1
    """How many requests the target had when it was sent, itself included."""
    idle_s: float = 0.0
    """Seconds without a request before it."""
    probe: bool = False
    guessed: bool = False
    """Whether the number of tokens is only what was expected."""


class Estimator(msgspec.Struct, frozen=True):
    """What is believed of a target's latency."""

    first: Level = Level(math.log(_FIRST_S), noise=_FIRST_NOISE)
    """To the first token, without queue and cold start."""
    pace: Level = Level(math.log(_TOKEN_S), noise=_TOKEN_NOISE)
    """For each output token."""
    best: float = math.inf
    """The lowest level that the first token ever had, on the logarithm; forgotten slowly."""
    best_pace: float = math.inf
    service_s: float = _SERVICE_S
    """How long a request takes on average, without queueing."""
    knee: Knee = Knee()
    cold: Cold = Cold()

    def wait_s(self, in_flight: int) -> float:
        """Return the seconds that a request waits when `in_flight` are there, itself included."""
        return queue_wait(self.knee, in_flight, self.service_s)

    def unsettled(self, at: float) -> Estimator:
        """Return it with its levels in doubt: something happened, and the target may be another now."""
        return replace(self, first=doubted(self.first, at), pace=doubted(self.pace, at))


NEWCOMER: Final = Estimator()


def after_first(before: Estimator, seconds: float, sight: Sight) -> Estimator:
    """Return the estimator after a first token that came `seconds` after its request was sent."""
    cold, was_cold = after_pause(before.cold, before.first, seconds, sight.idle_s)
    if was_cold:
        return replace(before, cold=cold)
    load = (sight.in_flight, before.service_s, math.exp(min(before.best, before.first.mean)))
    knee, queued = after_load(before.knee, before.first, seconds, load) if before.first.count else (before.knee, False)
    if queued:
        return replace(before, cold=cold, knee=knee)
    explained = before.wait_s(sight.in_flight) + cold.wait(sight.idle_s)
    own_s = max(_AT_LEAST * seconds, seconds - explained)
    first = learned(before.first, own_s, sight.at, _PROBE_DOUBT if sight.probe else 1.0)
    moved = not first.steady and first.count > 1
    return Estimator(
        first,
        # What changes the one mostly changes the other: a region, a model's version, a crowd.
        doubted(before.pace, sight.at) if moved else before.pace,
        min(before.best + _BEST_RISES, first.mean),
        before.best_pace,
        before.service_s,
        knee,
        cold,
    )


def after_answer(before: Estimator, generation_s: float, tokens: int, sight: Sight, whole_s: float) -> Estimator:
    """Return the estimator after `tokens` that came within `generation_s` behind the first, `whole_s` in all."""
    own_s = max(0.0, whole_s - before.wait_s(sight.in_flight))
    service_s = before.service_s if sight.probe else before.service_s + _SERVICE_RATE * (own_s - before.service_s)
    if tokens < _FEWEST_TOKENS or generation_s <= 0.0:
        return replace(before, service_s=service_s)
    doubt = _pace_doubt(tokens, sight) * (_PROBE_DOUBT if sight.probe else 1.0)
    pace = learned(before.pace, generation_s / tokens, sight.at, doubt)
    return replace(before, service_s=service_s, pace=pace, best_pace=min(before.best_pace + _BEST_RISES, pace.mean))


def after_whole(before: Estimator, whole_s: float, tokens: int, sight: Sight) -> Estimator:
    """Return the estimator after an answer in one piece, of which nobody saw the first token.

    Each part learns what the others leave, and doubts it by the square of its share in the whole.
    """
    if tokens < _FEWEST_TOKENS:
        return after_answer(after_first(before, whole_s, sight), 0.0, tokens, sight, whole_s)
    explained = before.wait_s(sight.in_flight) + before.cold.wait(sight.idle_s)
    own_s = max(_AT_LEAST * whole_s, whole_s - explained)
    first_s, rest_s = math.exp(before.first.mean), tokens * math.exp(before.pace.mean)
    share = first_s / (first_s + rest_s)
    first = learned(before.first, max(_AT_LEAST * share * own_s, own_s - rest_s), sight.at, share**-2)
    rest = max(_AT_LEAST * (1 - share) * own_s, own_s - first_s)
    pace = learned(before.pace, rest / tokens, sight.at, (1 - share) ** -2 * _pace_doubt(tokens, sight))
    return replace(
        before,
        first=first,
        pace=pace,
        best=min(before.best + _BEST_RISES, first.mean),
        best_pace=min(before.best_pace + _BEST_RISES, pace.mean),
        service_s=before.service_s + _SERVICE_RATE * (own_s - before.service_s),
    )


def _pace_doubt(tokens: int, sight: Sight) -> float:
    return (1 + _FEW_TOKENS / tokens) * (_GUESS_DOUBT if sight.guessed else 1.0)


def after_silence(before: Estimator, waited_s: float, sight: Sight) -> Estimator:
    """Return the estimator after a request that was given up `waited_s` after it was sent, without a word."""
    if waited_s <= math.exp(before.first.mean) + before.wait_s(sight.in_flight):
        return before
    own_s = max(_AT_LEAST * waited_s, waited_s - before.wait_s(sight.in_flight))
    first = learned(before.first, _SILENCE * own_s, sight.at, _SILENCE_NOISE / before.first.noise)
    return replace(before, first=first)
