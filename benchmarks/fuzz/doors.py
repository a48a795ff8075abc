"""The run against the daemon itself: batches of inputs over its sockets, and what is seen of the process meanwhile."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Hashable
from typing import Final

from benchmarks.fuzz.answered import Answer, answers_in, insist_on_shape
from benchmarks.fuzz.asking import Exchanged, exchanged
from benchmarks.fuzz.corpus import Corpus
from benchmarks.fuzz.engine import LOOKS
from benchmarks.fuzz.faces import Door
from benchmarks.fuzz.house import House
from benchmarks.fuzz.surface import Broken, Tally, secrets_in

__all__ = ["Doorstep", "judged"]

_BATCH: Final = 192
_AT_ONCE: Final = 48
_SLOW_S: Final = 1.5
_MOST_CPU_S: Final = 1.0
_SQL_CPU_S: Final = 6.5
"""An operator's query may take 5 s, beside the loop."""
_RENEWED_EVERY: Final = 6
_LINE: Final = re.compile(rb"(?:^|\r\n)([A-Z]+) (\S*)[^\r\n]* HTTP/1\.[01]\r?\n")
_NUMBERED: Final = re.compile(r"[0-9]+|peer\d+g\d+")


def judged(data: bytes, came: Exchanged, *, framed: bool) -> Hashable:
    """Return in a few words what was answered. Raises Broken where that breaks a law."""
    lines = _LINE.findall(b"\r\n" + data[1:])
    methods = tuple(method for method, _ in lines) or (b"GET",)
    path = lines[0][1].decode("latin-1") if lines else ""
    if not came.raw and framed and came.took_s > _SLOW_S:
        raise Broken(f"no answer to a whole request within {came.took_s:.1f} s")
    if secrets := secrets_in(came.raw):
        raise Broken(f"the answer holds the secret {secrets}")
    answers = answers_in(came.raw, methods)
    return (methods[0][:8], _shortened(path), *(_one(answer, path) for answer in answers[:3]))


def _one(answer: Answer, path: str) -> Hashable:
    code = insist_on_shape(answer, path)
    if answer.status == 500:
        raise Broken(f"500 {path[:60]}: {answer.body[:300]!r}")
    return (answer.status, code, answer.headers.get("content-type", ""), answer.whole)


def _shortened(path: str) -> str:
    return "/".join(_NUMBERED.sub("#", part)[:8] for part in path.partition("?")[0].split("/")[:5])


class Doorstep:
    """Runs one door of the daemon."""

    def __init__(self, house: House, door: Door, seed: str) -> None:
        """Begin with the door's seeds."""
        self._house = house
        self._door = door
        self._corpus = Corpus(door.seeds, door.mutate, seed)
        self._framed = "raw" not in door.name
        self._slow: list[tuple[float, bytes]] = []
        self.tally = Tally(door.name)

    async def run(self, inputs: int) -> Tally:
        """Send `inputs` in all."""
        began, looks = time.monotonic(), [round(share * inputs) for share in LOOKS]
        while self.tally.inputs < inputs and not self._dead():
            if self.tally.inputs // _BATCH % _RENEWED_EVERY == 0:
                self._resumed()
            await self._batch([self._corpus.next() for _ in range(min(_BATCH, inputs - self.tally.inputs))])
            while looks and self.tally.inputs >= looks[0]:
                looks.pop(0)
                self.tally.memory_mb.append(self._house.vitals().resident_mb)
        await self._retried()
        for complaint in self._house.complaints():
            self.tally.found(complaint, b"")
        self.tally.took_s = time.monotonic() - began
        return self.tally

    async def _batch(self, batch: list[bytes]) -> None:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(data: bytes) -> Exchanged:
            async with turn:
                return await exchanged(self._house, data, framed=self._framed)

        results = await asyncio.gather(*map(one, batch))
        for data, came in zip(batch, results, strict=True):
            self.tally.inputs += 1
            self._weighed(data, came)
        if not self._house.process.running:
            await self._buried(batch)

    def _weighed(self, data: bytes, came: Exchanged) -> None:
        try:
            outcome = judged(data, came, framed=self._framed)
        except Broken as broken:
            self.tally.found(str(broken), data)
            return
        self.tally.took(came.took_s, data)
        if came.took_s > _SLOW_S:
            self._slow = sorted([*self._slow, (came.took_s, data)], reverse=True)[:12]
        if outcome not in self.tally.outcomes:
            self.tally.outcomes.add(outcome)
            self._corpus.keep(data)

    async def _retried(self) -> None:
        """Send what took long once more, alone, and see what it costs the daemon."""
        for took_s, data in self._slow:
            if self._dead():
                return
            before = self._house.process.cpu_s()
            await exchanged(self._house, data, framed=self._framed)
            cost_s = self._house.process.cpu_s() - before
            if cost_s > (_SQL_CPU_S if b"/sql" in data[:60] else _MOST_CPU_S):
                self.tally.found(f"slow: {cost_s:.1f} s of the daemon's CPU, {took_s:.1f} s until answered", data)

    async def _buried(self, batch: list[bytes]) -> None:
        """Find out of whom the daemon died: one after the other, each in front of a new one."""
        last_words = self._house.process.last_words()[-400:]
        for data in batch:
            self._house.open()
            await exchanged(self._house, data, framed=self._framed)
            await asyncio.sleep(0.02)
            if not self._house.process.running:
                self.tally.found(f"the daemon died: {last_words}", data)
                break
        else:
            self.tally.found(f"the daemon died of a batch: {last_words}", batch[0])
        if not self._house.process.running:
            self._house.open()

    def _dead(self) -> bool:
        return len(self.tally.findings) > 40

    def _resumed(self) -> None:
        for target in ("lab/m", "lab/n", "told/m", "told/n"):
            self._house.ask("POST", f"/fairlead/v1/targets/{target}/resume")
