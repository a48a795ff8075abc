"""The official clients: the `openai` and `anthropic` packages, over the socket and over TCP, plain and streamed."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from tests.rigs.process import Daemon, running, simulate

_CONFIG = """
version = 1

[providers.sim]
dialect = "simulated"
models = ["fast"]

[providers.spare]
dialect = "simulated"
models = ["fast"]

[workloads.chat]
targets = ["sim/fast", "spare/fast"]
strategy = "priority"
default = true
"""
_HELLO = [{"role": "user", "content": "hello"}]


class Clients:
    """Both packages, pointed at one daemon by one road."""

    def __init__(self, daemon: Daemon, road: str) -> None:
        """Go by the Unix socket or by TCP."""
        base = "http://localhost"
        transport = httpx2.HTTPTransport(uds=str(daemon.socket))
        if road == "tcp":
            base = re.search(r"listen.*?127\.0\.0\.1\W+(\d+)", daemon.log.read_text()).expand(r"http://127.0.0.1:\1")
            transport = httpx2.HTTPTransport()
        self.openai = openai.OpenAI(
            base_url=f"{base}/v1",
            api_key="a client's key",
            max_retries=0,
            http_client=openai.DefaultHttpxClient(transport=transport),
        )
        self.anthropic = anthropic.Anthropic(
            base_url=base,
            api_key="a client's key",
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(transport=transport),
        )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give one daemon for the module."""
    with running(tmp_path_factory.mktemp("d"), _CONFIG, "--listen", "127.0.0.1:0") as one:
        yield one


@pytest.fixture(params=["unix", "tcp"])
def clients(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[Clients]:
    """Give the clients over each road."""
    both = Clients(daemon, request.param)
    with both.openai, both.anthropic:
        yield both


def test_a_chat_completion(clients: Clients) -> None:
    """Law: the answer, its usage and fairlead's headers reach the client."""
    raw = clients.openai.chat.completions.with_raw_response.create(model="chat", messages=_HELLO)
    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens > 0
    assert raw.headers["fairlead-target"] == "sim/fast"
    assert raw.headers["fairlead-workload"] == "chat"
    assert completion._request_id == raw.headers["x-request-id"]


def test_a_streamed_chat_completion(clients: Clients) -> None:
    """Law: every piece arrives, in order, up to the finish reason."""
    stream = clients.openai.chat.completions.create(model="auto", messages=_HELLO, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_a_response_plain_and_streamed(clients: Clients) -> None:
    """Law: the responses API passes through both ways."""
    assert clients.openai.responses.create(model="chat", input="hello").output_text
    events = list(clients.openai.responses.create(model="chat", input="hello", stream=True))
    assert events[-1].type == "response.completed"


def test_embeddings(clients: Clients) -> None:
    """Law: embeddings pass through, in the base64 that the client asks for."""
    assert clients.openai.embeddings.create(model="chat", input=["a", "b"]).data[1].embedding


def test_a_message_plain_and_streamed(clients: Clients) -> None:
    """Law: Anthropic's dialect passes through both ways, with its own request id header."""
    raw = clients.anthropic.messages.with_raw_response.create(model="chat", max_tokens=50, messages=_HELLO)
    assert raw.parse().content[0].text
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    with clients.anthropic.messages.stream(model="chat", max_tokens=50, messages=_HELLO) as stream:
        assert stream.get_final_message().stop_reason == "end_turn"


def test_counting_tokens(clients: Clients) -> None:
    """Law: count_tokens passes through."""
    assert clients.anthropic.messages.count_tokens(model="chat", messages=_HELLO).input_tokens > 0


def test_the_list_of_models_in_each_dialects_shape(clients: Clients) -> None:
    """Law: workloads first, then targets."""
    assert [model.id for model in clients.openai.models.list()] == ["chat", "sim/fast", "spare/fast"]
    assert [model.id for model in clients.anthropic.models.list()] == ["chat", "sim/fast", "spare/fast"]


def test_an_unknown_model_raises_the_clients_own_exception(clients: Clients) -> None:
    """Law: each package raises its typed error, with a message that says what to do."""
    with pytest.raises(openai.NotFoundError, match="chat"):
        clients.openai.chat.completions.create(model="chatt", messages=_HELLO)
    with pytest.raises(anthropic.NotFoundError, match="chat"):
        clients.anthropic.messages.create(model="chatt", max_tokens=5, messages=_HELLO)


def test_a_stream_that_breaks_after_content_raises(daemon: Daemon, clients: Clients) -> None:
    """Law: a committed stream that breaks is never taken for a whole answer."""
    simulate(daemon, "sim", "fast", faults={"cut": 1.0})
    try:
        with pytest.raises(openai.APIError, match="broke off"):
            list(clients.openai.chat.completions.create(model="sim/fast", messages=_HELLO, stream=True))
        with pytest.raises(anthropic.APIStatusError, match="broke off"):
            list(clients.anthropic.messages.create(model="sim/fast", max_tokens=9, messages=_HELLO, stream=True))
        with pytest.raises(openai.APIError, match="broke off"):
            list(clients.openai.responses.create(model="sim/fast", input="hello", stream=True))
    finally:
        simulate(daemon, "sim", "fast", faults={"cut": 0.0})


def test_a_stream_that_fails_before_content_falls_back_unseen(daemon: Daemon, clients: Clients) -> None:
    """Law: nothing of the first target's stream reaches the client."""
    simulate(daemon, "sim", "fast", outage="refuse")
    try:
        raw = clients.openai.chat.completions.with_raw_response.create(model="chat", messages=_HELLO, stream=True)
        assert list(raw.parse())[-1].choices[0].finish_reason == "stop"
        assert raw.headers["fairlead-target"] == "spare/fast"
        assert raw.headers["fairlead-fallback-from"] == "sim/fast"
    finally:
        simulate(daemon, "sim", "fast", outage="none")


def test_the_clients_key_never_leaves_for_the_provider(tmp_path: Path) -> None:
    """Law: neither the key nor fairlead's own headers reach an upstream, and encodings stay ours."""
    with _listening() as (port, heard), running(tmp_path, _UPSTREAM.format(port=port)) as daemon:
        headers = {
            "authorization": "Bearer client-key",
            "x-api-key": "client-key",
            "accept-encoding": "gzip, br",
            "connection": "x-hop",
            "x-hop": "secret hop",
            "fairlead-team": "t",
            "anthropic-beta": "some-beta",
            "anthropic-version": "2026-10-21",
        }
        body = {"model": "up/m", "max_tokens": 5, "messages": _HELLO}
        daemon.ask("POST", "/v1/messages", body, headers)
        seen = heard[0].lower()
        assert b"client-key" not in seen
        assert b"secret hop" not in seen
        assert b"fairlead-team" not in seen
        assert b"gzip" not in seen
        assert b"anthropic-beta: some-beta" in seen
        assert b"anthropic-version: 2026-10-21" in seen
        assert b"provider-key" in seen


_UPSTREAM = """
version = 1

[providers.up]
dialect = "anthropic"
base_url = "http://127.0.0.1:{port}"
api_key = "provider-key"
models = ["m"]
probe = {{ kind = "none" }}

[workloads.chat]
targets = ["up/m"]
"""


@contextlib.contextmanager
def _listening() -> Iterator[tuple[int, list[bytes]]]:
    """Give a server that keeps the head it hears and answers 422; it is a process's thread only for this test."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 422 no\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join()
