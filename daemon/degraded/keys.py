"""The key under which an answer is kept: the same question of the same asker, and of nobody else."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from probes.dialects.complaints import UNREADABLE, decode
from probes.surfaces import Surface

__all__ = ["Asker", "answer_key"]

_SURFACES: Final = frozenset({Surface.CHAT, Surface.RESPONSES, Surface.MESSAGES})
_MEANINGLESS: Final = frozenset({"model", "stream", "stream_options", "metadata", "store", "service_tier"})
"""Members that change who is billed or how the answer travels, and not what is asked, nor for whom."""
_NEVER: Final = frozenset(
    {
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "previous_response_id",
        "conversation",
        "audio",
        "prediction",
    }
)
_TOOLS: Final = frozenset({"tool", "function", "tool_result", "tool_use", "function_call", "function_call_output"})
_DEEPEST: Final = 64


class Asker(msgspec.Struct, frozen=True):
    """Who asks. Only ever hashed."""

    uid: int | None = None
    """The peer's user number on a Unix socket; None over TCP."""
    team: str = ""
    user: str = ""
    credential: tuple[str, str] = ("", "")
    """What the client showed as its key: as `authorization`, and as `x-api-key`."""


def answer_key(workload: str, surface: Surface, body: bytes, asker: Asker) -> bytes | None:
    """Return 32 bytes that are the same for the same question of the same asker; None where it may not be kept.

    What a client shows as its key is checked by nobody here: only whom the kernel vouches for is one and the same.
    """
    if asker.uid is None:
        return None
    request = decode(body)
    if surface not in _SURFACES or not isinstance(request, dict) or not _may_be_kept(request):
        return None
    question = {name: value for name, value in request.items() if name not in _MEANINGLESS and value is not None}
    try:
        whole = msgspec.json.encode((workload, surface.value, asker, question, _user_of(request)), order="sorted")
    except (*UNREADABLE, TypeError, ValueError, RecursionError):
        return None
    return hashlib.blake2b(whole, digest_size=32).digest()


def _user_of(request: dict[str, Any]) -> object:
    """Return for whom the client asks, in Anthropic's way; OpenAI's `user` is a member of the question."""
    metadata = request.get("metadata")
    return metadata.get("user_id") if isinstance(metadata, dict) else None


def _may_be_kept(request: dict[str, Any]) -> bool:
    if any(request.get(name) for name in _NEVER) or str(request.get("n", 1)) not in {"None", "1"}:
        return False
    if request.get("modalities") not in (None, ["text"]):
        return False
    return _plain(request)


def _plain(request: dict[str, Any]) -> bool:
    """Whether no part of the conversation is a tool's, and none lies deeper than anyone nests."""
    waiting = [(value, 0) for value in request.values()]
    while waiting:
        value, depth = waiting.pop()
        if depth > _DEEPEST:
            return False
        if isinstance(value, dict):
            kinds = {each for each in (value.get("role"), value.get("type")) if isinstance(each, str)}
            if kinds & _TOOLS or value.get("tool_calls"):
                return False
            waiting += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            waiting += [(each, depth + 1) for each in value]
    return True
