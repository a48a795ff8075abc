"""Load as users make it: the openai package over the Unix socket, with its own retries switched off."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx2
import msgspec
import openai

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

__all__ = ["Client", "Told"]

_FAILED = (openai.OpenAIError, httpx2.HTTPError, ValueError)
"""Everything by which the package lets its caller know that something went wrong."""
_ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What would this line chafe on?"}]
_TOKENS = 40


class Told(msgspec.Struct):
    """What one request's caller got to know."""

    streamed: bool
    request_id: str | None = None
    target: str | None = None
    began: bool = False
    """Whether content arrived."""
    finished: bool = False
    """Whether the answer said that it was at its end."""
    error: str = ""
    ended_at: float = 0.0
    """On the monotonic clock."""

    @property
    def kind(self) -> str:
        """`ok`, `failed` (before any content), `broken` (an error after content), or `silent` (cut, and no error)."""
        if self.error:
            return "broken" if self.began else "failed"
        return "ok" if self.finished and self.began else "silent"


class Client:
    """Sends requests for the workload `workload`, every second one streamed."""

    def __init__(self, socket: Path, workload: str) -> None:
        """Connect when first used."""
        transport = httpx2.AsyncHTTPTransport(uds=str(socket))
        self._openai = openai.AsyncOpenAI(
            base_url="http://localhost/v1",
            api_key="none",
            max_retries=0,
            timeout=60,
            http_client=openai.DefaultAsyncHttpxClient(transport=transport),
        )
        self._workload = workload

    async def run(self, count: int, at_once: int, before: Callable[[int], None]) -> list[Told]:
        """Send `count` requests, `at_once` at a time, and return what became of each.

        `before` is called with the number of each request just before it is sent: 0, 1, 2, …
        """
        told: list[Told] = []
        numbers = iter(range(count))
        async with self._openai, anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(self._work, numbers, before, told)
        return told

    async def _work(self, numbers: Iterator[int], before: Callable[[int], None], told: list[Told]) -> None:
        for number in numbers:
            before(number)
            told.append(await self._ask(number))

    async def _ask(self, number: int) -> Told:
        told = Told(streamed=bool(number % 2))
        try:
            await (self._stream(told) if told.streamed else self._plain(told))
        except _FAILED as error:
            told.error = f"{type(error).__name__}: {error}"
            if isinstance(error, openai.APIStatusError):
                _note(told, error.response.headers)
        told.ended_at = time.monotonic()
        return told

    async def _plain(self, told: Told) -> None:
        heard = await self._openai.chat.completions.with_raw_response.create(
            model=self._workload, messages=_ASKED, max_tokens=_TOKENS
        )
        _note(told, heard.headers)
        choice = heard.parse().choices[0]
        told.began = bool(choice.message.content)
        told.finished = choice.finish_reason is not None

    async def _stream(self, told: Told) -> None:
        heard = await self._openai.chat.completions.with_raw_response.create(
            model=self._workload, messages=_ASKED, max_tokens=_TOKENS, stream=True
        )
        _note(told, heard.headers)
        async for chunk in heard.parse():
            for choice in itertools.islice(chunk.choices, 1):
                told.began = told.began or bool(choice.delta.content)
                told.finished = told.finished or choice.finish_reason is not None


def _note(told: Told, headers: httpx2.Headers) -> None:
    told.request_id = headers.get("x-request-id")
    told.target = headers.get("fairlead-target")
