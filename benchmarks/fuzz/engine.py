"""The run over one surface in this process: mutate, take, watch; what reaches something new is mutated further."""

from __future__ import annotations

import gc
import random
import signal
import sys
import time
import traceback
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from benchmarks.fuzz.corpus import Corpus
from benchmarks.fuzz.mutation import grown
from benchmarks.fuzz.surface import Broken, Luck, Surface, Tally

__all__ = ["LOOKS", "Engine", "is_steep", "resident_mb", "take_once", "watched"]

LOOKS: Final = (0.2, 0.6, 1.0)
"""When memory is looked at: at these shares of the inputs."""
_MOST_CPU_S: Final = 1.0
_GIVEN_UP_S: Final = 10.0
_TRACED_EVERY: Final = 12
_GROWN_EVERY: Final = 400
_SIZES: Final = (16, 32, 64, 128)
"""KiB to which an input is doubled."""
_STEEP: Final = 3.0
"""Twice the size taking this many times as long, twice in a row, is no line."""
_WORTH_S: Final = 0.12
_PRODUCT: Final = tuple(str(Path(__file__).parents[2] / name) for name in ("daemon", "probes", "state"))


class _Hang(BaseException):
    """An input that did not come to an end."""


class Engine:
    """Runs one surface; the same seed gives the same inputs."""

    def __init__(self, surface: Surface, seed: str) -> None:
        """Begin with the surface's seeds."""
        self._surface = surface
        self._corpus = Corpus(surface.seeds(), surface.mutate, seed)
        self._lines: set[tuple[str, int]] = set()
        self.tally = Tally(surface.name)

    def run(self, inputs: int) -> Tally:
        """Take the seeds, then mutations, `inputs` in all."""
        began = time.monotonic()
        looks = [max(1, round(share * inputs)) for share in LOOKS]
        with watched():
            for number in range(1, inputs + 1):
                self._one(number, self._corpus.next())
                if number in looks:
                    self.tally.memory_mb.append(resident_mb())
                    self.tally.blocks.append(sys.getallocatedblocks())
        self.tally.lines = len(self._lines)
        self.tally.took_s = time.monotonic() - began
        return self.tally

    def _one(self, number: int, data: bytes) -> None:
        reached = len(self._lines)
        outcome = self._taken(data, self._lines if number % _TRACED_EVERY == 0 else None)
        self.tally.inputs += 1
        if outcome not in self.tally.outcomes or len(self._lines) > reached:
            self._corpus.keep(data)
        self.tally.outcomes.add(outcome)
        if self._surface.grows and number % _GROWN_EVERY == 0:
            self._grow(self._corpus.known())

    def _taken(self, data: bytes, lines: set[tuple[str, int]] | None) -> Hashable:
        signal.setitimer(signal.ITIMER_REAL, _GIVEN_UP_S)
        began = time.process_time()
        try:
            outcome = take_once(self._surface, data, lines)
        except Broken as broken:
            self.tally.found(str(broken), data)
            return "finding"
        took = time.process_time() - began
        if lines is None:
            self.tally.took(took, data)
            if took > _MOST_CPU_S:
                self.tally.found(f"slow: {took:.1f} s of CPU for {len(data)} bytes", data)
        return outcome

    def _grow(self, data: bytes) -> None:
        """Double an input three times and see whether its time more than doubles."""
        luck_state = self._corpus.luck.getrandbits(32)
        times: list[float] = []
        largest = b""
        for size in _SIZES:
            largest = grown(data, _luck(luck_state), size * 1024)
            began = time.process_time()
            self._taken(largest, None)
            times.append(time.process_time() - began)
            self.tally.inputs += 1
        if is_steep(times):
            told = " ".join(f"{took * 1e3:.0f}" for took in times)
            self.tally.found(f"steep: {told} ms of CPU for {' '.join(map(str, _SIZES))} KiB", largest)


def is_steep(times: Sequence[float]) -> bool:
    """Return whether seconds of CPU grow like no line, where each is for twice the size of the one before."""
    return times[-1] > _WORTH_S and times[-1] > _STEEP * times[-2] and times[-2] > _STEEP * times[-3]


def _luck(seed: int) -> Luck:
    return random.Random(seed)  # noqa: S311 - a fuzzer's luck is no secret


def take_once(surface: Surface, data: bytes, lines: set[tuple[str, int]] | None = None) -> Hashable:
    """Take one input; gather the product's lines that it reaches in `lines`. Raises Broken where it breaks a law."""
    if lines is not None:
        sys.settrace(_tracer(lines))
    try:
        return surface.take(data)
    except Broken:
        raise
    except _Hang:
        raise Broken(f"hang: not done within {_GIVEN_UP_S:g} s\n{traceback.format_exc(limit=-4)}") from None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise Broken(_told(error)) from error
    finally:
        if lines is not None:
            sys.settrace(None)


def _told(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(_PRODUCT)]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {error}"[:200] + f"\n{''.join(traceback.format_exception(error, limit=-6))}"


def _tracer(lines: set[tuple[str, int]]) -> Any:
    def in_frame(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return in_frame

    def on_call(frame: FrameType, _event: str, _: object) -> Any:
        return in_frame if frame.f_code.co_filename.startswith(_PRODUCT) else None

    return on_call


@contextmanager
def watched() -> Iterator[None]:
    """End an input that does not end by itself."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _GIVEN_UP_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def resident_mb(pid: int | str = "self") -> float:
    """Return what a process has in memory, in MB of 1024 * 1024 bytes."""
    if pid == "self":
        gc.collect()
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return round(int(fields["VmRSS"].split()[0]) / 1024, 1)
