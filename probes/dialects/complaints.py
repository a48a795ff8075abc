"""What a provider says went wrong, freed of the shape it says it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

__all__ = ["UNREADABLE", "Complaint", "complaint_of", "decode"]

UNREADABLE: Final = (ValueError, RecursionError)
"""What msgspec raises for bytes that are not JSON, not UTF-8, or nested without end."""

_MAX_TEXT: Final = 2000


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an error body that decide, whoever sent it.

    `codes` are lower case, the most specific first: codes, reasons, limit sources, then types and status words.
    """

    codes: tuple[str, ...] = ()
    message: str = ""
    more: str = ""
    """Text to search for words and never to quote: what stands behind a gateway's own message."""
    quota_ids: tuple[str, ...] = ()
    """Gemini's names of the limits that were hit."""
    delay: str = ""
    """Gemini's `RetryInfo.retryDelay`."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """OpenRouter's upstream headers, names in lower case."""
    is_error: bool = False
    """Whether the body's shape says that it is an error, whatever the status says."""

    @property
    def text(self) -> str:
        """All words that may be matched."""
        return f"{self.message}\n{self.more}" if self.more else self.message


def decode(body: bytes) -> object:
    """Return the JSON value in `body`, None where there is none."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        return None


def complaint_of(body: object) -> Complaint:
    """Return what a decoded body complains of.

    Knows the object with `error` in it (OpenAI, Anthropic, Azure, OpenRouter), the array around one (Gemini), the
    error at the top level (Mistral, older vLLM), `{"error": "text"}` (Ollama), `{"detail": …}` (FastAPI), bare text.
    """
    match body:
        case [first, *_]:
            return complaint_of(first) if isinstance(first, (dict, str)) else Complaint()
        case str():
            return Complaint(message=body[:_MAX_TEXT])
        case dict():
            return _of_object(body)
        case _:
            return Complaint()


def _of_object(body: dict[str, Any]) -> Complaint:
    error = body.get("error")
    if isinstance(error, str) and error:
        return _reported(_of_parts({**body, "message": error}))
    if isinstance(error, dict):
        return _reported(_of_parts(error))
    named = body.get("type") == "error" or body.get("object") == "error"
    complaint = _of_parts(body)
    return _reported(complaint) if named or error else complaint


def _reported(complaint: Complaint) -> Complaint:
    """Return `complaint` as one that came as an error."""
    return msgspec.structs.replace(complaint, is_error=True)


def _of_parts(core: dict[str, Any]) -> Complaint:
    metadata = _object(core.get("metadata"))
    details = tuple(_objects(core.get("details")))
    return Complaint(
        codes=tuple(_codes(core, metadata, details)),
        message=_message(core)[:_MAX_TEXT],
        more=_text(metadata.get("raw"))[:_MAX_TEXT],
        quota_ids=tuple(_quota_ids(details)),
        delay=next((_text(detail.get("retryDelay")) for detail in details if detail.get("retryDelay")), ""),
        headers={str(name).lower(): str(value) for name, value in _object(metadata.get("headers")).items()},
    )


def _message(core: dict[str, Any]) -> str:
    return next((text for key in ("message", "detail", "msg") if (text := _text(core.get(key)))), "")


def _codes(core: dict[str, Any], metadata: dict[str, Any], details: tuple[dict[str, Any], ...]) -> Iterator[str]:
    found = [
        core.get("code"),
        _object(core.get("details")).get("error_code"),
        _object(core.get("innererror")).get("code"),
        metadata.get("limit_source"),
        metadata.get("error_type"),
        *(detail.get("reason") for detail in details),
        core.get("type"),
        core.get("status"),
    ]
    for code in found:
        if isinstance(code, (str, int)) and not isinstance(code, bool) and code != "":
            yield str(code)[:100].lower()


def _quota_ids(details: tuple[dict[str, Any], ...]) -> Iterator[str]:
    for detail in details:
        for violation in _objects(detail.get("violations")):
            if name := _text(violation.get("quotaId")):
                yield name


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
