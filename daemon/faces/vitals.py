"""Signs of life: `/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from daemon.lease_desk import LeaseDesk
from daemon.metrics import CONTENT_TYPE, Metrics
from daemon.routing.availability import workloads_without_target
from state.history.condition import RecorderState

__all__ = ["Vitals"]

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Vitals:
    """Says whether the process lives, whether every workload can be served, and what was counted."""

    def __init__(
        self,
        desk: LeaseDesk,
        metrics: Metrics,
        recorder_state: Callable[[], RecorderState],
        clock: Callable[[], float],
    ) -> None:
        """Ask the dispatcher through `desk`."""
        self._desk = desk
        self._metrics = metrics
        self._recorder_state = recorder_state
        self._clock = clock
        self._handlers: dict[str, _Handler] = {
            "/healthz": self._alive,
            "/readyz": self._ready,
            "/metrics": self._measured,
        }

    def at(self, path: str) -> _Handler | None:
        """Return what answers `path`, None where it is not a sign of life."""
        return self._handlers.get(path)

    async def _alive(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.BaseRequest) -> web.StreamResponse:
        missing = workloads_without_target(await self._desk.view(), self._clock())
        if missing:
            return web.Response(status=503, text=f"no available target: {', '.join(missing)}\n")
        return web.Response(text="ready\n")

    async def _measured(self, _: web.BaseRequest) -> web.StreamResponse:
        state = self._recorder_state()
        history = (
            ("fairlead_history_unsaved_rows", "Rows that wait to be written.", float(state.unsaved_rows)),
            ("fairlead_history_lost_rows", "Rows that could not be written.", float(state.lost_rows)),
            ("fairlead_history_bytes", "Size of the history's file.", float(state.file_bytes)),
            ("fairlead_history_wal_bytes", "Size of the write-ahead log.", float(state.wal_bytes)),
        )
        body = self._metrics.exposition(await self._desk.view(), history)
        return web.Response(body=body, headers={"content-type": CONTENT_TYPE})
