"""The official SDKs as clients of the daemon, and what they, and the history, say of one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai

from tests.rigs.misbehaving import Manner, Part, Tongue
from tests.rigs.process import Daemon

__all__ = ["HELLO", "Clients", "Told", "clients", "history", "rows"]

HELLO: Any = [{"role": "user", "content": "hello"}]
_RECORDS = {
    "attempts": "SELECT number, target, outcome, fault, status, reason FROM attempt WHERE request_id = '{}' "
    "ORDER BY number",
    "fallbacks": "SELECT from_target, to_target, fault, status, reason FROM fallback WHERE request_id = '{}' "
    "ORDER BY id",
    "requests": "SELECT workload, primary_target, served_by, attempts, outcome, fault, status, degraded, client_retry "
    "FROM request WHERE request_id = '{}'",
}


class Told:
    """What a client was told."""

    def __init__(self) -> None:
        """Start with nothing told."""
        self.headers: Mapping[str, str] = {}
        self.text = ""
        self.error: Exception | None = None

    @property
    def request_id(self) -> str:
        """The request's id."""
        return self.headers["x-request-id"]

    @property
    def story(self) -> dict[str, str]:
        """What fairlead's own headers say, by their names without the prefix."""
        said = {name.lower(): value for name, value in self.headers.items()}
        return {name.removeprefix("fairlead-"): said[name] for name in sorted(said) if name.startswith("fairlead-")}

    @property
    def status(self) -> int | None:
        """The status that the SDK's exception carries."""
        return getattr(self.error, "status_code", None)

    @property
    def words(self) -> str:
        """The message of the SDK's exception."""
        return str(getattr(self.error, "message", self.error))


class Clients:
    """Both SDKs on the daemon's socket, with as many retries of their own as the test wants."""

    def __init__(self, daemon: Daemon, retries: int) -> None:
        """Point them at the daemon."""
        transport = httpx2.HTTPTransport(uds=str(daemon.socket))
        self.openai = openai.OpenAI(
            base_url="http://localhost/v1",
            api_key="a client's key",
            max_retries=retries,
            http_client=openai.DefaultHttpxClient(transport=transport),
        )
        self.anthropic = anthropic.Anthropic(
            base_url="http://localhost",
            api_key="a client's key",
            max_retries=retries,
            http_client=anthropic.DefaultHttpxClient(transport=transport),
        )

    def ask(self, part: Part, model: str, headers: dict[str, str] | None = None) -> Told:
        """Ask for one answer, and return what the SDK made of what came."""
        told = Told()
        ask = self._ask_openai if part.tongue is Tongue.OPENAI else self._ask_anthropic
        try:
            ask(part.manner, {"model": model, "messages": HELLO, "extra_headers": headers}, told)
        except (openai.OpenAIError, anthropic.AnthropicError) as error:
            told.error = error
            if not told.headers and isinstance(error, openai.APIStatusError | anthropic.APIStatusError):
                told.headers = error.response.headers
        return told

    def _ask_openai(self, manner: Manner, asked: dict[str, Any], told: Told) -> None:
        create = self.openai.chat.completions.with_raw_response.create
        if manner is Manner.PLAIN:
            raw = create(**asked)
            told.headers = raw.headers
            told.text = raw.parse().choices[0].message.content
            return
        raw = create(**asked, stream=True)
        told.headers = raw.headers
        with raw.parse() as stream:
            for piece in stream:
                told.text += "".join(choice.delta.content or "" for choice in piece.choices)

    def _ask_anthropic(self, manner: Manner, asked: dict[str, Any], told: Told) -> None:
        create = self.anthropic.messages.with_raw_response.create
        if manner is Manner.PLAIN:
            raw = create(**asked, max_tokens=50)
            told.headers = raw.headers
            told.text = raw.parse().content[0].text
            return
        raw = create(**asked, max_tokens=50, stream=True)
        told.headers = raw.headers
        with raw.parse() as stream:
            for event in stream:
                if event.type == "content_block_delta":
                    told.text += event.delta.text


@contextmanager
def clients(daemon: Daemon, retries: int = 0) -> Iterator[Clients]:
    """Give both SDKs, and close them in the end."""
    both = Clients(daemon, retries)
    with both.openai, both.anthropic:
        yield both


def history(daemon: Daemon, request_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return what the history says of a request: its `attempts`, its `fallbacks`, its one row of `requests`."""
    return {name: rows(daemon, sql.format(request_id)) for name, sql in _RECORDS.items()}


def rows(daemon: Daemon, sql: str) -> list[dict[str, Any]]:
    """Return what the running daemon's history answers, each row by its columns."""
    answer = daemon.ask("POST", "/fairlead/v1/sql", {"query": sql})
    assert answer.status == 200, answer.body
    table = answer.json()
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
