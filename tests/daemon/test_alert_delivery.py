"""Alerts on their way out: a real server, a real command, and neither can hold anything up."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
import structlog.testing

from daemon.alerts.delivery import Herald
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert, AlertKind
from state.durations import Seconds
from state.mailbox import Mailbox
from tests.rigs.openly import opened
from tests.rigs.peers import Gate, Script, Send, answer, peer

ALERT = Alert(
    at=0.0, kind=AlertKind.TOTAL_FAILURE, workload="chat", message="nobody answered", held_back=3, subject="chat"
)
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
        (("/bin/true", "a\0b"), "embedded null byte"),
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


@pytest.mark.parametrize(
    ("webhook", "place"),
    [
        ("http://hooks..example/secret", "http://hooks..example"),
        ("https://[bad/secret", "the webhook"),
        ("http://127.0.0.1:99999/secret", "http://127.0.0.1"),
        (f"http://{'x' * 64}.example/secret", f"http://{'x' * 64}.example"),
    ],
)
def test_a_webhook_that_is_no_url_is_told_and_ends_nothing(webhook: str, place: str) -> None:
    """The herald goes on: the daemon would end with it."""

    async def main() -> None:
        async with herald(AlertPolicy(webhook=webhook)) as box:
            for _ in range(2):
                with structlog.testing.capture_logs() as lines:
                    box.put(ALERT)
                    while not lines:
                        await anyio.lowlevel.checkpoint()
                assert (lines[0]["event"], lines[0]["to"]) == ("alert_not_delivered", place)
                assert "refused" in lines[0]["reason"]
                assert "secret" not in str(lines)

    anyio.run(main)


def test_webhooks_that_hang_hold_up_no_command(tmp_path: Path) -> None:
    """Each way out has room of its own."""

    async def main() -> None:
        async with peer([Gate(anyio.Event())]) as server:
            words = f"open({str(tmp_path / 'out')!r},'a').write('x')"
            policy = AlertPolicy(webhook=server.base_url, command=(sys.executable, "-c", words), timeout=Seconds(60))
            async with herald(policy) as box:
                for _ in range(6):
                    box.put(ALERT)
                while not (tmp_path / "out").exists() or (tmp_path / "out").read_text() != "x" * 6:
                    await anyio.lowlevel.checkpoint()
                assert len(server.heard) == 4

    anyio.run(main)


def test_a_command_learns_no_key_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program needs to find its way, and the alert's own; a provider's key is none of its business."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("FAIRLEAD_ALERT_CHANNEL", "ops")
    monkeypatch.setenv("FAIRLEAD_SOCKET", "/run/x")

    async def main() -> None:
        out = tmp_path / "out"
        words = f"import os;open({str(out)!r},'w').write(repr(dict(os.environ))+'end')"
        async with herald(AlertPolicy(command=(sys.executable, "-c", words))) as box:
            box.put(ALERT)
            while not out.exists() or not out.read_text().endswith("end"):
                await anyio.lowlevel.checkpoint()
        environment = ast.literal_eval(out.read_text().removesuffix("end"))
        assert environment["PATH"] == os.environ["PATH"]
        assert environment["LC_TIME"] == "C"
        assert environment["FAIRLEAD_ALERT_KIND"] == "total_failure"
        assert environment["FAIRLEAD_ALERT_CHANNEL"] == "ops"
        assert not {"OPENAI_API_KEY", "FAIRLEAD_SOCKET"} & environment.keys()

    anyio.run(main)


def test_commands_that_end_without_reading_are_no_trouble() -> None:
    """Their input breaks: an alert that nobody reads is delivered all the same."""

    async def main() -> None:
        async with herald(AlertPolicy(command=("/bin/sh", "-c", "exec <&-; exit 3"))) as box:
            long = msgspec.structs.replace(ALERT, message="x" * 1_000_000)
            with structlog.testing.capture_logs() as lines:
                for _ in range(20):
                    box.put(long)
                while len(lines) < 20:
                    await anyio.lowlevel.checkpoint()
            assert {line["reason"] for line in lines} == {"exit code 3"}

    anyio.run(main)


_AS_NOBODY = """
import os, sys, anyio, structlog.testing, encodings.idna
from daemon.alerts.delivery import Herald
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert, AlertKind
from state.durations import Seconds
from state.mailbox import Mailbox

async def main():
    await anyio.run_process(["true"])  # what is imported late is imported while it may still be read
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    box = Mailbox()
    command = (sys.argv[1], "--reuid=0", "--regid=0", "--clear-groups", "sleep", "30")
    policy = AlertPolicy(command=command, timeout=Seconds(0.3))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Herald(box, lambda: policy, lambda: 1.8e9, "0").run)
        for _ in range(2):
            with structlog.testing.capture_logs() as lines, anyio.fail_after(10):
                box.put(Alert(at=0.0, kind=AlertKind.CREDENTIAL, message="x", subject="a"))
                while not lines:
                    await anyio.sleep(0.05)
            print(lines[0]["event"], lines[0]["reason"])
        tasks.cancel_scope.cancel()

anyio.run(main, backend_options={"use_uvloop": sys.argv[2] == "uvloop"})
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can make a program of root's")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_command_that_became_another_user_is_left_after_its_time(tmp_path: Path, loop: str) -> None:
    """It cannot be killed; it is told as not done, and holds nothing up."""
    program = Path(shutil.copy(str(shutil.which("setpriv")), tmp_path / "become-root"))
    program.chmod(0o4755)
    opened(tmp_path)
    command = [sys.executable, "-c", _AS_NOBODY, str(program), loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:  # noqa: S603
        told, _ = child.communicate(timeout=60)
    assert told.splitlines() == ["alert_not_delivered not done within 0.3s"] * 2
