"""What a request says to a model, in whichever dialect: its standing orders and its tools.

Nothing here raises for what a client wrote: what is not understood is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from probes.surfaces import Surface

__all__ = ["system_prompt", "tools_offered"]

_ORDERING: Final = ("system", "developer")
_TEXTS: Final = ("text", "input_text")


def system_prompt(surface: Surface, request: object) -> str:
    """Return the standing orders of a decoded request, one below the other; empty where it has none."""
    if not isinstance(request, dict):
        return ""
    own = request.get("system") if surface is Surface.MESSAGES else request.get("instructions")
    ordered = (message.get("content") for message in _messages(surface, request) if message.get("role") in _ORDERING)
    return "\n".join(text for part in (own, *ordered) if (text := _text(part)))


def tools_offered(request: object) -> frozenset[str]:
    """Return the names of the tools that a decoded request offers; those of the provider's own go by their type."""
    tools = request.get("tools") if isinstance(request, dict) else None
    return frozenset(_names(tools)) if isinstance(tools, list) else frozenset()


def _names(tools: list[Any]) -> Iterator[str]:
    for tool in tools:
        if isinstance(tool, dict):
            function = tool.get("function")
            named = function.get("name") if isinstance(function, dict) else tool.get("name") or tool.get("type")
            if isinstance(named, str):
                yield named


def _messages(surface: Surface, request: dict[str, Any]) -> list[dict[str, Any]]:
    messages = request.get("input" if surface is Surface.RESPONSES else "messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") in _TEXTS)
    return "\n".join(text for text in texts if isinstance(text, str))
