"""A scenario's view of the running daemon: it adds upstreams and workloads, asks, and looks at what was left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from tests.conformance.asking import Clients, Told, history, rows
from tests.conformance.stage import QUICK, Stage
from tests.rigs.misbehaving import Manner, Part, Tongue
from tests.rigs.peers import Peer, Script
from tests.rigs.process import Daemon

__all__ = ["CHAT", "STREAM", "Actor", "Scenario", "until"]

CHAT = Part(Tongue.OPENAI, Manner.PLAIN)
STREAM = Part(Tongue.OPENAI, Manner.STREAMED)
PATIENT_S = 10.0
T = TypeVar("T")


class Actor(NamedTuple):
    """An upstream, and what it is called as a target."""

    target: str
    peer: Peer | None

    @property
    def calls(self) -> int:
        """How many requests it has had."""
        return len(self.peer.heard) if self.peer else 0


class Scenario:
    """One daemon with good upstreams, and whatever a test adds."""

    def __init__(self, play: Stage, daemon: Daemon, both: Clients) -> None:
        """Play on `play`, before `daemon`."""
        self.play = play
        self.daemon = daemon
        self.clients = both

    def good(self, part: Part) -> Actor:
        """Return the upstream that answers well."""
        return Actor(f"good-{part}/m", self.play.good_peers[part])

    def actor(self, name: str, tongue: Tongue, scripts: list[Script], *lines: str) -> Actor:
        """Add an upstream whose n-th request gets the n-th script; with no scripts, one that refuses connections."""
        peer = self.play.house.open(*scripts) if scripts else None
        url = peer.base_url if peer else self.play.house.nobody()
        return Actor(self.play.provider(name, tongue, url, *(lines or (QUICK,))), peer)

    def workload(self, name: str, actors: list[Actor], *lines: str) -> str:
        """Add a workload, and have the daemon take it up."""
        self.play.workload(name, [actor.target for actor in actors], *lines)
        self.play.reload(self.daemon)
        return name

    def ask(self, part: Part, workload: str, headers: dict[str, str] | None = None) -> Told:
        """Ask through the SDK, which does not retry."""
        return self.clients.ask(part, workload, headers)

    def history(self, told: Told) -> dict[str, list[dict[str, Any]]]:
        """Return what the history says of a request."""
        return history(self.daemon, told.request_id)

    def requests(self, workload: str) -> list[dict[str, Any]]:
        """Return the latest requests of a workload that have ended, the last one first."""
        latest = "SELECT request_id, workload, served_by, outcome FROM request ORDER BY id DESC LIMIT 200"
        return [row for row in rows(self.daemon, latest) if row["workload"] == workload]

    def attempts(self, target: str) -> int:
        """Return how often a target was tried, by the history."""
        counted = rows(self.daemon, "SELECT target, count(*) AS n FROM attempt GROUP BY target")
        return next((row["n"] for row in counted if row["target"] == target), 0)


def until(found: Callable[[], T]) -> T:
    """Return what `found` finds, once it finds something."""
    deadline = time.monotonic() + PATIENT_S
    while not (what := found()):
        assert time.monotonic() < deadline
        os.sched_yield()
    return what
