"""Small traces, and policies that only write down what they see."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.routing.engine import Attempt, Engine, Reply, Request
from benchmarks.routing.trace import Scale, Trace, decode

STILL = {"sigma": 0, "tail_p": 0, "tps_sigma": 0}
"""No luck: a first token after `ttft`, then `tps`."""
LENGTHS = {"out": {"median": 100, "sigma": 0}, "prompt": {"median": 10, "sigma": 0}}


def provider(name: str = "a", *later: dict[str, object], **more: object) -> dict[str, object]:
    """Return a provider without luck: 1 s to the first token, 1 s for 100 tokens, then what `later` says."""
    return {"name": name, "segments": [{"t": 0, "ttft": 1.0, "tps": 100, **STILL}, *later], **more}


def trace(*providers: dict[str, object], duration: float = 100, arrivals: object = None, **more: object) -> Trace:
    """Return a trace; without `arrivals` there is one request a second, each of 100 tokens."""
    said = {"name": "small", "duration": duration, "providers": providers, **more}
    said["arrivals"] = arrivals or {"rps": 1, **LENGTHS}
    return decode(json.dumps(said).encode(), Scale())


class Scripted:
    """Does what `arrived` says with each request, and writes down what it hears with the time."""

    name = "scripted"

    def __init__(self, arrived: Callable[[Scripted, Request], object] | None = None) -> None:
        """Send every request to the first provider where nothing else is said."""
        self._arrived = arrived or (lambda policy, request: policy.send(0, request))
        self.at_start: Callable[[], object] = lambda: None
        self.replies: list[tuple[Attempt, Reply]] = []
        self.first_tokens: list[float] = []

    def begin(self, engine: Engine) -> None:
        """Do what was asked for the start."""
        self.engine = engine
        self.at_start()

    def arrive(self, request: Request) -> None:
        """Do what the script says."""
        self._arrived(self, request)

    def send(self, place: int, request: Request | None) -> Attempt:
        """Send and listen."""
        return self.engine.send(place, self, request)

    def began(self, _attempt: Attempt, at: float) -> None:
        """Write down the first token."""
        self.first_tokens.append(at)

    def ended(self, attempt: Attempt, reply: Reply) -> None:
        """Write down the reply, and settle."""
        self.replies.append((attempt, reply))
        if attempt.request and attempt.request.index not in self.engine.tally.settled:
            self.engine.settle(attempt.request, served=reply.kind == "ok")

    def kinds(self) -> list[str]:
        """Return how the attempts ended, in order."""
        return [reply.kind for _, reply in self.replies]


def run(of: Trace, policy: Scripted | None = None, seed: int = 1) -> Scripted:
    """Run the policy through the trace."""
    policy = policy or Scripted()
    Engine(of, seed, policy).run()
    return policy
