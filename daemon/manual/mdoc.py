"""Text as mdoc(7) takes it, from plain words and from the Markdown of docs/."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

__all__ = ["Item", "code", "items", "paragraphs", "plain", "prose", "rows_of", "section_of"]

Item = tuple[str, Sequence[str]]
"""A line of macros that begins an entry, and the lines of its text."""
_PARTS: Final = re.compile(r"`(?P<code>[^`]+)`|\[(?P<text>[^\]]+)\]\([^)]*\)|\*\*(?P<strong>[^*]+)\*\*")
_SENTENCE: Final = re.compile(r"(?<=[a-z0-9)\]PR][.?!]) (?=[A-Z\\\"])")
_MOST_ASCII: Final = 126
_WIDTH: Final = 78


def plain(text: str) -> str:
    """Return text in which nothing is taken for a request, an escape or a character that a terminal may lack."""
    escaped = text.replace("\\", "\\e")
    return "".join(one if ord(one) <= _MOST_ASCII else f"\\[u{ord(one):04X}]" for one in escaped)


def code(text: str) -> str:
    """Return what people type, so that it can be copied from the page."""
    return "\\fB" + plain(text).replace("-", "\\-") + "\\fR"


def prose(text: str) -> list[str]:
    """Return the lines of a paragraph of Markdown: a line for each sentence, code and strong words in bold."""
    written, at = "", 0
    for part in _PARTS.finditer(text):
        written += plain(text[at : part.start()])
        written += code(part["code"]) if part["code"] else _inner(part["text"] or part["strong"])
        at = part.end()
    sentences = _SENTENCE.split(written + plain(text[at:]))
    lines = [line for sentence in sentences for line in _wrapped(sentence)]
    return [f"\\&{line}" if line.startswith((".", "'")) else line for line in lines]


def paragraphs(markdown: str) -> Iterator[str]:
    """Yield mdoc lines for paragraphs, lists and code of Markdown; tables are left out."""
    for block in re.split(r"\n{2,}", markdown.strip()):
        if block.startswith("```"):
            yield from (".Bd -literal -offset indent", *_literal(block), ".Ed")
        elif block.startswith("- "):
            yield ".Bl -bullet"
            for entry in re.split(r"\n?^- ", block, flags=re.MULTILINE)[1:]:
                yield from (".It", *prose(_joined(entry)))
            yield ".El"
        elif not block.startswith(("|", "#")):
            yield from (".Pp", *prose(_joined(block)))


def items(entries: Iterable[Item]) -> Iterator[str]:
    """Yield a list of entries, each under its own line."""
    yield ".Bl -tag -width Ds"
    for head, text in entries:
        yield from (f".It {head}", *text)
    yield ".El"


def section_of(markdown: str, heading: str) -> str:
    """Return what stands below `heading` in a document, up to the next one. Raises KeyError where it is not there."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", markdown, re.MULTILINE | re.DOTALL)
    if found is None:
        raise KeyError(heading)
    return found[1]


def rows_of(markdown: str, first_cell: str) -> list[list[str]]:
    """Return the rows of every table whose header begins with `first_cell`. Raises KeyError where there is none."""
    rows: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\n?)+", markdown, re.MULTILINE):
        header, _, *lines = table.splitlines()
        if _cells(header)[0] == first_cell:
            rows += [_cells(line) for line in lines]
    if not rows:
        raise KeyError(first_cell)
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _inner(text: str) -> str:
    """Return the words of a link or of strong text, which may hold code."""
    return " ".join(prose(text))


def _joined(block: str) -> str:
    return " ".join(line.strip() for line in block.splitlines())


def _literal(block: str) -> list[str]:
    lines = [plain(line).replace("-", "\\-") for line in block.splitlines()[1:-1]]
    return [f"\\&{line}" if line.startswith((".", "'")) else line for line in lines]
