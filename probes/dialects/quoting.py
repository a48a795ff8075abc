"""What may be quoted of a provider's own message: the words in which services speak of accounts, limits and load.

A message may repeat a prompt, an answer or a key; nobody can tell that from its form. So a word is quoted only where it
is one of these, which by themselves tell nothing of anybody, and a number only beside what it counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["quoted"]

_SPOKEN: Final = """
    a access account again allowed already an and any api are as at available backend bad balance be because
    been billing busy by can cannot capacity check client closed completions concurrent configuration configured
    connect connection context could country credit credits current currently daily day days deployment details
    disabled do does down due during e.g. enabled engine error exceed exceeded exceeds exhausted exist expired
    failed feature for forbidden found free from gateway has have high however if in incorrect increase input
    inputs insufficient internal invalid is it key large later learn length level limit limited limits load loading
    location long longer low many max maxed maximum member memory messages metric min minute minutes missing
    model models moment month monthly more must near need no not occurred of on one open option or organization our
    out output over overload overloaded parameters per permission permissions permitted plan please prepaid
    pricing process processing prompt provided provider quota rate reach reached reduce reduced region request
    requested requests reset resets resource resources response restricted resulted retry returned run sec
    second seconds server servers service shared short simulated size slots slow soon specified spend spent
    started starting still successfully such support supported system temporarily territory than that the there
    this tier time timed timeout to token tokens too traffic try unable unauthorized unavailable under until
    upgrade upstream usage use used user user's version wait was we will with within would x-api-key yet you
    your
"""
_WORDS: Final = frozenset(_SPOKEN.split())
_COUNTS: Final = (
    "tokens token requests request seconds second s ms minutes min limit used requested length context maximum"
)
_COUNTED: Final = frozenset(_COUNTS.split())
"""What a number stands beside that counts something of the service's."""
_SIGNS: Final = frozenset({"", "<", ">", "=", "-", "/", "…"})
_NUMBER: Final = re.compile(r"\d[\d,.]{0,12}(?:ms|s|m|h)?")
_EDGES: Final = ".,:;!?()[]`'\"*"
_LONGEST: Final = 120
_LEAST: Final = 0.6
"""The share of its words that must be known: a message of others' words is no message of a service's."""


def quoted(text: str) -> str:
    """Return `text` as one short line, with an ellipsis for what may be anybody's words; empty where most of it may."""
    words = text[:1000].split()
    cores = [word.strip(_EDGES).lower() for word in words]
    known = [_is_known(cores, at) for at in range(len(cores))]
    if not words or sum(known) < _LEAST * len(words):
        return ""
    line = " ".join(_joined(zip(words, known, strict=True)))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"


def _is_known(cores: list[str], at: int) -> bool:
    core = cores[at]
    if _NUMBER.fullmatch(core):
        return any(near in _COUNTED for near in (*cores[max(0, at - 1) : at], *cores[at + 1 : at + 2]))
    return core.removesuffix("'s") in _WORDS or core in _SIGNS


def _joined(words: Iterable[tuple[str, bool]]) -> Iterator[str]:
    """Return the words, one ellipsis for each run of unknown ones."""
    before = True
    for word, known in words:
        if known or before:
            yield word if known else "…"
        before = known
