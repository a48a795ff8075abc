"""Folders that other users may enter: pytest makes its own for their owner alone."""

from __future__ import annotations

import tempfile
from itertools import takewhile
from pathlib import Path

__all__ = ["opened"]


def opened(folder: Path) -> Path:
    """Let everybody enter `folder` and what it lies in, up to the temp folder, and return it."""
    shared = Path(tempfile.gettempdir())
    for each in (folder, *takewhile(lambda parent: parent != shared, folder.parents)):
        each.chmod(0o755)
    return folder
