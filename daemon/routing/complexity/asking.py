"""Which signals the words of a request give: verbs where they begin a demand, other words outside of the material."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import compress
from typing import Final

from daemon.routing.complexity import signals
from daemon.routing.complexity.signals import Signal
from daemon.routing.complexity.tongues import (
    ANYWHERE_ABROAD,
    BEFORE_DEMANDS_ABROAD,
    DEMANDS_ABROAD,
    LETTERS_UNSPACED,
    OPENINGS_ABROAD,
    UNSPACED,
    UNSPACED_PATTERN,
)
from daemon.routing.complexity.words import ANYWHERE, BEFORE_DEMANDS, DEMANDS, OPENINGS, PAIRS, QUANTITIES

__all__ = ["Read", "read"]

_MARKS: Final = ".,:;?!"
_DEMANDS: Final = DEMANDS_ABROAD | DEMANDS
_ANYWHERE: Final = ANYWHERE_ABROAD | ANYWHERE
_NOWHERE: Final[Mapping[str, Signal]] = {}
_OPENINGS: Final = OPENINGS_ABROAD | OPENINGS
_BEFORE: Final = BEFORE_DEMANDS | BEFORE_DEMANDS_ABROAD
_BARE: Final = {
    f"{before}{word}{after}": word
    for word in {*_DEMANDS, *_ANYWHERE, *PAIRS}
    for before in ("", "(")
    for after in ("", *_MARKS, ")", "):", ").")
}
"""Each known word as it may stand in a text, and without its marks: looking up is cheaper than taking marks off."""
_GIVEN: Final = re.compile(
    r"""```.*?(?:```|$)|`[^`\n]*`|"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」|'(?<!\w')[^'\n]+'(?!\w)""", re.DOTALL
)
"""What is given to be worked on, rather than asked: code and quotations."""
_GIVEN_AS: Final = ' "" '
_HANDLES: Final = frozenset((signals.LABEL, signals.EXTRACTION, signals.TRANSLATION, signals.FORM, signals.CHANGE))
"""Demands behind whose colon the material stands."""
_ASKS: Final = frozenset((signals.QUESTION, signals.HOW_TO))
_WIDE_QUESTION: Final = "\uff1f"
_LETTERS_PER_WORD: Final = 2
"""Chinese and Japanese words have about two letters."""
_MOST_UNSPACED: Final = 300


class Read:
    """What the words of a request say."""

    __slots__ = ("demanded", "handles", "questions", "signals", "words")

    def __init__(self) -> None:
        """Nothing is said yet."""
        self.signals: list[Signal] = []
        """In the order of the words, each as often as it spoke."""
        self.words = 0
        """How many words the line has that asks, up to its material."""
        self.questions = 0
        """Question marks outside of what is quoted."""
        self.demanded = False
        """Whether a question or a demand was heard: to list or to convert something is then only a part of it."""
        self.handles = False
        """Whether that is to handle some material, which then says nothing itself."""


def read(text: str) -> Read:
    """Return what `text` says, in time that grows with its length."""
    said = Read()
    plain = text.isascii()
    if '"' in text or "`" in text or "'" in text or not (plain or _is_unquoted(text)):
        text = _GIVEN.sub(_GIVEN_AS, text)
    first, _, rest = text.strip().lower().partition("\n")
    words = first.split()
    if words:
        _open(said, words)
    said.words = _hear(said, words, _ANYWHERE)
    if rest:
        _hear_rest(said, rest)
    said.questions = text.count("?")
    if not plain:
        _hear_unspaced(said, text)
    return said


def _is_unquoted(text: str) -> bool:
    """Whether none of the quotation marks of other languages is in `text`."""
    return "“" not in text and "„" not in text and "«" not in text and "「" not in text


def _open(said: Read, words: list[str]) -> None:
    """Add what the first word says, unless it says more together with the second."""
    first = words[0].strip(_MARKS)
    second = words[1].rstrip(_MARKS) if len(words) > 1 else ""
    opening = signals.QUESTION if first == "how" and second in QUANTITIES else _OPENINGS.get(first)
    if opening is not None and second not in PAIRS.get(first, _NOWHERE):
        said.signals.append(opening)
        said.demanded = opening in _ASKS


def _hear_rest(said: Read, rest: str) -> None:
    """Add what the lines below the first say: the last may ask, those between may be material and say demands alone."""
    between, _, last = rest.rpartition("\n")
    if between and not said.handles:
        _hear(said, between.split(), _NOWHERE)
    words = last.split()
    if said.demanded:
        _hear(said, words, _NOWHERE)
        return
    words = words[words[0][-1] == ":" :]
    before = len(said.signals)
    if words:
        _open(said, words)
    end = _hear(said, words, _ANYWHERE)
    if len(said.signals) > before:
        said.words = end


def _hear_unspaced(said: Read, text: str) -> None:
    """Add what is written without spaces between the words: a letter says more there, so that fewer are read."""
    text = text if len(text) <= _MOST_UNSPACED else f"{text[: _MOST_UNSPACED // 2]}\n{text[-_MOST_UNSPACED // 2 :]}"
    letters = sum(map(len, LETTERS_UNSPACED.findall(text)))
    if letters:
        said.signals.extend([UNSPACED[word] for word in UNSPACED_PATTERN.findall(text)])
        said.words += letters // _LETTERS_PER_WORD
        said.questions += text.count(_WIDE_QUESTION)


def _hear(said: Read, words: list[str], anywhere: Mapping[str, Signal]) -> int:
    """Add the signals of one stretch of words; return where its material begins, its end where it has none."""
    end = len(words)
    for at in compress(range(end), map(_BARE.__contains__, words)):
        if at >= end:
            break
        bare = _BARE[words[at]]
        signal = _demanded(words, at, bare)
        if signal is None:
            signal = anywhere.get(bare)
        elif signal not in _HANDLES:
            said.demanded = True
        elif said.demanded:
            continue
        else:
            said.demanded = said.handles = True
            end = next((to + 1 for to in range(at, end) if words[to][-1] == ":"), end)
        if signal is not None:
            said.signals.append(signal)
    return end


def _demanded(words: list[str], at: int, bare: str) -> Signal | None:
    """Return what a word says with the next one, or by itself where it begins a demand."""
    if (pairs := PAIRS.get(bare)) is not None and at + 1 < len(words):
        signal = pairs.get(words[at + 1].rstrip(_MARKS))
        if signal is not None:
            return signal
    signal = _DEMANDS.get(bare)
    if signal is None or at == 0:
        return signal
    before = words[at - 1]
    return signal if before in _BEFORE or not before[-1].isalnum() or before.endswith("ly") else None
