"""What the documents tell people to type exists."""

from __future__ import annotations

import re

import pytest

from tests.rigs.product import ROOT

DOCUMENTS = sorted(
    file.relative_to(ROOT).as_posix()
    for folder in (ROOT, ROOT / "docs", ROOT / "systemd")
    for file in folder.glob("*.md")
)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def _shown(document: str, command: str) -> set[str]:
    """Return the words that stand behind `command` in a document's code."""
    text = (ROOT / document).read_text(encoding="utf-8")
    code = [*re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]
    return {word for part in code for word in re.findall(rf"^(?:\$ )?{command} ([a-z-]+)", part, re.MULTILINE)}


def test_the_readme_starts_with_the_two_commands() -> None:
    """Whoever opens the project can see it work and can check it."""
    assert {"demo", "test"} <= _shown("README.md", "make")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_shows_exists(document: str) -> None:
    """No document tells people to make what the Makefile does not know."""
    assert _shown(document, "make") <= TARGETS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_within_the_project_leads_somewhere(document: str) -> None:
    """A relative link names a file that is there."""
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []
