"""The examples of drop-ins do what they say: with each the service starts, answers, and is reloaded."""

from __future__ import annotations

import re

import pytest

from tests.rigs.product import ROOT
from tests.rigs.service import LAB, Service

_EXAMPLES = ROOT / "systemd/drop-ins"


def _with(service: Service, name: str) -> Service:
    """Return the service with an example in force; the test is skipped where this systemd is too old for it."""
    text = (_EXAMPLES / f"{name}.conf").read_text(encoding="utf-8")
    version = int(service.systemctl("--version").split()[1])
    if (since := re.search(r"For systemd (\d+) and later", text)) and version < int(since[1]):
        pytest.skip(f"this is systemd {version}, the drop-in is for {since[1]} and later")
    service.drop_in(text.replace("[Service]\n", ""))
    return service


_PAGER = """#!/bin/sh
exec cat > /var/lib/fairlead/paged
"""
_PAGED = (
    LAB
    + """
[alerts]
command = ["/usr/local/lib/fairlead/page"]
"""
)


@pytest.mark.parametrize("example", [True, False])
def test_a_command_is_started_where_an_example_names_it_and_nowhere_else(service: Service, example: bool) -> None:  # noqa: FBT001
    """Law: the sandbox lets the daemon start nothing; the example is how alerts reach a program."""
    service.configure(_PAGED)
    service.box.write("/usr/local/lib/fairlead/page", _PAGER, 0o755)
    if example:
        _with(service, "commands")
    service.start()
    for provider in ("one", "two"):
        service.simulate(provider, outage="drop")
    assert service.chat().status >= 500
    if example:
        service.box.until(service.box.path("/var/lib/fairlead/paged").exists, "the alert")
    else:
        service.box.until(lambda: service.journal("FAIRLEAD_EVENT=alert_not_delivered"), "the refusal")


@pytest.mark.parametrize("name", ["proxy", "local-models", "systemd-254", "systemd-257", "notify-reload"])
def test_the_service_works_with_it(service: Service, name: str) -> None:
    """Law: an example can be copied as it is."""
    _with(service, name).start()
    assert service.chat().status == 200
    service.configure(LAB.replace("workloads.chat", "workloads.talk"))
    service.systemctl("reload", "fairlead.service")
    assert service.ask("GET", "/v1/models").json()["data"][0]["id"] == "talk"
    assert "Unknown" not in "".join(str(entry.get("MESSAGE")) for entry in service.journal("_PID=1"))


@pytest.mark.parametrize("name", ["systemd-257"])
def test_clients_are_known_through_a_user_namespace(service: Service, name: str) -> None:
    """Law: a member of the group is let in and is no operator, and an operator is one."""
    _with(service, name).start()
    assert service.command("drain", "one/m", user="deploy").returncode == 0
    assert service.command("drain", "one/m", user="alice").returncode == 4


@pytest.mark.parametrize("name", ["systemd-254"])
def test_starts_that_fail_come_further_and_further_apart(service: Service, name: str) -> None:
    """Law: the delay grows from a fifth of a second."""
    _with(service, name)
    service.configure("mistake")
    service.systemctl("start", "fairlead.service", check=False)
    service.box.until(lambda: int(service.show("NRestarts")) >= 2, "a third start")
    assert float(service.show("RestartUSecNext").removesuffix("s").replace("ms", "e-3")) > 0.3
