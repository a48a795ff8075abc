"""Make the manual pages: `python -m daemon.manual DOCS FOLDER` writes what DOCS/man describes into FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from daemon.manual.pages import page

__all__ = ["main"]


def main(docs: Path, folder: Path) -> None:
    """Write a page for each template, under the template's name."""
    folder.mkdir(parents=True, exist_ok=True)
    for template in sorted((docs / "man").glob("*.[1-8]")):
        (folder / template.name).write_text(page(template, docs), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
