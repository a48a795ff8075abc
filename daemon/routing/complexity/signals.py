"""The signals of difficulty: what each says when it speaks, and what it weighs.

Weights are points: above zero they speak for a stronger model, below for a smaller one. They were set by hand, in steps
of a quarter, by what each signal means, and corrected on the tune set alone (docs/complexity.md).
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALL", "Signal"]


class Signal:
    """One thing that may be noticed of a request. Compared by identity: there is one of each."""

    __slots__ = ("reason", "says", "weight")

    def __init__(self, says: str, weight: float) -> None:
        """Word the reason once: a classification has no time for it."""
        self.says, self.weight = says, weight
        self.reason = f"{says} ({weight:+g})"


PROOF: Final = Signal("asks for a proof or a derivation", 2.5)
DESIGN: Final = Signal("asks for a design", 2.0)
ANALYSIS: Final = Signal("asks for an analysis or a judgement", 2.0)
DEBUGGING: Final = Signal("asks for the cause of a fault", 2.0)
DECISION: Final = Signal("asks for a decision", 1.0)
WEIGHING: Final = Signal("weighs one thing against another", 1.5)
OPTIMIZATION: Final = Signal("asks to improve a system", 1.5)
REVIEW: Final = Signal("asks for a review", 1.0)
COMPARISON: Final = Signal("asks for a comparison", 1.0)
CAUSE: Final = Signal("asks why", 0.75)
LARGE_WORK: Final = Signal("asks for a large work", 1.0)
EXPLANATION: Final = Signal("asks for an explanation", 1.0)
MAKING: Final = Signal("asks to write or make something", 0.5)
SUMMARY: Final = Signal("asks for a summary", 1.0)
CALCULATION: Final = Signal("asks for a calculation", 0.5)
PROGRAM: Final = Signal("asks for a program", 0.25)
SYMPTOM: Final = Signal("tells of a fault", 0.75)
HARD_SUBJECT: Final = Signal("speaks of a hard subject", 1.0)
HARDER_SUBJECT: Final = Signal("speaks of several hard subjects", 0.75)
MATHEMATICS: Final = Signal("speaks mathematics", 0.75)
CONDITIONS: Final = Signal("sets conditions", 0.5)
MORE_CONDITIONS: Final = Signal("sets many conditions", 0.75)
SEVERAL_TASKS: Final = Signal("asks for several hard things", 0.75)
SEVERAL_QUESTIONS: Final = Signal("asks several questions", 0.5)
STEPS: Final = Signal("lists steps or points", 0.25)
HOLDS_CODE: Final = Signal("holds code", 0.5)

QUESTION: Final = Signal("asks for a fact", -1.0)
SHORT_QUESTION: Final = Signal("asks for a fact in a few words", -1.5)
YES_OR_NO: Final = Signal("asks a question of yes or no", -0.5)
HOW_TO: Final = Signal("asks how something is done", -0.5)
LABEL: Final = Signal("asks for a label", -1.5)
EXTRACTION: Final = Signal("asks to find or list what is there", -1.0)
TRANSLATION: Final = Signal("asks for a translation", -1.0)
LONG_TRANSLATION: Final = Signal("has much to translate", 2.0)
FORM: Final = Signal("asks for another form of the same", -1.0)
CHANGE: Final = Signal("asks for a small change", -0.5)
SMALL_TALK: Final = Signal("is small talk", -2.0)
BRIEF: Final = Signal("wants it short", -0.75)
WORD: Final = Signal("asks about a word", -0.5)

LONG_CONVERSATION: Final = Signal("a long conversation", 0.5)
TOOLS: Final = Signal("offers tools", 0.25)
TOOL_RESULTS: Final = Signal("holds results of tools", 0.25)
SCHEMA: Final = Signal("wants JSON", 0.25)
THINKING: Final = Signal("asks for reasoning effort", 0.75)
IMAGES: Final = Signal("holds images", 0.25)
FEW_TOKENS: Final = Signal("lets the answer be a few tokens", -1.0)

ALL: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Signal))
"""Every signal that words or shape can give; the length of what is asked is said beside them."""
