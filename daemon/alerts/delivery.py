"""The herald: the actor that takes alerts to a webhook and a command, and never lets either hold anything up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import anyio
import anyio.abc
import msgspec
import structlog

from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert
from state.mailbox import Mailbox

__all__ = ["Herald"]

_log = structlog.get_logger("fairlead.alerts")
_PAUSES_S: Final = (1.0, 4.0, None)
"""Between the tries of a webhook; after the last one it is given up."""
_AT_ONCE: Final = 4
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_ERRORS_FROM: Final = 300


class Herald:
    """Delivers alerts by the policy in force. `wall` gives Unix seconds."""

    def __init__(
        self, mailbox: Mailbox[Alert], policy: Callable[[], AlertPolicy], wall: Callable[[], float], version: str
    ) -> None:
        """Deliver what comes to `mailbox`."""
        self._mailbox = mailbox
        self._policy = policy
        self._wall = wall
        self._version = version
        self._room = anyio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Deliver until cancelled; a command that runs then is killed."""
        async with anyio.create_task_group() as tasks:
            while True:
                alert = await self._mailbox.next()
                dropped = self._mailbox.take_dropped()
                policy = self._policy()
                body = self._body(alert, dropped)
                if policy.webhook:
                    await self._room.acquire()
                    tasks.start_soon(self._post, policy, body)
                if policy.command:
                    await self._room.acquire()
                    tasks.start_soon(self._run, policy, alert, body)

    def _body(self, alert: Alert, dropped: int) -> bytes:
        at = datetime.fromtimestamp(self._wall() - (anyio.current_time() - alert.at), UTC)
        return msgspec.json.encode(
            {
                "schema": "fairlead.alert/1",
                "kind": alert.kind.value,
                "workload": alert.workload,
                "target": alert.target,
                "message": alert.message,
                "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "held_back": alert.held_back + dropped,
            }
        )

    async def _post(self, policy: AlertPolicy, body: bytes) -> None:
        try:
            for pause_s in _PAUSES_S:
                trouble = await self._try(policy, body)
                if not trouble:
                    return
                if pause_s is None or trouble.startswith("refused"):
                    _log.error("alert_not_delivered", to=_place(policy.webhook), reason=trouble)
                    return
                await anyio.sleep(pause_s)
        finally:
            self._room.release()

    async def _try(self, policy: AlertPolicy, body: bytes) -> str:
        """Post once; return what went wrong, `refused …` where trying again is of no use, and nothing where it went."""
        timeout = aiohttp.ClientTimeout(total=float(policy.timeout))
        headers = {"content-type": "application/json", "user-agent": f"fairlead/{self._version}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.post(policy.webhook, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                if answer.status < _ERRORS_FROM:
                    return ""
                return f"{'' if answer.status in _TRY_AGAIN else 'refused with '}status {answer.status}"
        except aiohttp.InvalidURL:
            return "refused: it is not a URL"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__  # its words may hold the URL, and that a token

    async def _run(self, policy: AlertPolicy, alert: Alert, body: bytes) -> None:
        try:
            trouble = await self._command(policy, alert, body)
        finally:
            self._room.release()
        if trouble:
            _log.error("alert_not_delivered", to=policy.command[0], reason=trouble)

    async def _command(self, policy: AlertPolicy, alert: Alert, body: bytes) -> str:
        """Run the command; return what went wrong, nothing where it ended well."""
        environment = {**os.environ, "FAIRLEAD_ALERT_KIND": alert.kind.value}
        try:
            process = await anyio.open_process(
                policy.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return str(error.strerror)
        code: int | None = None
        try:
            with anyio.move_on_after(float(policy.timeout)):
                await _feed(process, body)
                code = await process.wait()
        finally:
            await _end(process)
        if code is None:
            return f"not done within {policy.timeout:g}s"
        return f"exit code {code}" if code else ""


async def _feed(process: anyio.abc.Process, body: bytes) -> None:
    if process.stdin is None:
        return
    try:
        await process.stdin.send(body)
        await process.stdin.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # a command that does not read is content with its environment


async def _end(process: anyio.abc.Process) -> None:
    """Kill what is left of the command, with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with anyio.CancelScope(shield=True):
        await process.aclose()


def _place(webhook: str) -> str:
    """Return as much of the URL as a log may hold."""
    parts = urlsplit(webhook)
    return f"{parts.scheme}://{parts.hostname}"
