"""What a client asked, and the ways in which it can be answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import msgspec

from daemon.degraded.keys import Asker
from daemon.limits.caller import Caller
from daemon.routing.policy import StreamRecovery, Workload
from probes.surfaces import Surface
from state.history.charges import Charged
from state.outcome import Outcome, Usage

__all__ = [
    "Answer",
    "Broken",
    "Client",
    "ClientCall",
    "ClientLeft",
    "ExchangeResult",
    "Failed",
    "Streamed",
    "Wanting",
    "Whole",
]

_INVALID: Final = (400, 422)


class ClientLeft(Exception):
    """The client closed its connection: nobody's fault, and nothing more to say to it."""


class ClientCall(msgspec.Struct, frozen=True, kw_only=True):
    """One client request as the client face understood it."""

    request_id: str
    surface: Surface
    workload: Workload
    model: str
    """The model's name as the client wrote it."""
    streamed: bool
    headers: tuple[tuple[str, str], ...]
    query: str
    body: bytes
    arrived_at: float
    deadline: float = float("inf")
    """Until when the client says that it waits (`fairlead-deadline-ms`), on the monotonic clock."""
    fallback_allowed: bool = True
    patience_s: float = float("inf")
    """How long the client's SDK waits for bytes, in seconds, where it says so (`x-stainless-read-timeout`)."""
    choosy: bool = False
    """Whether some target of the workload cannot take every request of this length."""
    client_retry: int | None = None
    """How often the client itself has tried before (`x-stainless-retry-count`)."""
    max_tokens: int | None = None
    """How many tokens the answer may have, where the request says so."""
    choices: int = 1
    """How many answers the request asks for at once."""
    caller: Caller = Caller()
    """Who it is counted for."""
    charged: Charged = Charged()
    """Who pays for it."""
    asker: Asker = Asker()
    """Who asks: what was answered to one is never given to another."""

    @property
    def collects(self) -> bool:
        """Whether somebody needs the text of its stream afterwards."""
        continues = self.workload.stream_recovery is StreamRecovery.CONTINUE
        return self.streamed and (continues or self.workload.degraded.mode == "cache")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes to the client in one piece."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client(Protocol):
    """The way back to the client, for an answer that is streamed."""

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers. Raises ClientLeft."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body, waiting while the client reads too slowly. Raises ClientLeft."""
        ...


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A complete good answer, not yet sent."""

    outcome: Outcome
    status: int
    headers: Mapping[str, str]
    body: bytes
    usage: Usage
    connect_s: float = 0.0


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that went to the client to its proper end."""

    outcome: Outcome
    usage: Usage
    connect_s: float = 0.0


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that broke after content. Nothing has told the client yet but, perhaps, the provider itself."""

    outcome: Outcome
    usage: Usage
    told: bytes | None = None
    """What is left of the provider's own error event, where it sent one; None where the client knows nothing."""


class Failed(msgspec.Struct, frozen=True):
    """An attempt of which the client has seen nothing."""

    outcome: Outcome
    status: int | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    """The provider's own error, to be passed on where it is the client's to read."""
    repeatable: bool = False
    """Whether the same target may be asked once more, by what was seen of this attempt."""

    def refuses(self, member: str) -> bool:
        """Return whether the provider refused the request for one of its members, by that member's name."""
        return self.status in _INVALID and member.encode() in self.body


class Wanting(msgspec.Struct, frozen=True, kw_only=True):
    """A stream of which the client has seen nothing: it does not do, and a costlier target is ready."""

    outcome: Outcome
    lack: str
    """What it lacks, as a few words."""
    give: Callable[[Client], Awaitable[Streamed]] | None = None
    """Gives it to the client after all; None where it was given up before its end."""


ExchangeResult = Whole | Streamed | Broken | Failed | Wanting
