"""What is run where: the surfaces of this process, one after the other, and the doors of one daemon."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.fuzz.answers import Providers
from benchmarks.fuzz.asking import exchanged
from benchmarks.fuzz.bodies import BODIES
from benchmarks.fuzz.configuration import CONFIGURATION
from benchmarks.fuzz.doors import Doorstep, judged
from benchmarks.fuzz.engine import LOOKS, Engine, take_once, watched
from benchmarks.fuzz.environment import ENVIRONMENT
from benchmarks.fuzz.faces import DOORS
from benchmarks.fuzz.hints import HINTS
from benchmarks.fuzz.house import House, Vitals
from benchmarks.fuzz.pages import PAGES
from benchmarks.fuzz.past import PAST
from benchmarks.fuzz.replies import REPLIES
from benchmarks.fuzz.streams import STREAMED
from benchmarks.fuzz.surface import Broken, Surface, Tally
from benchmarks.fuzz.wire import WIRE

__all__ = ["INPUTS", "SURFACES", "Run", "replayed", "run", "runs"]

INPUTS: Final = 200_000
SURFACES: Final = (HINTS, STREAMED, REPLIES, BODIES, CONFIGURATION, PAGES, ENVIRONMENT, PAST, WIRE)
_BY_NAME: Final = {surface.name: surface for surface in SURFACES}
_ANSWERS: Final = "providers' answers"
_ANSWERS_SHARE: Final = 6
_SLACK_DESCRIPTORS: Final = 4
_DAEMON_MB: Final = 8.0
_BLOCKS_PER_INPUT: Final = 2.5
"""What the run itself keeps of new outcomes comes to 1.6 at most; an object with attributes is three."""
_WARM: Final = 400
_SETTLES_S: Final = 20.0


class Run(NamedTuple):
    """A part of the run that has a process to itself."""

    names: tuple[str, ...]
    inputs: int
    seed: str


def runs(inputs: int, seed: str) -> list[Run]:
    """Return the parts of a run of so many inputs: the daemon first, since it takes longest."""
    doors = tuple(door.name for door in DOORS)
    surfaces = [Run((surface.name,), inputs * surface.share // 100, seed) for surface in SURFACES]
    return [Run(("doors", *doors, _ANSWERS), inputs, seed), *surfaces]


def run(part: Run) -> list[Tally]:
    """Run a part and return what it came to."""
    if part.names[0] == "doors":
        return asyncio.run(_doors(part))
    surface = _BY_NAME[part.names[0]]
    tally = Engine(surface, f"{part.seed}/{surface.name}").run(part.inputs)
    _insist_on_no_leak(tally)
    return [tally]


def _insist_on_no_leak(tally: Tally) -> None:
    """Insist that inputs leave nothing behind: by blocks, since what is resident depends on how the free ones lie."""
    if len(tally.blocks) == len(LOOKS):
        per_input = (tally.blocks[2] - tally.blocks[1]) / (tally.inputs * (LOOKS[2] - LOOKS[1]))
        if per_input > _BLOCKS_PER_INPUT:
            tally.found(f"leak: {per_input:.1f} blocks for each input, {tally.memory_mb} MB at 20, 60 and 100 %", b"")


def _insist_on_flat(tally: Tally) -> None:
    if len(tally.memory_mb) == 3 and tally.memory_mb[2] - tally.memory_mb[1] > _DAEMON_MB:
        tally.found(f"leak: {tally.memory_mb} MB at 20, 60 and 100 %", b"")


async def _doors(part: Run) -> list[Tally]:
    tallies = []
    with tempfile.TemporaryDirectory(prefix="fairlead-fuzz-") as name, House(Path(name)) as house:
        for door in DOORS:  # warm: what is made once is made
            await Doorstep(house, door, f"{part.seed}/warm").run(min(_WARM, part.inputs // 100))
        await Providers(house, f"{part.seed}/warm").run(min(_WARM, part.inputs // 100))
        house.settled(_SETTLES_S)
        before = house.vitals()
        for door in DOORS:
            tallies.append(await Doorstep(house, door, f"{part.seed}/{door.name}").run(part.inputs * door.share // 100))
            _insist_on_flat(tallies[-1])
        answers = Providers(house, f"{part.seed}/{_ANSWERS}")
        tallies.append(await answers.run(part.inputs * _ANSWERS_SHARE // 100))
        _insist_on_flat(tallies[-1])
        _insist_on_peace(tallies[-1], house, before)
        house.process.stop()
        for complaint in house.complaints():
            tallies[-1].found(complaint, b"")
    return tallies


def _insist_on_peace(tally: Tally, house: House, before: Vitals) -> None:
    """Insist that nothing is left of all requests: no lease, no reservation, no connection."""
    if held := house.settled(_SETTLES_S):
        tally.found(f"leak: still held at the end: {held}", b"")
    end = time.monotonic() + _SETTLES_S
    while (now := house.vitals()).descriptors > before.descriptors + _SLACK_DESCRIPTORS and time.monotonic() < end:
        time.sleep(0.2)
    print(f"daemon: before {before}, after {now}", file=sys.stderr)
    if now.descriptors > before.descriptors + _SLACK_DESCRIPTORS:
        tally.found(f"leak: {before.descriptors} descriptors before, {now.descriptors} after", b"")


def replayed(file: Path) -> int:
    """Take one input again; the file's name begins with its surface's. Return 1 where it still breaks a law."""
    data, name = file.read_bytes(), file.name.partition("--")[0].replace("_", " ")
    try:
        outcome = _again(name, data)
    except Broken as broken:
        print(broken)
        return 1
    print(f"{name}: {outcome}")
    return 0


def _again(name: str, data: bytes) -> object:
    surface: Surface | None = _BY_NAME.get(name)
    if surface is None:
        return asyncio.run(_asked_again(name, data))
    with watched():
        return take_once(surface, data)


async def _asked_again(name: str, data: bytes) -> object:
    with tempfile.TemporaryDirectory(prefix="fairlead-fuzz-") as folder, House(Path(folder)) as house:
        if name == _ANSWERS:
            await Providers(house, "replay").once(data)
            return "answered"
        framed = "raw" not in name
        outcome = judged(data, await exchanged(house, data, framed=framed), framed=framed)
        if complaints := house.complaints():
            raise Broken(complaints[0])
        return outcome
