"""The sandbox is real: in the very process that serves, whatever it does not need is refused, and it serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs import burglar
from tests.rigs.box import Box
from tests.rigs.service import Service

_REFUSED = {"EPERM", "EACCES", "EROFS", "ENOENT", "EAFNOSUPPORT", "ENOSYS"}


@pytest.fixture(scope="module")
def burgled(box: Box) -> Iterator[tuple[Service, dict[str, str]]]:
    """Give the service, whose process has tried everything before it began to serve, and what came of it."""
    service = Service(box)
    box.write("/opt/burglar.py", Path(burglar.__file__).read_text(encoding="utf-8"))
    service.drop_in("ExecStart=\nExecStart=/opt/fairlead/bin/python3 /opt/burglar.py")
    service.start()
    yield service, json.loads(box.path("/var/lib/fairlead/attempts.json").read_text(encoding="utf-8"))
    service.systemctl("stop", "fairlead.service")


@pytest.mark.parametrize("attempt", burglar.ATTEMPTS)
def test_it_cannot(burgled: tuple[Service, dict[str, str]], attempt: str) -> None:
    """Law: the attempt is refused."""
    assert burgled[1][attempt] in _REFUSED


def test_and_yet_it_serves(burgled: tuple[Service, dict[str, str]]) -> None:
    """Law: the same process answers, keeps its history, and is reloaded."""
    service = burgled[0]
    assert service.chat().status == 200
    service.systemctl("reload", "fairlead.service")
    assert service.show("NRestarts") == "0"
    assert service.ask("GET", "/fairlead/v1/status").json()["problems"] == []


def test_the_exposure_of_the_running_unit_is_at_most_one_and_a_half(burgled: tuple[Service, dict[str, str]]) -> None:
    """Law: as systemd judges the unit that runs, not only its file."""
    judged = burgled[0].box.run("systemd-analyze", "security", "--no-pager", "--threshold=15", "fairlead.service")
    assert "Overall exposure level" in judged.stdout


def test_no_core_is_ever_written(burgled: tuple[Service, dict[str, str]]) -> None:
    """Law: a crash leaves a stack in the journal, never memory on a disk."""
    pid = burgled[0].show("MainPID")
    limits = burgled[0].box.run("cat", f"/proc/{pid}/limits").stdout
    assert next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")) == ["0", "0"]
