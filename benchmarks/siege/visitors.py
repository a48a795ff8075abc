"""Ordinary requests, one after the other at a steady pace, over both doors: what the attacks must not spoil."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.processes import UnixConnection
from benchmarks.siege.ammunition import ordinary

__all__ = ["Visits", "visit"]

_PACE_S: Final = 0.006
_NEW_EVERY: Final = 10
"""Every tenth request comes over a new connection: newcomers must get in, too."""
_BODY: Final = ordinary("lab/m")
_TIMEOUT_S: Final = 10.0


class Visits(msgspec.Struct):
    """What visitors of one door met."""

    seconds: list[float] = msgspec.field(default_factory=list)
    failures: list[str] = msgspec.field(default_factory=list)

    def percentile_ms(self, share: float) -> float:
        """Return the latency that `share` of the requests stayed below."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else float("inf")

    @property
    def median_ms(self) -> float:
        """The median latency."""
        return statistics.median(self.seconds) * 1e3 if self.seconds else float("inf")


def visit(path: Path, port: int, seconds: float) -> dict[str, Visits]:
    """Ask at both doors for `seconds`; return what was met, by door."""
    visits = {"tcp": Visits(), "unix": Visits()}
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=_visit, args=(path, port, door, visits[door], until)) for door in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return visits


def _connection(path: Path, port: int, door: str) -> http.client.HTTPConnection:
    if door == "unix":
        return UnixConnection(path)
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)


def _visit(path: Path, port: int, door: str, visits: Visits, until: float) -> None:
    number = 0
    connection = _connection(path, port, door)
    while (began := time.monotonic()) < until:
        number += 1
        try:
            connection.request("POST", "/v1/chat/completions", _BODY, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                visits.failures.append(f"{answer.status}")
            visits.seconds.append(time.monotonic() - began)
        except (OSError, http.client.HTTPException) as error:
            visits.failures.append(repr(error))
            connection.close()
        if number % _NEW_EVERY == 0:
            connection.close()
        time.sleep(_PACE_S)
    connection.close()
