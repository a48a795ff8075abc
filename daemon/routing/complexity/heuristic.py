"""The heuristic classifier: a sum of signals, each of them said, in some tens of microseconds."""

from __future__ import annotations

from typing import Final

from daemon.routing.complexity import signals
from daemon.routing.complexity.asking import Read, read
from daemon.routing.complexity.features import Asked
from daemon.routing.complexity.signals import Signal
from daemon.routing.complexity.tiers import Borders, Classified

__all__ = ["classify"]

_BORDERS: Final = Borders()
_LENGTHS: Final = ((4, -1.5), (7, -1.0), (12, -0.5), (25, 0.0), (45, 0.5), (80, 1.0))
"""Up to how many words a demand weighs what."""
_LONGEST: Final = 1.5
_SHORT_QUESTION_WORDS: Final = 12
_LONG_TRANSLATION: Final = 160
_SMALL_TALK_WORDS: Final = 6
"""A greeting of more words, or with a demand in it, is only the polite beginning of a request."""
_MANY_QUESTIONS: Final = 2
_MANY_POINTS: Final = 3
_LONG_CONVERSATION_TURNS: Final = 3
_FEW_TOKENS: Final = 32
_REPEATED: Final = ((signals.HARD_SUBJECT, signals.HARDER_SUBJECT), (signals.CONDITIONS, signals.MORE_CONDITIONS))
_HARD: Final = frozenset(
    (
        signals.PROOF,
        signals.DESIGN,
        signals.ANALYSIS,
        signals.DEBUGGING,
        signals.DECISION,
        signals.OPTIMIZATION,
        signals.REVIEW,
        signals.COMPARISON,
    )
)


def classify(asked: Asked, borders: Borders = _BORDERS) -> Classified:
    """Return the tier of a request, its score and the signals that it is the sum of. Pure, never raises."""
    said = read(asked.text)
    spoke = _counted(said)
    spoke += _shape(asked)
    if signals.TRANSLATION in spoke and asked.characters > _LONG_TRANSLATION:
        spoke.append(signals.LONG_TRANSLATION)
    length = _length(said.words, spoke)
    score = length
    reasons = []
    for signal in spoke:
        score += signal.weight
        reasons.append(signal.reason)
    if length:
        reasons.append(f"{said.words} words ({length:+g})")
    return Classified(borders.tier_of(score), score, tuple(reasons))


def _length(words: int, spoke: list[Signal]) -> float:
    """Return what the length of a demand weighs; a hard one is no easier for being short."""
    weight = next((weight for most, weight in _LENGTHS if words <= most), _LONGEST)
    return weight if weight > 0 or _HARD.isdisjoint(spoke) else 0.0


def _counted(said: Read) -> list[Signal]:
    """Return each signal of the words once, and those that speak by how often others did."""
    heard = said.signals
    spoke = list(dict.fromkeys(heard))
    if len(spoke) < len(heard):
        spoke += [more for often, more in _REPEATED if heard.count(often) > 1]
    if len(_HARD.intersection(spoke)) > 1:
        spoke.append(signals.SEVERAL_TASKS)
    if said.questions >= _MANY_QUESTIONS:
        spoke.append(signals.SEVERAL_QUESTIONS)
    if said.words <= _SHORT_QUESTION_WORDS and signals.QUESTION in spoke:
        spoke[spoke.index(signals.QUESTION)] = signals.SHORT_QUESTION
    if signals.SMALL_TALK in spoke and (said.words > _SMALL_TALK_WORDS or len(spoke) > 1):
        spoke.remove(signals.SMALL_TALK)
    return spoke


def _shape(asked: Asked) -> list[Signal]:
    """Return the signals of what is around the words."""
    text = asked.text
    spoke = []
    if "```" in text:
        spoke.append(signals.HOLDS_CODE)
    elif text.count("\n") >= _MANY_POINTS:
        spoke += _lines(text)
    if asked.turns >= _LONG_CONVERSATION_TURNS:
        spoke.append(signals.LONG_CONVERSATION)
    if asked.tools:
        spoke.append(signals.TOOLS)
    if asked.tool_results:
        spoke.append(signals.TOOL_RESULTS)
    if asked.schema:
        spoke.append(signals.SCHEMA)
    if asked.thinking:
        spoke.append(signals.THINKING)
    if asked.images:
        spoke.append(signals.IMAGES)
    if asked.max_tokens is not None and asked.max_tokens <= _FEW_TOKENS:
        spoke.append(signals.FEW_TOKENS)
    return spoke


def _lines(text: str) -> list[Signal]:
    """Return the signals of how the lines begin and end."""
    spoke = []
    if text.count("\n- ") + text.count("\n* ") >= _MANY_POINTS:
        spoke.append(signals.STEPS)
    if text.count(";\n") + text.count("):\n") + text.count("{\n") >= _MANY_POINTS:
        spoke.append(signals.HOLDS_CODE)
    return spoke
