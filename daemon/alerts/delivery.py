"""The herald: the actor that takes alerts to a webhook and a command, and never lets either hold anything up."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import anyio
import msgspec
import structlog

from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert
from daemon.commands import Command, environment_of, run_command
from state.mailbox import Mailbox

__all__ = ["Herald"]

_log = structlog.get_logger("fairlead.alerts")
_PAUSES_S: Final = (1.0, 4.0, None)
"""Between the tries of a webhook; after the last one it is given up."""
_AT_ONCE: Final = 4
"""Deliveries by webhook, and as many by command."""
_MOST_WAITING: Final = 100
"""Deliveries that wait for room, each way: as many as the mailbox takes, so that a hook that hangs costs no memory."""
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
        self._webhooks = anyio.CapacityLimiter(_AT_ONCE)
        self._commands = anyio.CapacityLimiter(_AT_ONCE)

    async def run(self) -> None:
        """Deliver until cancelled; a command that runs then is killed."""
        async with anyio.create_task_group() as tasks:
            while True:
                alert = await self._mailbox.next()
                dropped = self._mailbox.take_dropped()
                policy = self._policy()
                body = self._body(alert, dropped)
                if policy.webhook and _has_room(self._webhooks, _place(policy.webhook)):
                    tasks.start_soon(self._post, policy, body)
                if policy.command and _has_room(self._commands, policy.command[0]):
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
        async with self._webhooks:
            for pause_s in _PAUSES_S:
                trouble = await self._try(policy, body)
                if not trouble:
                    return
                if pause_s is None or trouble.startswith("refused"):
                    _log.error("alert_not_delivered", to=_place(policy.webhook), reason=trouble)
                    return
                await anyio.sleep(pause_s)

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
        except ValueError:  # aiohttp's InvalidURL, or a host that can be none, which urlsplit, yarl or idna refuse
            return "refused: it is not a URL"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__  # its words may hold the URL, and that a token

    async def _run(self, policy: AlertPolicy, alert: Alert, body: bytes) -> None:
        async with self._commands:
            trouble = await self._command(policy, alert, body)
        if trouble:
            _log.error("alert_not_delivered", to=policy.command[0], reason=trouble)

    async def _command(self, policy: AlertPolicy, alert: Alert, body: bytes) -> str:
        """Run the command; return what went wrong, nothing where it ended well."""
        environment = {**environment_of(os.environ, "FAIRLEAD_ALERT_"), "FAIRLEAD_ALERT_KIND": alert.kind.value}
        code = await run_command(Command(policy.command, environment, float(policy.timeout)), body)
        if isinstance(code, str):
            return code
        return f"exit code {code}" if code else ""


def _has_room(limiter: anyio.CapacityLimiter, place: str) -> bool:
    """Return whether another delivery may wait; say that it is not delivered where not."""
    if limiter.statistics().tasks_waiting < _MOST_WAITING:
        return True
    _log.error("alert_not_delivered", to=place, reason=f"{_MOST_WAITING} others wait already")
    return False


def _place(webhook: str) -> str:
    """Return as much of the URL as a log may hold."""
    try:
        parts = urlsplit(webhook)
    except ValueError:
        return "the webhook"
    return f"{parts.scheme}://{parts.hostname}"
