"""The answers captured from independent servers, and the tables of facts, in tests/fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


class Capture(NamedTuple):
    """One captured answer: its status, headers with lower-case names, and body."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes


def capture(name: str) -> Capture:
    """Return one captured answer by its file's name, without the notes that the capturing left at its end."""
    raw = (FIXTURES / "responses" / f"{name}.http").read_bytes().replace(b"\r\n", b"\n")
    raw = raw.split(b"\n# curl_exit")[0].split(b"\nexit=18")[0]
    if not raw.startswith(b"HTTP/"):
        return Capture(name, 200, {"content-type": "text/event-stream"}, raw)
    head, _, body = raw.partition(b"\n\n")
    status, *lines = head.decode().split("\n")
    headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return Capture(name, int(status.split()[1]), headers, body)


def captures(*words: str) -> list[Capture]:
    """Return the captured answers whose names contain any of `words`."""
    names = sorted(path.stem for path in (FIXTURES / "responses").glob("*.http"))
    return [capture(name) for name in names if any(word in name for word in words)]


def table(name: str) -> Any:
    """Return a table of facts."""
    return msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes())
