"""The ids of requests."""

from __future__ import annotations

import secrets
from itertools import count
from typing import Final

__all__ = ["new_request_id"]

_PROCESS: Final = secrets.token_hex(6)
_SERIAL: Final = count(1)


def new_request_id() -> str:
    """Return an id that no other request has; those of one process sort by age, which keeps indexes cheap."""
    return f"req_{_PROCESS}{next(_SERIAL):012x}"
