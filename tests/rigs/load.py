"""Clients that do not stop asking: the `openai` package in a few threads, over a Unix socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import openai

__all__ = ["Load", "under_load"]

_CLIENTS: Final = 4


class Load:
    """What the clients have come to."""

    def __init__(self, socket: Path, retries: int) -> None:
        """Ask at `socket`; each request is tried again up to `retries` times, as the package does by itself."""
        self.answered = 0
        self.failed: list[str] = []
        self.slowest_s = 0.0
        self._socket = socket
        self._retries = retries
        self._ended = threading.Event()
        self._changed = threading.Condition()

    def ask_on(self) -> None:
        """Ask until told to end, every second time for a stream."""
        transport = httpx2.HTTPTransport(uds=str(self._socket))
        with openai.OpenAI(
            base_url="http://localhost/v1",
            api_key="unused",
            max_retries=self._retries,
            http_client=openai.DefaultHttpxClient(transport=transport, timeout=30),
        ) as client:
            count = 0
            while not self._ended.is_set():
                count += 1
                self._note(client, _plain if count % 2 else _streamed)

    def _note(self, client: openai.OpenAI, ask: Any) -> None:
        began = time.monotonic()
        try:
            text = ask(client)
            problem = "" if text.startswith("simulated answer") and text.endswith("word6") else f"cut: {text!r}"
        except openai.OpenAIError as error:
            problem = f"{type(error).__name__}: {error} {error.__cause__!r}"
        with self._changed:
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.answered += not problem
            self.failed += [problem] if problem else []
            self._changed.notify_all()

    def more(self, count: int = 12) -> None:
        """Return after `count` more requests have ended."""
        with self._changed:
            wanted = self.answered + len(self.failed) + count
            done = self._changed.wait_for(lambda: self.answered + len(self.failed) >= wanted, 30)
            assert done, f"the clients wait for answers: {self.answered} answered, {self.failed}"

    def end(self) -> None:
        """Let each client end after its request."""
        self._ended.set()


def _messages() -> Any:
    return {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}


def _plain(client: openai.OpenAI) -> str:
    return str(client.chat.completions.create(**_messages()).choices[0].message.content)


def _streamed(client: openai.OpenAI) -> str:
    chunks = client.chat.completions.create(**_messages(), stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


@contextmanager
def under_load(socket: Path, retries: int = 0) -> Iterator[Load]:
    """Give the clients at work; they have ended when this is left."""
    load = Load(socket, retries)
    threads = [threading.Thread(target=load.ask_on) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        load.more()
        yield load
    finally:
        load.end()
        for thread in threads:
            thread.join()
