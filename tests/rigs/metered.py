"""A provider on a real socket that meters: so many requests in each window, told in the headers of every answer."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from aiohttp import web

__all__ = ["Meter", "metered"]

_ANSWER: Final[dict[str, Any]] = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}
_REFUSAL: Final = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
_WORK_S: Final = 0.005


class Meter:
    """The running provider: where it is, what it admitted and refused."""

    def __init__(self, limit: int, window_s: float) -> None:
        """Admit `limit` requests in each window, the first of which begins with the first request."""
        self.base_url = ""
        self.admitted: list[float] = []
        self.refused = 0
        self._limit = limit
        self._window_s = window_s
        self._began = -math.inf
        self._used = 0

    async def answer(self, _: web.BaseRequest) -> web.StreamResponse:
        """Admit or refuse, and tell what is left."""
        now = time.monotonic()
        if now >= self._began + self._window_s:
            self._began, self._used = now, 0
        admits = self._used < self._limit
        self._used += admits
        headers = {
            "x-ratelimit-limit-requests": str(self._limit),
            "x-ratelimit-remaining-requests": str(self._limit - self._used),
            "x-ratelimit-reset-requests": f"{(self._began + self._window_s - now) * 1e3:.3f}ms",
        }
        if not admits:
            self.refused += 1
            return web.json_response(_REFUSAL, status=429, headers=headers)
        self.admitted.append(now)
        await anyio.sleep(_WORK_S)
        return web.json_response(_ANSWER, headers=headers)


@asynccontextmanager
async def metered(limit: int, window_s: float) -> AsyncIterator[Meter]:
    """Run a metering provider on a free port of 127.0.0.1."""
    meter = Meter(limit, window_s)
    runner = web.ServerRunner(web.Server(meter.answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        meter.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield meter
    finally:
        await runner.cleanup()
