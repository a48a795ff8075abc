"""How fairlead's own errors and lists look to the clients of each dialect."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, assert_never

import msgspec

from probes.policy import Dialect
from probes.surfaces import Surface

__all__ = ["ErrorText", "ModelEntry", "error_body", "error_event", "models_body"]

_ANTHROPIC_TYPES: Final[dict[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's own names; its clients choose their exception by the status, its users often by these."""

_SERVER_ERRORS_FROM: Final = 500


class ErrorText(msgspec.Struct, frozen=True, kw_only=True):
    """One error of fairlead's, before it takes a dialect's shape."""

    status: int
    message: str
    type: str
    """OpenAI's word for it; Anthropic's follows from the status."""
    code: str | None = None
    request_id: str = ""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of models: a workload or a target."""

    id: str
    owned_by: str = "fairlead"
    display_name: str = ""
    """The id where empty."""
    created: int = 0
    """Unix seconds."""


def error_body(dialect: Dialect, error: ErrorText) -> bytes:
    """Return the JSON body of an error answer; a `simulated` dialect speaks OpenAI's."""
    return msgspec.json.encode(_anthropic_error(error) if dialect is Dialect.ANTHROPIC else {"error": _openai(error)})


def error_event(surface: Surface, error: ErrorText) -> bytes:
    """Return the bytes that end a committed stream in an error that the dialect's own client raises.

    Nothing follows them: neither `[DONE]` nor `message_stop`. They start with an empty line, so that an event that
    the provider left unfinished does not swallow them.
    """
    match surface:
        case Surface.CHAT | Surface.EMBEDDINGS:
            return _event("", {"error": _openai(error)})
        case Surface.RESPONSES:
            # The flat members are the API's; openai's Python client raises only where it finds `error`.
            flat = {"type": "error", "code": error.code, "message": error.message, "param": None}
            return _event("error", {**flat, "sequence_number": 0, "error": _openai(error)})
        case Surface.MESSAGES | Surface.COUNT_TOKENS:
            return _event("error", _anthropic_error(error))
        case _:
            assert_never(surface)


def models_body(dialect: Dialect, entries: Iterable[ModelEntry]) -> bytes:
    """Return the list of models in a dialect's shape, in the order given."""
    listed = list(entries)
    if dialect is not Dialect.ANTHROPIC:
        data = [{"id": e.id, "object": "model", "created": e.created, "owned_by": e.owned_by} for e in listed]
        return msgspec.json.encode({"object": "list", "data": data})
    ids = [entry.id for entry in listed]
    page = {
        "data": [_anthropic_model(entry) for entry in listed],
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }
    return msgspec.json.encode(page)


def _openai(error: ErrorText) -> dict[str, Any]:
    return {"message": error.message, "type": error.type, "param": None, "code": error.code}


def _anthropic_error(error: ErrorText) -> dict[str, Any]:
    by_default = "api_error" if error.status >= _SERVER_ERRORS_FROM else "invalid_request_error"
    return {
        "type": "error",
        "error": {
            "type": _ANTHROPIC_TYPES.get(error.status, by_default),
            "message": error.message,
            "details": {"error_code": error.code} if error.code else None,
        },
        "request_id": error.request_id or None,
    }


def _anthropic_model(entry: ModelEntry) -> dict[str, Any]:
    created_at = datetime.fromtimestamp(entry.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": entry.id, "display_name": entry.display_name or entry.id, "created_at": created_at}


def _event(name: str, data: dict[str, Any]) -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return b"\n\n" + head + b"data: " + msgspec.json.encode(data) + b"\n\n"
