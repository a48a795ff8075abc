"""Alerts on their way out: a real server, a real command, and neither can hold anything up."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import structlog.testing

from daemon.alerts.delivery import Herald
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert, AlertKind
from state.durations import Seconds
from state.mailbox import Mailbox
from tests.rigs.peers import Script, Send, answer, peer

ALERT = Alert(at=0.0, kind=AlertKind.TOTAL_FAILURE, workload="chat", message="nobody answered", held_back=3)
_SLEEPS = "import time; time.sleep(60)"


@asynccontextmanager
async def herald(policy: AlertPolicy) -> AsyncIterator[Mailbox[Alert]]:
    """Give the mailbox of a herald at work."""
    box: Mailbox[Alert] = Mailbox(100)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Herald(box, lambda: policy, lambda: 1_800_000_000.0, "0").run)
        with anyio.fail_after(20):
            yield box
        tasks.cancel_scope.cancel()


async def _until_heard(heard: list[object], count: int) -> None:
    while len(heard) < count:
        await anyio.lowlevel.checkpoint()


def test_a_webhook_gets_the_alert_and_the_log_never_its_token() -> None:
    """One POST of JSON; a place of the log shows scheme and host alone."""

    async def main() -> None:
        async with peer([Send(answer())], [Send(answer(status="403 No"))]) as server:
            policy = AlertPolicy(webhook=f"{server.base_url}/hook/secret-token")
            async with herald(policy) as box:
                box.put(ALERT)
                await _until_heard(server.heard, 1)
                told = json.loads(server.heard[0].body)
                assert (told["schema"], told["kind"], told["workload"]) == ("fairlead.alert/1", "total_failure", "chat")
                assert (told["message"], told["held_back"]) == ("nobody answered", 3)
                assert told["at"].endswith("Z")
                with structlog.testing.capture_logs() as lines:
                    box.put(ALERT)
                    while not lines:
                        await anyio.lowlevel.checkpoint()
                assert lines[0]["reason"] == "refused with status 403"
                assert "secret-token" not in str(lines)
                assert len(server.heard) == 2

    anyio.run(main)


@pytest.mark.parametrize("script", [[Send(answer(status="503 Oh"))], []])
def test_a_webhook_that_is_unwell_is_tried_again_and_holds_nothing_up(script: Script) -> None:
    """A second alert goes out while the first one waits for its next try."""

    async def main() -> None:
        async with peer(script, script, [Send(answer())]) as server:
            policy = AlertPolicy(webhook=server.base_url, timeout=Seconds(0.2))
            async with herald(policy) as box:
                box.put(ALERT)
                box.put(ALERT)
                await _until_heard(server.heard, 4)

    anyio.run(main)


def test_a_command_gets_the_alert_on_its_input(tmp_path: Path) -> None:
    """No shell; the kind is in its environment too."""

    async def main() -> None:
        out = tmp_path / "out"
        script = f"import os,sys;open({str(out)!r},'w').write(os.environ['FAIRLEAD_ALERT_KIND']+sys.stdin.read())"
        async with herald(AlertPolicy(command=(sys.executable, "-c", script))) as box:
            box.put(ALERT)
            while not out.exists() or not out.read_text().endswith("}"):
                await anyio.lowlevel.checkpoint()
        assert out.read_text().startswith('total_failure{"schema"')

    anyio.run(main)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ((sys.executable, "-c", _SLEEPS), "not done within 0.3s"),
        ((sys.executable, "-c", "raise SystemExit(7)"), "exit code 7"),
        (("/nowhere/to/be/found",), "No such file or directory"),
    ],
)
def test_a_command_that_fails_is_told_and_never_outlives_its_time(command: tuple[str, ...], reason: str) -> None:
    """It is killed with all that it started."""

    async def main() -> None:
        timeout = Seconds(0.3 if _SLEEPS in command else 10)
        async with herald(AlertPolicy(command=command, timeout=timeout)) as box:
            with structlog.testing.capture_logs() as lines:
                box.put(ALERT)
                while not lines:
                    await anyio.lowlevel.checkpoint()
            assert (lines[0]["event"], lines[0]["reason"]) == ("alert_not_delivered", reason)

    anyio.run(main)
