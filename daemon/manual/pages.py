"""A page from its template, which is mdoc(7) but for lines that ask for what is written down elsewhere.

`@verbs`; `@table` and `@view`, those of the history; `@keys DOCUMENT | HEADER`, the rows of a Markdown table as a
list; `@section DOCUMENT | HEADING`, the paragraphs below a heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from daemon.manual.mdoc import Item, items, paragraphs, prose, rows_of, section_of
from daemon.manual.tables import relation_lines
from daemon.manual.verbs import verb_lines

__all__ = ["key_rows", "page"]

_NO_DEFAULT = {"", "\N{EN DASH}"}


def page(template: Path, docs: Path) -> str:
    """Return the page. Raises KeyError where it asks for a table or heading that its document lacks."""
    lines = template.read_text(encoding="utf-8").splitlines()
    made = [part for line in lines for part in _made(line, docs)]
    return "\n".join(line for line, after in zip(made, [*made[1:], ""], strict=True) if not _idle(line, after)) + "\n"


def key_rows(docs: Path, document: str, header: str) -> Iterator[tuple[list[str], str, str]]:
    """Yield the keys of each row of a table of keys (else its words), their default and what is said of them."""
    for keys, *default, text in rows_of((docs / document).read_text(encoding="utf-8"), header):
        yield re.findall(r"`([^`]+)`", keys) or [keys], default[0] if default else "", text


def _idle(line: str, after: str) -> bool:
    """Return whether a new paragraph is one anyhow, by what comes after."""
    return line == ".Pp" and after.startswith((".Bl", ".Bd", ".Pp", ".Sh", ".Ss"))


def _made(line: str, docs: Path) -> Iterator[str]:
    word, _, rest = line.partition(" ")
    document, _, part = (piece.strip() for piece in rest.partition("|"))
    match word:
        case "@verbs":
            yield from verb_lines()
        case "@table" | "@view":
            yield from relation_lines(word[1:])
        case "@keys":
            yield from items(_item(row) for row in key_rows(docs, document, part))
        case "@section":
            first, *others = paragraphs(section_of((docs / document).read_text(encoding="utf-8"), part))
            yield from ([first] if first != ".Pp" else [])
            yield from others
        case _:
            yield line


def _item(row: tuple[list[str], str, str]) -> Item:
    keys, default, text = row
    said = prose(f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") or not text else "."))
    standing = [] if default in _NO_DEFAULT else prose(f"Default: {default}.")
    return " , ".join(f"Ic {key}" for key in keys), [*standing, *said]
