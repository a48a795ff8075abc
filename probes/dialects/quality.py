"""Whether a whole answer does what was asked: tool calls that can be made, JSON that fits, and not a refusal.

What was wrong is said without a word of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from probes.dialects.complaints import decode
from probes.dialects.schemas import Judge
from probes.surfaces import Surface

__all__ = ["EMPTY", "NOT_JSON", "REFUSED", "asked_format", "lacking", "unfit"]

REFUSED: Final = "refused"
"""An answer that declines."""
EMPTY: Final = "empty"
"""An answer without a word."""
_FUNCTIONS: Final = (None, "function")
"""Calls of other kinds have arguments of other kinds; some providers leave the kind out."""
NOT_JSON: Final = "the answer is not JSON"
"""An answer in words where JSON was asked for."""
_MISFIT: Final = "the answer does not fit the JSON schema"


def lacking(surface: Surface, request_body: bytes, answer_body: bytes) -> str | None:
    """Return what a whole answer lacks, as a few words; None where it does what was asked. Never raises."""
    request, answer = decode(request_body), decode(answer_body)
    if not isinstance(request, dict) or not isinstance(answer, dict):
        return None
    match surface:
        case Surface.CHAT:
            return _chat(request, answer)
        case Surface.MESSAGES:
            return _message(request, answer)
        case Surface.RESPONSES:
            return _response(request, answer)
        case _:
            return None


def asked_format(surface: Surface, request_body: bytes) -> Judge | None:
    """Return the judge of the JSON that a request asks for, None where it asks for none. Never raises."""
    request = decode(request_body)
    if not isinstance(request, dict):
        return None
    match surface:
        case Surface.CHAT:
            return _format(request.get("response_format"), "json_schema")
        case Surface.MESSAGES:
            return _message_format(request)
        case Surface.RESPONSES:
            return _format(_dict(request.get("text")).get("format"), "schema")
        case _:
            return None


def _message_format(request: dict[str, Any]) -> Judge | None:
    return _format(_dict(request.get("output_config")).get("format") or request.get("output_format"), "schema")


def _chat(request: dict[str, Any], answer: dict[str, Any]) -> str | None:
    choices = [choice for choice in _list(answer.get("choices")) if isinstance(choice, dict)]
    if not choices:
        return EMPTY
    asked = _format(request.get("response_format"), "json_schema")
    known = _names(_dict(tool.get("function")) for tool in _dicts(request.get("tools")))
    for choice in choices:
        message = _dict(choice.get("message"))
        if message.get("refusal") or choice.get("finish_reason") == "content_filter":
            return REFUSED
        made = _dicts(message.get("tool_calls"))
        calls = [_dict(call.get("function")) for call in made if call.get("type") in _FUNCTIONS]
        found = _first(_bad_call(call.get("name"), call.get("arguments"), known) for call in calls)
        text = message.get("content")
        others = made or message.get("function_call") or message.get("audio")
        found = found or _bad_text(text if isinstance(text, str) else "", asked, others)
        if found:
            return found
    return None


def _message(request: dict[str, Any], answer: dict[str, Any]) -> str | None:
    if answer.get("stop_reason") == "refusal":
        return REFUSED
    parts = _dicts(answer.get("content"))
    known = _names(_dicts(request.get("tools")))
    calls = [part for part in parts if part.get("type") == "tool_use"]
    found = _first(_bad_call(call.get("name"), call.get("input"), known) for call in calls)
    asked = _message_format(request)
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")
    others = any(part.get("type") != "text" for part in parts)
    return found or _bad_text(text, asked, others)


def _response(request: dict[str, Any], answer: dict[str, Any]) -> str | None:
    items = _dicts(answer.get("output"))
    parts = [part for item in items for part in _dicts(item.get("content")) if item.get("type") == "message"]
    if any(part.get("type") == "refusal" for part in parts):
        return REFUSED
    known = _names(tool for tool in _dicts(request.get("tools")) if tool.get("type") == "function")
    calls = [item for item in items if item.get("type") == "function_call"]
    found = _first(_bad_call(call.get("name"), call.get("arguments"), known) for call in calls)
    asked = _format(_dict(request.get("text")).get("format"), "schema")
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "output_text")
    others = any(str(item.get("type")) not in {"message", "reasoning"} for item in items)
    return found or _bad_text(text, asked, others)


def _names(tools: Iterable[dict[str, Any]]) -> set[str]:
    return {tool["name"] for tool in tools if isinstance(tool.get("name"), str)}


def _bad_call(name: object, arguments: object, known: set[str]) -> str | None:
    if isinstance(arguments, str):
        arguments = decode(arguments.encode("utf-8", "replace")) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        return "the arguments of a tool call are not a JSON object"
    return None if str(name) in known or not known else "a call of a tool that was not offered"


def _bad_text(text: str, asked: Judge | None, others: object) -> str | None:
    """Judge the text of an answer; `others` tells whether something besides text came."""
    if not text.strip():
        return None if others else EMPTY
    return unfit(text, asked)


def unfit(text: str, asked: Judge | None) -> str | None:
    """Return why `text` is not what `asked` wants, None where it is, or where nothing in particular is asked for."""
    if asked is None:
        return None
    value = decode(text.encode("utf-8", "replace"))
    if value is None and text.strip() != "null":
        return NOT_JSON
    return None if asked.fits(value) else _MISFIT


def _format(asked: object, key: str) -> Judge | None:
    """Return the judge of what is asked for, whom any JSON will do where none in particular is; None without one."""
    form = _dict(asked)
    if form.get("type") == "json_object":
        return Judge({})
    if form.get("type") != "json_schema":
        return None
    schema = form.get(key)
    nested = schema.get("schema") if isinstance(schema, dict) and key == "json_schema" else schema
    return Judge(_dict(nested))


def _first(found: Iterator[str | None]) -> str | None:
    return next((each for each in found if each), None)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
