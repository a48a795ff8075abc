"""Other users of the machine: who may connect, who may operate, who may read the history, and how a refusal ends."""

from __future__ import annotations

import pytest

from tests.rigs.box import Box
from tests.rigs.service import Service

_HISTORY = "/var/lib/fairlead/history.sqlite"
_COUNT = "SELECT count(*) FROM request WHERE outcome = 'ok'"


@pytest.fixture(scope="module")
def used(box: Box) -> Service:
    """Give the service with two requests in its history; each test leaves it as it was."""
    service = Service(box).start()
    for _ in range(2):
        assert service.chat().status == 200
    service.box.until(lambda: _read(service).startswith("2"), "the history to be written", 5)
    return service


def _read(service: Service) -> str:
    done = service.box.run("sqlite3", "-readonly", _HISTORY, _COUNT, user="alice", check=False)
    return done.stdout + done.stderr


def test_a_member_of_the_group_queries_and_reads(used: Service) -> None:
    """Law: client verbs, and the history through the daemon and as a file."""
    assert used.command("status", user="alice").returncode == 0
    assert "one/m" in used.command("route", "chat", user="alice").stdout
    assert "2" in used.command("sql", _COUNT, user="alice").stdout


def test_a_member_reads_the_history_of_a_daemon_that_has_stopped(used: Service) -> None:
    """Law: with plain sqlite3, after a clean stop."""
    used.systemctl("stop", "fairlead.socket", "fairlead.service")
    assert _read(used) == "2\n"
    used.start()


def test_a_member_reads_the_history_of_a_daemon_that_was_killed(used: Service) -> None:
    """Law: with plain sqlite3, while nobody has repaired anything yet."""
    used.drop_in("RestartSec=1h")
    used.systemctl("kill", "--signal=KILL", "fairlead.service")
    used.box.until(lambda: used.show("SubState") == "auto-restart", "the end of it")
    assert _read(used) == "2\n"
    used.systemctl("restart", "fairlead.service")


def test_nobody_else_connects_or_reads(used: Service) -> None:
    """Law: exit code 4, and the group to ask for; the file's folder is closed."""
    refused = used.command("status", user="mallory")
    assert refused.returncode == 4
    assert "group" in refused.stderr
    assert _read_as_mallory(used) != 0


def _read_as_mallory(service: Service) -> int:
    return service.box.run("sqlite3", "-readonly", _HISTORY, _COUNT, user="mallory", check=False).returncode


@pytest.mark.parametrize("who", ["root", "deploy", "oscar", "fairlead"])
def test_operators_drain(used: Service, who: str) -> None:
    """Law: root, the daemon's own user, who is named, and the members of a group that is named."""
    assert used.command("drain", "one/m", user=who).returncode == 0
    assert used.command("resume", "one/m", user=who).returncode == 0


def test_nobody_but_operators_drains(used: Service) -> None:
    """Law: exit code 4, and what is missing."""
    refused = used.command("drain", "one/m", user="alice")
    assert refused.returncode == 4
    assert "operators" in refused.stderr
    assert used.command("reload", user="alice").returncode == 4
    assert not used.target("one/m")["drained"]


def test_a_member_can_neither_write_the_history_nor_read_keys(used: Service) -> None:
    """Law: readers read."""
    used.box.write("/etc/fairlead/keys/openai", "secret", 0o600)
    for words in (("sqlite3", _HISTORY, "DELETE FROM request"), ("cat", "/etc/fairlead/keys/openai")):
        assert used.box.run(*words, user="alice", check=False).returncode != 0
    assert _read(used) == "2\n"
