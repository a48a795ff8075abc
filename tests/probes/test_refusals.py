"""What counts as a refusal by its opening, in several languages, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.refusals import OPENING_CHARACTERS, refuses

FIXTURES = Path(__file__).parents[1] / "fixtures"
REFUSALS = (FIXTURES / "refusals.txt").read_text("utf-8").splitlines()
ANSWERS = (FIXTURES / "no_refusals.txt").read_text("utf-8").splitlines()
"""Both were written for this project."""


@pytest.mark.parametrize("text", REFUSALS)
def test_an_answer_that_declines_is_known_by_its_opening(text: str) -> None:
    """Law: whatever follows, who begins so has declined."""
    assert refuses(text)
    assert refuses(f"\n {text} Perhaps something else would be of use to you." + " And so on." * 99)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_none_for_what_it_says_it_cannot_do(text: str) -> None:
    """Law: to be sorry, or to be unable to believe, declines nothing."""
    assert not refuses(text)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_in_the_middle_is_part_of_an_answer(refusal: str) -> None:
    """Law: only the opening declines."""
    assert not refuses(f"Here is the translation. {refusal}")
    assert not refuses("x" * OPENING_CHARACTERS + refusal)


@given(st.text(alphabet=st.sampled_from("I can'tdo.,sorybuhelpkönicht 不能我"), max_size=2000) | st.text())
def test_any_text_is_judged(text: str) -> None:
    """Law: nothing is raised, whatever an answer begins with."""
    assert refuses(text) in {True, False}
