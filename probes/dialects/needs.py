"""What a request needs of a target: the features it uses, and about how many tokens it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from probes.dialects.complaints import decode

__all__ = ["Needs", "estimated_tokens", "needs_of"]

_BYTES_PER_TOKEN: Final = 4
"""English text has about four bytes to a token; near enough to refuse what is far too long."""
_TOKENS_PER_IMAGE: Final = 1000
"""Providers count an image of a megapixel as 800 to 1600 tokens, however many bytes it has."""
_FEATURE_OF_PART: Final = {
    "image": "images",
    "image_url": "images",
    "input_image": "images",
    "input_audio": "audio",
    "audio": "audio",
    "file": "files",
    "input_file": "files",
    "document": "files",
}
_FEATURE_OF_FORMAT: Final = {"json_schema": "json_schema", "json_object": "json"}
_CONTENTS: Final = ("messages", "input", "system")


class Needs(msgspec.Struct, frozen=True):
    """What a target must be able to do for one request."""

    tokens: int = 0
    """Estimated tokens of the input."""
    features: frozenset[str] = frozenset()
    """The request's own members by name (`tools`, `seed`, …), and `images`, `audio`, `files`, `json`, `json_schema`,
    `choices` (more than one)."""

    def __bool__(self) -> bool:
        """Whether anything is needed at all."""
        return bool(self.tokens or self.features)


def estimated_tokens(body: bytes) -> int:
    """Return about how many tokens a request has, by its length alone."""
    return len(body) // _BYTES_PER_TOKEN


def needs_of(body: bytes) -> Needs:
    """Return what the request in `body` needs. Never raises; what is not understood needs nothing."""
    request = decode(body)
    if not isinstance(request, dict):
        return Needs(estimated_tokens(body))
    features = {name for name, value in request.items() if value not in (None, [], {}, "")}
    features.update(_formats(request))
    if isinstance(request.get("n"), int) and request["n"] > 1:
        features.add("choices")
    modalities = request.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        features.add("audio")
    media_bytes = media = 0
    for part in _parts([request[key] for key in _CONTENTS if key in request]):
        if (feature := _FEATURE_OF_PART.get(str(part.get("type")))) is not None:
            features.add(feature)
            media += 1
            media_bytes += len(msgspec.json.encode(part))
    tokens = max(0, len(body) - media_bytes) // _BYTES_PER_TOKEN + media * _TOKENS_PER_IMAGE
    return Needs(tokens, frozenset(features))


def _formats(request: dict[str, Any]) -> Iterator[str]:
    """Yield the shapes of answer that are asked for, wherever an API family puts them."""
    text, output = request.get("text"), request.get("output_config")
    places = (
        request.get("response_format"),
        request.get("output_format"),
        text.get("format") if isinstance(text, dict) else None,
        output.get("format") if isinstance(output, dict) else None,
    )
    for place in places:
        if isinstance(place, dict) and (feature := _FEATURE_OF_FORMAT.get(str(place.get("type")))) is not None:
            yield feature


def _parts(roots: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield every typed object below `roots`, whatever their depth, without recursion."""
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if str(value.get("type")) in _FEATURE_OF_PART:
                yield value
            elif isinstance(content := value.get("content"), list):
                waiting.extend(content)
