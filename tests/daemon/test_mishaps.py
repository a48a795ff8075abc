"""A mistake of fairlead's own: the client is told in its dialect, the history has a row, the log has the traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import structlog.testing
from aiohttp import web

from daemon.access.gate import Gate
from daemon.access.names import Names
from daemon.config.configuration import Configuration
from daemon.doors.guard.policy import DoorPolicy
from daemon.doors.listening import Listeners
from daemon.doors.serving import Servers
from daemon.faces.front import Front
from daemon.in_force import InForce
from daemon.metrics import Metrics
from state.history.rows import RequestRow
from tests.rigs.bodies import STREAM
from tests.rigs.process import Daemon
from tests.rigs.relay import Recorded, relay


class _Mistaken(Recorded):
    """A way back to the client with a mistake in it."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._writes = writes

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        if not self._writes:
            raise ArithmeticError("a mistake")
        await super().start(status, headers)

    async def write(self, piece: bytes) -> None:
        self._writes -= 1
        if not self._writes:
            raise ArithmeticError("a mistake")
        await super().write(piece)


@pytest.mark.parametrize(("writes", "outcome"), [(0, "cut"), (1, "cut")])
def test_a_request_that_meets_a_mistake_is_written_down_and_its_stream_told(writes: int, outcome: str) -> None:
    """Law: one row, no lease that leaks, and the mistake goes on to where it is logged."""

    async def main() -> None:
        async with relay(STREAM) as (one, _):
            client = _Mistaken(writes)
            with pytest.raises(ArithmeticError):
                await one.send(client, streamed=True)
            row = one.row(RequestRow)
            assert (row.outcome, row.status) == (outcome, 500)
            assert await one.idle()
            assert not writes or b"fairlead itself failed" in client.body

    anyio.run(main, backend_options={"use_uvloop": True})


class _MistakenFace:
    """A face with a mistake in it."""

    async def relay(self, request: web.BaseRequest, _: object) -> web.StreamResponse:
        raise {"/v1/embeddings": TimeoutError("a mistake")}.get(request.path, ArithmeticError("a mistake"))

    async def answer(self, _: web.BaseRequest) -> web.StreamResponse:
        raise ArithmeticError("a mistake")


async def _each_path(daemon: Daemon) -> None:
    with structlog.testing.capture_logs() as lines:
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/fairlead/v1/status"):
            answer = await anyio.to_thread.run_sync(daemon.ask, "POST", path, {})
            assert answer.status == 500
            body, line = json.loads(answer.body), lines.pop()
            assert "mistake" in str(line["exc_info"])
            if path.startswith("/v1"):
                assert answer.headers["x-request-id"] == line["request_id"]
                assert line["request_id"] in body["error"]["message"]
            assert ("request-id" in answer.headers, body.get("type") == "error") == (path == "/v1/messages",) * 2


def test_a_mistake_is_answered_in_the_dialects_shape_and_logged_with_its_traceback(tmp_path: Path) -> None:
    """Law: 500 with a request id that the log has too; problem details on the control face."""
    listeners = Listeners.bind(tmp_path / "d.sock", ())
    daemon = Daemon(tmp_path, None)

    async def main() -> None:
        face = _MistakenFace()
        gate = Gate(InForce(Configuration(providers={}, workloads={})), Names(anyio.current_time))
        front = Front(gate, face, face, face, anyio.Event())  # type: ignore[arg-type]
        servers = Servers(listeners, front, DoorPolicy(max_body=1000), Metrics("test"))
        await servers.open()
        try:
            await _each_path(daemon)
        finally:
            await servers.close_doors()
            await servers.close()

    anyio.run(main, backend_options={"use_uvloop": True})
