"""The short form of `make fuzz`: a few hundred inputs for each surface, and that a mistake would be found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.fuzz.answers import Providers
from benchmarks.fuzz.doors import Doorstep
from benchmarks.fuzz.engine import Engine, is_steep, take_once
from benchmarks.fuzz.faces import DOORS
from benchmarks.fuzz.house import House
from benchmarks.fuzz.mutation import mutated_bytes
from benchmarks.fuzz.runs import SURFACES
from benchmarks.fuzz.surface import Broken, Surface, Tally

_INPUTS = 250
_SLOW = {"past": 12, "configuration": 60, "streams": 100}
_EACH = 60


def _seeded(take: object) -> Surface:
    return Surface("toy", lambda: [b"aaaa 12"], mutated_bytes, take, 1)  # type: ignore[arg-type]


def _laws(tally: Tally) -> list[str]:
    return [finding.law for finding in tally.findings]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_foreign_input_breaks_no_law_of_its_parser(surface: Surface) -> None:
    """Law: nothing is raised that is not documented, nothing takes a second, what comes out can be used."""
    tally = Engine(surface, "short").run(_SLOW.get(surface.name, _INPUTS))
    assert _laws(tally) == []
    assert len(tally.outcomes) > 1


def test_the_daemon_answers_whatever_comes(tmp_path: Path) -> None:
    """Law: no 500, no death, no secret in answers and log, every answer in its face's shape, nothing left behind."""

    async def run(house: House) -> list[Tally]:
        doors = [await Doorstep(house, door, "short").run(_EACH) for door in DOORS if "raw" not in door.name]
        return [*doors, await Providers(house, "short").run(_EACH)]

    with House(tmp_path) as house:
        tallies = asyncio.run(run(house))
        assert [law for tally in tallies for law in _laws(tally)] == []
        assert house.settled(10) == {}


def test_the_same_seed_gives_the_same_inputs() -> None:
    """Law: what was found once is found again."""
    taken: list[list[bytes]] = [[], []]
    for number in (0, 1):
        Engine(_seeded(taken[number].append), "seed").run(200)
    assert taken[0] == taken[1]
    assert len(set(taken[0])) > 150


def test_an_exception_is_a_finding_and_its_input_breaks_the_law_again() -> None:
    """Law: a parser that stumbles is told of once for each place, with an input that shows it."""
    surface = _seeded(lambda data: data.index(b"aaaa"))
    tally = Engine(surface, "seed").run(400)
    assert [law.partition(":")[0] for law in _laws(tally)] == ["ValueError"]
    with pytest.raises(Broken, match="ValueError"):
        take_once(surface, tally.findings[0].data)


@pytest.mark.parametrize(
    ("times", "steep"),
    [((0.01, 0.04, 0.16, 0.64), True), ((0.1, 0.2, 0.4, 0.8), False), ((0.0001, 0.0004, 0.0016, 0.0064), False)],
)
def test_time_that_grows_with_the_square_of_the_size_is_a_finding(times: tuple[float, ...], steep: bool) -> None:  # noqa: FBT001
    """Law: twice the input may take twice the time; what takes no time at all may grow as it likes."""
    assert is_steep(times) is steep
