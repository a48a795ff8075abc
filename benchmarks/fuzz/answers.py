"""Providers that answer whatever the run wants, over a real socket, to requests that went through the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final

from benchmarks.fuzz.answered import answers_in
from benchmarks.fuzz.asking import Exchanged, exchanged
from benchmarks.fuzz.captured import captures
from benchmarks.fuzz.corpus import Corpus
from benchmarks.fuzz.engine import LOOKS
from benchmarks.fuzz.house import PEERS, House
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_json, mutated_lines
from benchmarks.fuzz.surface import Broken, Luck, Tally, secrets_in

__all__ = ["Providers"]

_MARK: Final = re.compile(rb"fuzz-(\d+)")
_BATCH: Final = 160
_AT_ONCE: Final = 40
_KEPT_WAITING_S: Final = 5.0
"""Longer than a provider's 2 s in all: what takes longer hangs."""
_SURFACES: Final = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/chat/completions")
_STREAMED: Final = 0x80
_DEADLINE: Final = "fairlead-deadline-ms: 2500"
"""So that a request waits for no provider that has asked for a pause."""


def _seeds() -> list[bytes]:
    found = []
    for one in captures():
        path = 1 if any(word in one.name for word in ("anthropic", "messages")) else 2 if "responses" in one.name else 0
        stream = _STREAMED if b"data:" in one.body else 0
        found.append(bytes([path | stream]) + one.raw)
    return found


def _mutated_body(data: bytes, luck: Luck) -> bytes:
    """Change the JSON of the body, or of one event, and frame the answer anew."""
    head, _, body = data.partition(b"\r\n\r\n")
    if body.startswith(b"{"):
        body = mutated_json(body, luck)
    else:
        lines = body.split(b"\n")
        place = luck.randrange(len(lines))
        lines[place] = b"data: " + mutated_json(lines[place][6:] or b"{}", luck)
        body = b"\n".join(lines)
    head = re.sub(rb"\r\ncontent-length: \d+", b"\r\ncontent-length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body


def _judged(data: bytes, came: Exchanged) -> Hashable:
    """Return in a few words what the client got. Raises Broken where that breaks a law."""
    if came.took_s > _KEPT_WAITING_S:
        raise Broken(f"{came.took_s:.1f} s until answered")
    if secrets := secrets_in(came.raw):
        raise Broken(f"the answer holds the secret {secrets}")
    answers = answers_in(came.raw, (b"POST",))
    if len(answers) != 1:
        raise Broken(f"{len(answers)} answers to one request")
    (answer,) = answers
    if b"fairlead itself failed" in answer.body:
        raise Broken(f"500: {answer.body[:300]!r}")
    code = re.search(rb'"(?:code|type)": ?"([a-z_]+)"', answer.body) if answer.status >= 400 else None
    return (
        data[:1],
        answer.status,
        answer.whole,
        code and code[1],
        answer.headers.get("content-type"),
        bool(answer.body),
    )


class Providers:
    """Answers as the inputs say, and asks the daemon for each."""

    def __init__(self, house: House, seed: str) -> None:
        """Speak for the providers that the house's configuration names."""
        self._house = house
        self._corpus = Corpus(_seeds(), mixed(_mutated_body, _mutated_body, mutated_bytes, mutated_lines), seed)
        self._told: dict[int, bytes] = {}
        self._serial = 0
        self.tally = Tally("providers' answers")

    async def run(self, inputs: int) -> Tally:
        """Answer `inputs` times in all."""
        began, looks = time.monotonic(), [round(share * inputs) for share in LOOKS]
        async with self._listening():
            while self.tally.inputs < inputs:
                await asyncio.to_thread(self._house.renewed)
                await self._batch([self._corpus.next() for _ in range(min(_BATCH, inputs - self.tally.inputs))])
                while looks and self.tally.inputs >= looks[0]:
                    looks.pop(0)
                    self.tally.memory_mb.append(self._house.vitals().resident_mb)
        for complaint in self._house.complaints():
            self.tally.found(complaint, b"")
        self.tally.took_s = time.monotonic() - began
        return self.tally

    async def once(self, data: bytes) -> None:
        """Answer with `data`, once. Raises Broken where that breaks a law."""
        async with self._listening():
            await asyncio.to_thread(self._house.renewed)
            await self._batch([data])
        if self.tally.findings:
            raise Broken(self.tally.findings[0].law)

    async def _batch(self, batch: list[bytes]) -> None:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(data: bytes) -> None:
            async with turn:
                await self._one(data)

        await asyncio.gather(*map(one, batch))
        if not self._house.process.running:
            self.tally.found(f"the daemon died of a batch: {self._house.process.last_words()[-400:]}", batch[0])
            self._house.open()

    async def _one(self, data: bytes) -> None:
        self._serial += 1
        serial = self._serial
        self._told[serial] = data
        came = await exchanged(self._house, b"\0" + self._asking(serial, data), framed=True)
        self._told.pop(serial, None)
        self.tally.inputs += 1
        try:
            outcome = _judged(data, came)
        except Broken as broken:
            self.tally.found(str(broken), data)
            return
        self.tally.took(came.took_s, data)
        if outcome not in self.tally.outcomes:
            self.tally.outcomes.add(outcome)
            self._corpus.keep(data)

    def _asking(self, serial: int, data: bytes) -> bytes:
        path = _SURFACES[(data[0] & 7) % len(_SURFACES)] if data else _SURFACES[0]
        number = serial % PEERS
        number += (number % 2 == 0) if path == "/v1/messages" else -(number % 2)
        body = {
            "model": f"peer{number}g{self._house.generation}/m",
            "stream": bool(data and data[0] & _STREAMED),
            "user": f"fuzz-{serial}",
            "max_tokens": 9,
            "input": "x",
            "messages": [{"role": "user", "content": "x"}],
        }
        raw = json.dumps(body).encode()
        lines = (f"POST {path} HTTP/1.1", "host: x", "connection: close", f"content-length: {len(raw)}", _DEADLINE)
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        self._house.peer_socket.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, str(self._house.peer_socket), limit=1 << 20)
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            asked = await reader.readexactly(int(length[1]) if length else 0)
            mark = _MARK.search(asked)
            raw = self._told.get(int(mark[1]) if mark else 0, b"")[1:]
            for at in range(0, len(raw), max(1, len(raw) // 3)):
                writer.write(raw[at : at + max(1, len(raw) // 3)])
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()
