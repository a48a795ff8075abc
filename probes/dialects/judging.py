"""Whether an answer does by the settings of a cascade. What it lacks is said without a word of it."""

from __future__ import annotations

import re
from typing import Final

from probes.cascade import CascadePolicy
from probes.dialects.quality import EMPTY, NOT_JSON, REFUSED, asked_format, lacking, unfit
from probes.dialects.refusals import refuses
from probes.dialects.saying import Said, said_of
from probes.surfaces import Surface

__all__ = ["MOST_CHARACTERS", "judge", "judge_beginning", "judge_stream", "prepare"]

MOST_CHARACTERS: Final = 64 * 1024
"""How much of a text is searched for an operator's patterns."""
_JSON_BEGINS: Final = '{["-0123456789tfn'


def prepare() -> None:
    """Get ready what judging takes time to begin with: 30 ms that no answer is to wait for."""
    refuses("")


def judge(policy: CascadePolicy, surface: Surface, request: bytes, answer: bytes) -> str | None:
    """Return what a whole answer to `request` lacks, as a few words; None where it does. Never raises."""
    said = said_of(surface, answer)
    found = lacking(surface, request, answer)
    if found == REFUSED and policy.refusals:
        return found
    unfit_for = found if policy.schema and found not in {EMPTY, REFUSED} else None
    return _declined(policy, said) or unfit_for or _short(policy, said)


def judge_stream(policy: CascadePolicy, surface: Surface, request: bytes, said: Said) -> str | None:
    """Return what a stream lacks that has said all of its answer; None where it does. Never raises."""
    found = _declined(policy, said)
    if found is None and policy.schema and said.text.strip():
        found = unfit(said.text, asked_format(surface, request))
    return found or _short(policy, said)


def judge_beginning(policy: CascadePolicy, surface: Surface, request: bytes, said: Said) -> str | None:
    """Return what a stream lacks by its beginning, whatever else it may say; None where it may do. Never raises."""
    if found := _declined(policy, said) or _unlike(policy, said):
        return found
    begins = said.text.lstrip()[:1]
    if policy.schema and begins and begins not in _JSON_BEGINS and asked_format(surface, request) is not None:
        return NOT_JSON
    return None


def _declined(policy: CascadePolicy, said: Said) -> str | None:
    if policy.refusals and (said.refused or (not said.others and refuses(said.text))):
        return REFUSED
    return None


def _short(policy: CascadePolicy, said: Said) -> str | None:
    """Judge by the length of a whole text, and by what it must and must not hold."""
    text = said.text.strip()
    if not text and (said.others or not policy.empty):
        return None
    if not text:
        return EMPTY
    if len(text) < policy.min_chars and not said.others:
        return f"shorter than min_chars = {policy.min_chars}"
    if policy.must_match and not said.others and not _finds(policy.must_match, text):
        return "it lacks what must_match asks for"
    return _unlike(policy, said)


def _unlike(policy: CascadePolicy, said: Said) -> str | None:
    """Judge by what more text would not change, or not by much."""
    if policy.must_not_match and _finds(policy.must_not_match, said.text):
        return "it has what must_not_match forbids"
    least = policy.min_logprob
    if least is not None and said.logprob is not None and said.logprob < least:
        return f"mean log-probability {said.logprob:.2f} below {least:g}"
    return None


def _finds(pattern: str, text: str) -> bool:
    return re.search(pattern, text[:MOST_CHARACTERS]) is not None
