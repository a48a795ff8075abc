"""Keeping keys and prompts within the process: no core dump, and no other process of the same user that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from daemon.config.places import is_service

__all__ = ["keep_memory_private", "may_be_read"]

_ALLOWED: Final = "FAIRLEAD_DUMPABLE"
_PR_SET_DUMPABLE: Final = 4
"""From prctl(2)."""


def may_be_read(environ: Mapping[str, str]) -> bool:
    """Return whether debuggers and core dumps may have the process's memory.

    A service's may not, unless FAIRLEAD_DUMPABLE=1 says so. Who starts the daemon by hand is at a keyboard, owns the
    keys, and wants py-spy, strace and gdb to work.
    """
    return not is_service(environ) or environ.get(_ALLOWED) == "1"


def keep_memory_private() -> None:
    """Refuse core dumps and ptrace of this process from now on. Raises nothing where the kernel knows no such thing.

    Its own faulthandler and its own /proc/self/status go on; /proc/PID belongs to root then, and programs that it
    runs are as dumpable as ever.
    """
    import ctypes  # noqa: PLC0415 - 0.3 MB that only a service needs

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
