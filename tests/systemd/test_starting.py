"""The service starts at the first request, says so, and survives a configuration that is wrong."""

from __future__ import annotations

import json

import pytest

from tests.rigs.box import Box
from tests.rigs.service import LAB, Service

_CURL = ("curl", "--silent", "--show-error", "--max-time", "20", "--unix-socket", "/run/fairlead/fairlead.sock")
_BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hello"}]})
_CHAT = (*_CURL, "--json", _BODY, "http://localhost/v1/chat/completions")


def test_the_first_request_starts_the_service_and_is_answered(service: Service) -> None:
    """Law: with the socket unit alone, one curl is enough."""
    service.systemctl("start", "fairlead.socket")
    assert service.show("ActiveState") == "inactive"
    answer = json.loads(service.box.run(*_CHAT).stdout)
    assert answer["choices"][0]["message"]["content"]
    assert service.show("ActiveState") == "active"


def test_systemctl_status_shows_a_line_worth_reading(service: Service) -> None:
    """Law: how many targets are well, and which is not."""
    service.start()
    service.simulate("one", outage="refuse", latency_ms=5)
    service.simulate("two", latency_ms=5)
    service.box.until(lambda: service.chat().status == 200 and "one/m cooling" in service.show("StatusText"), "cooling")
    assert 'Status: "1/2 targets healthy, one/m cooling ' in service.systemctl("status", "fairlead")


def test_it_is_ready_only_when_it_answers(service: Service) -> None:
    """Law: what starts after it finds it there."""
    service.start()
    assert service.ask("GET", "/readyz").status == 200


def test_a_fresh_machine_needs_nothing_but_a_configuration(service: Service) -> None:
    """Law: the folder of keys is made where it is missing, and no key is needed to start."""
    service.box.run("rm", "-rf", "/etc/fairlead/keys", "/var/lib/fairlead")
    service.start()
    assert service.chat().status == 200
    service.box.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/fairlead.conf")
    kept = service.box.run("stat", "--format=%a %U:%G", "/etc/fairlead/keys").stdout.strip()
    assert kept == "750 root:root"


def test_an_invalid_configuration_neither_burns_the_machine_nor_ends_the_socket(service: Service) -> None:
    """Law: exit code 5, the problem in the journal, a try every two seconds, and healed by the mended file alone."""
    service.configure(LAB + "mistake\n")
    assert "failed" in service.systemctl("start", "fairlead.service", check=False)
    assert service.show("ExecMainStatus") == "5"
    assert "fairlead.toml:22" in service.said()
    service.box.until(lambda: service.show("NRestarts") == "1", "a second try")
    assert int(service.show("CPUUsageNSec")) < 3e9
    service.configure(LAB)
    assert json.loads(service.box.run(*_CHAT).stdout)["choices"]
    assert service.systemctl("is-active", "fairlead.socket").strip() == "active"


def test_stopping_the_service_leaves_the_socket(service: Service) -> None:
    """Law: the file stays while the socket unit is active, and the next request starts the service again."""
    service.start()
    service.systemctl("stop", "fairlead.service")
    assert service.box.path("/run/fairlead/fairlead.sock").is_socket()
    assert service.chat().status == 200


def test_stopping_the_socket_stops_the_service_and_removes_the_file(service: Service) -> None:
    """Law: nobody hangs on a file that nobody answers, and `status` says that there is no daemon."""
    service.start()
    service.systemctl("stop", "fairlead.socket", "fairlead.service")
    assert not service.box.path("/run/fairlead/fairlead.sock").exists()
    assert service.command("status").returncode == 3


def test_tcp_is_off_until_its_socket_is_started(service: Service) -> None:
    """Law: loopback TCP on both families, by one more socket unit."""
    url = "http://127.0.0.1:4180/v1/models"
    service.start()
    assert service.box.run("curl", "--silent", url, check=False).returncode == 7
    service.systemctl("stop", "fairlead.service")
    service.systemctl("start", "fairlead-http.socket")
    for address in (url, url.replace("127.0.0.1", "[::1]")):
        assert json.loads(service.box.run("curl", "--silent", "--globoff", address).stdout)["data"]


@pytest.mark.parametrize("names", [("staging", "production")])
def test_instances_run_side_by_side(service: Service, names: tuple[str, str]) -> None:
    """Law: each its own configuration, socket, history and keys."""
    box = service.box
    for name in names:
        box.write(f"/etc/fairlead/{name}.toml", LAB.replace("workloads.chat", f"workloads.{name}"))
    try:
        service.systemctl("start", *(f"fairlead@{name}.service" for name in names))
        for name in names:
            models = box.run("curl", "-s", "--unix-socket", f"/run/fairlead/{name}.sock", "http://x/v1/models").stdout
            assert json.loads(models)["data"][0]["id"] == name
            assert box.path(f"/var/lib/fairlead-instances/{name}/history.sqlite").exists()
            assert not service.systemctl("reload", f"fairlead@{name}.service")
        assert not box.path("/run/fairlead/fairlead.sock").exists()
    finally:
        service.systemctl("stop", *(f"fairlead@{name}.socket" for name in names))


def test_a_user_runs_one_of_ones_own(box: Box) -> None:
    """Law: the user's own systemd starts it at the first request, with the user's own configuration and history."""
    uid = box.run("id", "-u", "mallory").stdout.strip()
    runtime = f"XDG_RUNTIME_DIR=/run/user/{uid}"
    box.write("/home/mallory/.config/fairlead/fairlead.toml", LAB)
    box.run("chown", "-R", "mallory:", "/home/mallory")
    box.run("install", "-d", "-o", "mallory", "-m", "0700", f"/run/user/{uid}")
    properties = ("--property=Type=notify", "--property=Delegate=yes", f"--setenv={runtime}")
    who = ("--unit=mallory", "--uid=mallory", "--setenv=HOME=/home/mallory")
    box.run("systemd-run", *who, *properties, "/usr/lib/systemd/systemd", "--user")
    own = ("env", runtime, "systemctl", "--user")
    box.run(*own, "start", "fairlead.socket", user="mallory")
    box.run("env", runtime, "/opt/fairlead/bin/fairlead", "status", user="mallory")
    assert box.run(*own, "is-active", "fairlead.service", user="mallory").stdout.strip() == "active"
    box.run(*own, "reload", "fairlead.service", user="mallory")
    assert box.path("/home/mallory/.local/state/fairlead/history.sqlite").exists()
    box.run("systemctl", "stop", "mallory")
