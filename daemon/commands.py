"""Running an operator's command: what it reads on its input, what it sees of our environment, and until when."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Final

import anyio
import anyio.abc
import msgspec

__all__ = ["Command", "environment_of", "run_command"]

_LAST_WAIT_S: Final = 1.0
"""How long a command that was killed may take to be gone; what became another user's is never gone."""
_PASSED_ON: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "TMPDIR"})


class Command(msgspec.Struct, frozen=True):
    """What is run."""

    words: tuple[str, ...]
    """The program and its arguments."""
    environment: Mapping[str, str]
    timeout_s: float


def environment_of(ours: Mapping[str, str], own: str) -> dict[str, str]:
    """Return what of our environment a command may see: what programs need, what begins with `own`, and no key."""
    return {name: value for name, value in ours.items() if name in _PASSED_ON or name.startswith(("LC_", own))}


async def run_command(command: Command, body: bytes) -> int | str:
    """Run a command that reads `body`; return its exit code, or in words why it has none. Never raises.

    A negative code is the signal that ended it. What it leaves running is killed.
    """
    try:
        process = await anyio.open_process(
            command.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=command.environment,
            start_new_session=True,
        )
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError as error:  # a NUL, or what no file system can spell
        return str(error)
    code: int | None = None
    try:
        with anyio.move_on_after(command.timeout_s):
            await _feed(process, body)
            code = await process.wait()
    finally:
        await _end(process)
    return f"not done within {command.timeout_s:g}s" if code is None else code


async def _feed(process: anyio.abc.Process, body: bytes) -> None:
    if process.stdin is None:
        return
    try:
        await process.stdin.send(body)
        await process.stdin.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        return  # a command that does not read is content with its environment


async def _end(process: anyio.abc.Process) -> None:
    """Kill what is left of the command, with all that it started, unless it has become another user's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with anyio.move_on_after(_LAST_WAIT_S, shield=True):
        await process.wait()
    if process.returncode is not None:  # else closing it would wait for it, for ever
        with anyio.CancelScope(shield=True):
            await process.aclose()
