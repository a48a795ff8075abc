"""While clients ask without a pause: restarts, reloads, kills, hangs; nobody is refused, and nothing is forgotten."""

from __future__ import annotations

import pytest

from tests.rigs.load import under_load
from tests.rigs.service import LAB, Service

_QUICK = "WatchdogSec=2s"
"""The unit says 10 s (test_units.py holds it there); a test need not wait for that."""


@pytest.fixture
def busy(service: Service) -> Service:
    """Give the service, started, with providers that answer at once, and one target cooling."""
    service.start()
    return quick(service)


def quick(service: Service) -> Service:
    """Have the providers answer at once."""
    for provider in ("one", "two"):
        service.simulate(provider, latency_ms=5, tokens=12, tokens_per_second=5000)
    return service


def eject(service: Service) -> None:
    """Have the first target ejected."""
    service.simulate("one", outage="refuse")
    service.box.until(lambda: service.chat().status == 200 and standing(service) == "cooling", "the target to cool")


def standing(service: Service) -> str:
    """Return how the first target stands."""
    return str(service.target("one/m")["standing"])


def test_a_restart_fails_no_request(busy: Service) -> None:
    """Law: what is under way is finished, what comes meanwhile waits in the socket; no client has to try again."""
    with under_load(busy.socket) as load:
        for _ in range(2):
            busy.systemctl("restart", "fairlead.service")
            load.more()
    assert load.failed == []


def test_a_good_configuration_is_in_force_when_reload_returns(busy: Service) -> None:
    """Law: `systemctl reload` waits, and fails no request."""
    with under_load(busy.socket) as load:
        busy.configure(LAB.replace("workloads.chat", "workloads.talk") + "\n[workloads.chat]\ntargets = ['two/m']\n")
        busy.systemctl("reload", "fairlead.service")
        models = [model["id"] for model in busy.ask("GET", "/v1/models").json()["data"]]
        load.more()
    assert {"talk", "chat"} <= set(models)
    assert load.failed == []


def test_a_broken_configuration_is_refused_with_its_problem_and_the_old_one_stays(busy: Service) -> None:
    """Law: `systemctl reload` fails, says where to look, and nobody notices otherwise."""
    with under_load(busy.socket) as load:
        busy.configure(LAB.replace('dialect = "simulated"', 'dialect = "simulatd"'))
        assert "failed" in busy.systemctl("reload", "fairlead.service", check=False)
        load.more()
    assert "simulatd" in busy.said()
    assert load.failed == []
    assert busy.show("ActiveState") == "active"


def test_after_a_kill_nothing_is_refused_and_standings_are_kept(busy: Service) -> None:
    """Law: SIGKILL breaks what is under way, which the client's own retry heals; the socket refuses nobody."""
    eject(busy)
    with under_load(busy.socket, retries=2) as load:
        busy.systemctl("kill", "--signal=KILL", "fairlead.service")
        load.more()
        assert standing(busy) == "cooling"
    assert load.failed == []
    assert busy.show("NRestarts") == "1"


def test_a_stopped_process_is_replaced_within_the_watchdogs_time(service: Service) -> None:
    """Law: SIGSTOP, and two seconds later another process answers who waited."""
    service.drop_in(_QUICK)
    quick(service.start())
    with under_load(service.socket, retries=2) as load:
        service.systemctl("kill", "--signal=STOP", "fairlead.service")
        service.box.until(lambda: service.show("NRestarts") == "1", "the watchdog", 8)
        load.more()
    assert load.failed == []
    assert "watchdog" in "".join(str(entry.get("MESSAGE")) for entry in service.journal("UNIT=fairlead.service"))


_HUNG = """
import pathlib, sys
import anyio
import {module}
from daemon.cli.main import main

live = {module}.{actor}.run

async def hang(self):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live, self)
        while not pathlib.Path("/run/fairlead-daemon/hang").exists():
            await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    await anyio.sleep_forever()

{module}.{actor}.run = hang
sys.exit(main())
"""
_ACTORS = [
    ("state.registry", "Registry"),
    ("state.history.recorder", "Recorder"),
    ("daemon.dispatcher", "Dispatcher"),
    ("probes.prober", "Prober"),
]


@pytest.mark.parametrize(("module", "actor"), _ACTORS)
def test_an_actor_that_hangs_has_the_process_replaced(service: Service, module: str, actor: str) -> None:
    """Law: the watchdog is fed only while every actor answers; the next process is well."""
    service.box.write("/opt/hung.py", _HUNG.format(module=module, actor=actor))
    service.drop_in(f"{_QUICK}\nExecStart=\nExecStart=/opt/fairlead/bin/python3 /opt/hung.py serve")
    assert service.start().chat().status == 200
    service.box.run("touch", "/run/fairlead-daemon/hang")
    service.box.until(lambda: service.show("NRestarts") == "1", f"the watchdog to see {actor} hang", 8)
    assert service.chat().status == 200
    assert "Fatal Python error: Aborted" in service.said()
