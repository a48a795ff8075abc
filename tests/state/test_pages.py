"""What becomes of a status page's word: who hears it, how long it holds, and how own evidence outweighs it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.messages import PageRead, TargetsReplaced
from state.pages import PAGE_FADES_S, PageReport
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.evidence import TARGET, answered, failed
from tests.rigs.registry_house import HOUSE_POLICY, OTHER, House, in_house
from tests.rigs.virtual_time import START

ELSEWHERE = TargetName("else/where")
_ALL = {TARGET: HOUSE_POLICY, OTHER: HOUSE_POLICY, ELSEWHERE: HOUSE_POLICY}


def _read(level: float = 0.5, at: float = START) -> PageRead:
    return PageRead(provider="lab", level=level, text="down", at=at)


def test_all_targets_of_a_provider_hear_of_its_page_and_no_others() -> None:
    """Law: a page is about its provider; it changes no standing."""

    async def scene(house: House) -> None:
        await house.say(answered(START), _read())
        seen = house.snapshots()[-1].targets
        assert seen[TARGET].page == seen[OTHER].page == PageReport(0.5, "down", START)
        assert seen[ELSEWHERE].page is None
        assert (seen[TARGET].standing, seen[OTHER].standing) == (Standing.HEALTHY, Standing.UNPROVEN)
        assert seen[TARGET].heard == (START,)

    in_house(scene, targets=_ALL)


def test_a_page_fades() -> None:
    """Law: what was read three minutes ago is forgotten, and that is published."""

    async def scene(house: House) -> None:
        await house.say(_read())
        await house.until(START + PAGE_FADES_S - 0.1)
        assert house.newest(TARGET).page is not None
        await house.until(START + PAGE_FADES_S)
        assert house.newest(TARGET).page is None
        await house.until(START + 3600)
        assert house.snapshots() == []

    in_house(scene, targets=_ALL)


def test_the_next_reading_takes_the_place_of_the_last() -> None:
    """Law: the newest word counts, and one that is taken back is gone."""

    async def scene(house: House) -> None:
        await house.say(_read(), _read(0.0))
        assert house.newest().page == PageReport(0.0, "down", START)
        await house.say(_read(at=-math.inf))
        assert house.newest().page is None

    in_house(scene, targets=_ALL)


def test_a_target_that_a_reload_adds_hears_what_was_said_before() -> None:
    """Law: a page is kept by provider, so a new model of it is no better than the others."""

    async def scene(house: House) -> None:
        new = TargetName("lab/new")
        await house.say(_read())
        await house.say(TargetsReplaced(targets={**_ALL, new: HOUSE_POLICY}))
        assert house.newest(new).page == PageReport(0.5, "down", START)

    in_house(scene, targets=_ALL)


def test_a_page_excuses_and_condemns_nobody() -> None:
    """Law: with the worst or the best of pages, faults eject exactly as they do without."""
    for level in (0.0, 0.5):

        async def scene(house: House, level: float = level) -> None:
            await house.say(_read(level), answered(START), *[failed(START + 0.5 + n) for n in range(2)], _read(level))
            assert house.newest().standing is Standing.HEALTHY
            await house.say(failed(START + 3))
            assert house.newest().standing is Standing.COOLING
            await house.say(_read(0.2))
            assert house.newest().standing is Standing.COOLING

        in_house(scene, targets=_ALL)


@pytest.mark.parametrize(
    ("ages", "share"), [([], 0.5), ([31], 0.5), ([1], 0.42), ([30, 1], 0.34), ([9] * 5, 0.1), ([9] * 50, 0.1)]
)
def test_own_outcomes_within_30_s_leave_a_page_less_weight(ages: list[float], share: float) -> None:
    """Law: in full while nothing is fresh, a fifth from five fresh outcomes on."""
    heard = tuple(-age for age in ages)
    assert PageReport(0.5, "", -5.0).believed(heard, 0.0) == pytest.approx(share)


@settings(deadline=None)
@given(st.floats(0, 0.5), st.lists(st.floats(-100, 0), max_size=8), st.floats(0, 300), st.floats(-60, 0))
def test_more_evidence_never_gives_a_page_more_weight(level: float, heard: list[float], age: float, at: float) -> None:
    """Law: it is believed at most in full, less with every outcome, and not at all once it has faded."""
    page, before = PageReport(level, "", -age), tuple(sorted(heard))
    after = tuple(sorted([*heard, at]))
    assert 0.0 <= page.believed(after, 0.0) <= page.believed(before, 0.0) <= level
    if age >= PAGE_FADES_S:
        assert page.believed(before, 0.0) == 0.0
