"""The check commands of cascades: what an operator's own program says of an answer."""

from __future__ import annotations

import os
from typing import Final

import anyio
import structlog

from daemon.commands import Command, environment_of, run_command
from probes.cascade import CascadePolicy

__all__ = ["Checks"]

_log = structlog.get_logger("fairlead.relay")
_AT_ONCE: Final = 8
"""Commands that run at a time, over all requests; others wait, within their own time."""
_MOST_CHARACTERS: Final = 1 << 20
"""How much of an answer a command reads."""
_NOT_RUN: Final = 126
"""From here on, exit codes are a shell's words for a program that was not found or could not be run."""
_FAILED: Final = "the check command says no"


class Checks:
    """Runs check commands, a few at a time."""

    def __init__(self) -> None:
        """Start with none under way."""
        self._room = anyio.CapacityLimiter(_AT_ONCE)

    async def lack(self, policy: CascadePolicy, workload: str, text: str) -> str | None:
        """Return why `text` does not do by the policy's command, None where it does or there is none.

        Whatever is wrong with the command itself lets the answer pass, and the log says so. Never raises.
        """
        if not policy.command or not text.strip():
            return None
        code = await self._code(policy, workload, text)
        if isinstance(code, int) and 0 <= code < _NOT_RUN:
            return _FAILED if code else None
        reason = f"exit code {code}" if isinstance(code, int) else code
        _log.warning("check_not_done", workload=workload, command=policy.command[0], reason=reason)
        return None

    async def _code(self, policy: CascadePolicy, workload: str, text: str) -> int | str:
        try:
            with anyio.fail_after(float(policy.timeout)):
                await self._room.acquire()
        except TimeoutError:
            return f"{_AT_ONCE} others were under way for {policy.timeout:g}s"
        try:
            return await _run(policy, workload, text)
        finally:
            self._room.release()


async def _run(policy: CascadePolicy, workload: str, text: str) -> int | str:
    environment = {**environment_of(os.environ, "FAIRLEAD_CHECK_"), "FAIRLEAD_CHECK_WORKLOAD": workload}
    body = text[:_MOST_CHARACTERS].encode("utf-8", "replace")
    return await run_command(Command(policy.command, environment, float(policy.timeout)), body)
