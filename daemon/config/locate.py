"""Which line of a TOML file holds a key: tomllib forgets it, and people need it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

__all__ = ["KeyPath", "Lines", "locate"]

KeyPath = tuple[str, ...]
Lines = dict[KeyPath, int]
_TOKEN = re.compile(
    r'''(?P<string>"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')'''
    r"|(?P<bare>[A-Za-z0-9_-]+)|(?P<mark>[\[\]{}=,\n])|\#[^\n]*|.",
    re.DOTALL,
)


def locate(text: str) -> Lines:
    """Return the line, from 1, of every table and key of a TOML document, those of inline tables included.

    `text` is one that tomllib takes; of any other the lines mean nothing.
    """
    reader = _Reader()
    for word, kind, line in _tokens(text):
        if reader.in_header:
            reader.header(word, kind, line)
        elif reader.before_key:
            reader.key(word, kind, line)
        else:
            reader.value(word)
    return reader.lines


class _Reader:
    """Where in a document the reading stands. It keeps its own stack: no depth of nesting is too much."""

    def __init__(self) -> None:
        """Stand at the beginning."""
        self.lines: Lines = {}
        self.in_header = False
        self.before_key = True
        self._table: KeyPath = ()
        self._parts: KeyPath = ()
        self._path: KeyPath = ()
        self._open: list[tuple[str, KeyPath]] = []

    def header(self, word: str, kind: str | None, line: int) -> None:
        """Read on in `[table]` or `[[table]]`."""
        if word == "\n":
            self.in_header, self._parts = False, ()
        elif kind != "mark":
            self._parts += (_plain(word, kind),)
            self._table = self._parts
        elif word == "]":
            self.lines.setdefault(self._table, line)

    def key(self, word: str, kind: str | None, line: int) -> None:
        """Read on where a key stands, or a header, or the end of an inline table."""
        if kind != "mark":
            self._parts += (_plain(word, kind),)
        elif word == "=":
            self._path = (self._open[-1][1] if self._open else self._table) + self._parts
            self.lines.setdefault(self._path, line)
            self._parts, self.before_key = (), False
        elif word == "[":
            self.in_header = True
        elif word == "}":
            self._close()

    def value(self, word: str) -> None:
        """Read on in a value, until the next key."""
        if word in {"[", "{"}:
            self._open.append((word, self._path))
            self.before_key = word == "{"
        elif word in {"]", "}"}:
            self._close()
        elif word == ",":
            bracket, self._path = self._open[-1]
            self.before_key = bracket == "{"
        elif word == "\n":
            self.before_key = not self._open

    def _close(self) -> None:
        self._open.pop()
        self.before_key = False


def _tokens(text: str) -> Iterator[tuple[str, str | None, int]]:
    """Yield the words, strings and marks of `text`, each with its kind and line; not spaces and comments."""
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup is not None:
            line += text.count("\n", counted, token.start())
            counted = token.start()
            yield token[0], token.lastgroup, line


def _plain(word: str, kind: str | None) -> str:
    return str(tomllib.loads(f"key = {word}")["key"]) if kind == "string" else word
