"""How fairlead's errors and lists look to the real clients of each dialect."""

from __future__ import annotations

from collections.abc import Callable

import anthropic
import httpx2
import msgspec
import openai
import pytest

from probes.dialects.shapes import ErrorText, ModelEntry, error_body, error_event, models_body
from probes.policy import Dialect
from probes.surfaces import Surface

CHAT_CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n'
)
MESSAGE_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"1","type":"message","role":"assistant",'
    b'"content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":0}}}\n\n'
)
RESPONSE_DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"1","output_index":0,'
    b'"content_index":0,"delta":"Hi","sequence_number":1,"logprobs":[]}\n\n'
)


def error(status: int = 503) -> ErrorText:
    """Return one error."""
    return ErrorText(
        status=status, message="No target is ready; wait.", type="overloaded", code="no_target", request_id="req_1"
    )


def answering(status: int, content_type: str, body: bytes) -> Callable[[httpx2.Request], httpx2.Response]:
    """Return a server that gives one answer to everything."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": content_type}, content=body)

    return answer


def openai_client(status: int, content_type: str, body: bytes) -> openai.OpenAI:
    """Return the real OpenAI client, talking to one answer."""
    transport = httpx2.MockTransport(answering(status, content_type, body))
    return openai.OpenAI(
        api_key="x",
        base_url="http://127.0.0.1/v1",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(transport=transport),
    )


def anthropic_client(status: int, content_type: str, body: bytes) -> anthropic.Anthropic:
    """Return the real Anthropic client, talking to one answer."""
    transport = httpx2.MockTransport(answering(status, content_type, body))
    return anthropic.Anthropic(
        api_key="x",
        base_url="http://127.0.0.1",
        max_retries=0,
        http_client=anthropic.DefaultHttpxClient(transport=transport),
    )


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)
def test_an_openai_client_raises_its_typed_exception(status: int, raised: type[openai.APIStatusError]) -> None:
    """The status picks the exception; message, type and code are readable on it."""
    client = openai_client(status, "application/json", error_body(Dialect.OPENAI, error(status)))
    with pytest.raises(raised, match="No target is ready") as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    assert (caught.value.type, caught.value.code) == ("overloaded", "no_target")


@pytest.mark.parametrize(
    ("status", "raised", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (502, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "overloaded_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_an_anthropic_client_raises_its_typed_exception(
    status: int, raised: type[anthropic.APIStatusError], kind: str
) -> None:
    """The type is Anthropic's own word for the status."""
    client = anthropic_client(status, "application/json", error_body(Dialect.ANTHROPIC, error(status)))
    with pytest.raises(raised, match="No target is ready") as caught:
        client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    body = caught.value.body
    assert isinstance(body, dict)
    assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", kind, "req_1")


@pytest.mark.parametrize("before", [CHAT_CHUNK, b"", b": ping\n"])
def test_a_chat_stream_that_breaks_raises_in_the_openai_client(before: bytes) -> None:
    """A committed stream never ends as if it were complete."""
    body = before + error_event(Surface.CHAT, error())
    stream = openai_client(200, "text/event-stream", body).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    with pytest.raises(openai.APIError, match="No target is ready") as caught:
        list(stream)
    assert caught.value.code == "no_target"


def test_a_responses_stream_that_breaks_raises_in_the_openai_client() -> None:
    """The API's flat error event alone raises nothing there, so the nested form stands beside it."""
    body = RESPONSE_DELTA + error_event(Surface.RESPONSES, error())
    stream = openai_client(200, "text/event-stream", body).responses.create(model="m", input="Hi", stream=True)
    with pytest.raises(openai.APIError, match="No target is ready"):
        list(stream)
    data = msgspec.json.decode(body.rsplit(b"data: ", 1)[1])
    assert (data["type"], data["code"], data["message"]) == ("error", "no_target", "No target is ready; wait.")


def test_a_messages_stream_that_breaks_raises_in_the_anthropic_client() -> None:
    """Anthropic's client sees only events with a name."""
    body = MESSAGE_START + error_event(Surface.MESSAGES, error())
    stream = anthropic_client(200, "text/event-stream", body).messages.create(
        model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    with pytest.raises(anthropic.APIStatusError, match="No target is ready"):
        list(stream)


@pytest.mark.parametrize("surface", list(Surface))
def test_an_error_event_never_ends_a_stream_as_complete(surface: Surface) -> None:
    """Nothing in it reads as a proper end."""
    event = error_event(surface, error())
    assert b"[DONE]" not in event
    assert b"message_stop" not in event
    assert event.endswith(b"\n\n")


def test_an_event_left_unfinished_does_not_swallow_the_error() -> None:
    """The empty line in front ends whatever the provider left open."""
    body = CHAT_CHUNK[:-2] + error_event(Surface.CHAT, error())
    stream = openai_client(200, "text/event-stream", body).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    assert next(stream).choices[0].delta.content == "Hi"
    with pytest.raises(openai.APIError, match="No target is ready"):
        next(stream)


ENTRIES = [ModelEntry(id="support-chat", created=1), ModelEntry(id="openai/gpt-5", owned_by="openai")]


def test_the_list_of_models_reads_in_the_openai_client() -> None:
    """The order is kept: workloads first."""
    body = models_body(Dialect.OPENAI, ENTRIES)
    models = openai_client(200, "application/json", body).models.list().data
    assert [(model.id, model.owned_by) for model in models] == [
        ("support-chat", "fairlead"),
        ("openai/gpt-5", "openai"),
    ]


def test_the_list_of_models_reads_in_the_anthropic_client() -> None:
    """One page, with the fields that Anthropic's has."""
    page = anthropic_client(200, "application/json", models_body(Dialect.ANTHROPIC, ENTRIES)).models.list()
    assert [(model.id, model.display_name, model.created_at.year) for model in page.data] == [
        ("support-chat", "support-chat", 1970),
        ("openai/gpt-5", "openai/gpt-5", 1970),
    ]
    assert (page.has_more, page.first_id, page.last_id) == (False, "support-chat", "openai/gpt-5")


def test_an_empty_list_of_models_is_a_list() -> None:
    """Nothing configured is no error."""
    assert msgspec.json.decode(models_body(Dialect.ANTHROPIC, []))["first_id"] is None
    assert msgspec.json.decode(models_body(Dialect.OPENAI, []))["data"] == []
