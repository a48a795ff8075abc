"""An upstream that nobody here wrote: `@copilotkit/aimock`, driven through the daemon by the official clients."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from tests.rigs.process import Daemon, running

_MOCK = Path(__file__).parents[2] / "node_modules" / ".bin" / "llmock"
_FIXTURES = {
    "fixtures": [
        {"match": {"userMessage": "hello"}, "response": {"content": "Hello from an independent mock provider."}},
        {
            "match": {"userMessage": "down"},
            "response": {"error": {"message": "down for a test", "type": "server_error"}, "status": 503},
        },
        {
            "match": {"userMessage": "too long"},
            "response": {
                "error": {"message": "too long", "type": "invalid_request_error", "code": "context_length_exceeded"},
                "status": 400,
            },
        },
        {
            "match": {"userMessage": "cut"},
            "response": {"content": "This answer is long enough to be cut in its middle. " * 4},
            "latency": 10,
            "truncateAfterChunks": 3,
        },
    ]
}
_CONFIG = """
version = 1

[providers.mock]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "provider-key"
models = ["gpt-4o"]

[providers.claude]
dialect = "anthropic"
base_url = "http://127.0.0.1:{port}"
api_key = "provider-key"
models = ["claude-3-5-sonnet-20241022"]

[providers.spare]
dialect = "simulated"
models = ["steady"]

[workloads.chat]
targets = ["mock/gpt-4o", "spare/steady"]
strategy = "priority"
default = true

[workloads.talk]
targets = ["claude/claude-3-5-sonnet-20241022", "spare/steady"]
strategy = "priority"
"""

if not _MOCK.exists() and os.environ.get("CI") and shutil.which("npm"):
    raise RuntimeError("CI has npm, so `make test` must have installed aimock")
pytestmark = pytest.mark.skipif(
    not _MOCK.exists(), reason="aimock is not installed: no npm, or `make node` was not run"
)


@pytest.fixture(scope="module")
def mock_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give a running aimock's port."""
    folder = tmp_path_factory.mktemp("mock")
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps(_FIXTURES))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - the mock of this project's own package.json
        [str(_MOCK), "--port", str(port), "--fixtures", str(fixtures), "--log-level", "warn"], stdout=subprocess.DEVNULL
    )
    try:
        _until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/v1/models")
            connection.getresponse().read()
        except OSError:
            os.sched_yield()
        else:
            return
        finally:
            connection.close()
    raise AssertionError("aimock did not start")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, mock_port: int) -> Iterator[Daemon]:
    """Give a daemon in front of it."""
    with running(tmp_path_factory.mktemp("d"), _CONFIG.format(port=mock_port)) as one:
        yield one


@pytest.fixture
def openai_client(daemon: Daemon) -> Iterator[openai.OpenAI]:
    """OpenAI's package over the Unix socket."""
    http_client = openai.DefaultHttpxClient(transport=httpx2.HTTPTransport(uds=str(daemon.socket)))
    with openai.OpenAI(base_url="http://localhost/v1", api_key="x", max_retries=0, http_client=http_client) as client:
        yield client


@pytest.fixture
def anthropic_client(daemon: Daemon) -> Iterator[anthropic.Anthropic]:
    """Anthropic's package over the Unix socket."""
    http_client = anthropic.DefaultHttpxClient(transport=httpx2.HTTPTransport(uds=str(daemon.socket)))
    with anthropic.Anthropic(
        base_url="http://localhost", api_key="x", max_retries=0, http_client=http_client
    ) as client:
        yield client


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_an_independent_provider_answers_plain_and_streamed(openai_client: openai.OpenAI) -> None:
    """Law: what the mock says reaches the client whole."""
    plain = openai_client.chat.completions.create(model="chat", messages=_said("hello"))
    assert plain.choices[0].message.content == "Hello from an independent mock provider."
    chunks = openai_client.chat.completions.create(model="chat", messages=_said("hello"), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Hello from an independent mock provider."


def test_its_responses_api_answers_plain_and_streamed(openai_client: openai.OpenAI) -> None:
    """Law: the responses API passes through."""
    assert openai_client.responses.create(model="chat", input="hello").output_text.startswith("Hello")
    events = list(openai_client.responses.create(model="chat", input="hello", stream=True))
    assert events[-1].type == "response.completed"


def test_its_anthropic_side_answers_plain_and_streamed(anthropic_client: anthropic.Anthropic) -> None:
    """Law: Anthropic's dialect passes through."""
    plain = anthropic_client.messages.create(model="talk", max_tokens=50, messages=_said("hello"))
    assert plain.content[0].text == "Hello from an independent mock provider."
    with anthropic_client.messages.stream(model="talk", max_tokens=50, messages=_said("hello")) as stream:
        assert stream.get_final_text() == "Hello from an independent mock provider."


def test_its_503_falls_back(openai_client: openai.OpenAI) -> None:
    """Law: an overloaded provider is left for the next target, and the answer says so."""
    raw = openai_client.chat.completions.with_raw_response.create(model="chat", messages=_said("down"))
    assert raw.headers["fairlead-target"] == "spare/steady"
    assert raw.headers["fairlead-fallback-from"] == "mock/gpt-4o"


def test_its_400_goes_to_the_client_at_once(openai_client: openai.OpenAI) -> None:
    """Law: an input that is too long is the client's to mend, in the provider's own words."""
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client.chat.completions.create(model="chat", messages=_said("too long"))
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.response.headers["fairlead-attempts"] == "1"


def test_its_cut_stream_raises_in_the_client(openai_client: openai.OpenAI) -> None:
    """Law: a stream that the mock truncates after content is never taken for a whole answer."""
    with pytest.raises(openai.APIError, match="broke off"):
        list(openai_client.chat.completions.create(model="mock/gpt-4o", messages=_said("cut"), stream=True))
