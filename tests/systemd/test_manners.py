"""How the process gets on with its service manager: time that it asks for, what it shows, and what it shows nobody."""

from __future__ import annotations

import contextlib

from tests.rigs.process import UnixConnection
from tests.rigs.service import LAB, Service

_STREAMED = b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"hello"}]}'
_READ_MEMORY = "open('/proc/{pid}/mem', 'rb')"


def status(service: Service) -> str:
    """Return the line that `systemctl status` shows."""
    return service.show("StatusText")


def test_a_stream_outlives_a_stop_time_that_is_shorter_than_it(service: Service) -> None:
    """Law: with TimeoutStopSec=1s a stream of four seconds is finished: the daemon asks for time while it drains."""
    service.drop_in("TimeoutStopSec=1s")
    service.start().simulate("one", latency_ms=10, tokens=80, tokens_per_second=20)
    with contextlib.closing(UnixConnection(service.socket)) as connection:
        connection.request("POST", "/v1/chat/completions", _STREAMED, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read(1)
        service.systemctl("stop", "--no-block", "fairlead.service")
        service.box.until(lambda: "finishing 1 request" in status(service), "the countdown to show", 3)
        assert answer.read().rstrip().endswith(b"data: [DONE]")
    service.box.until(lambda: service.show("ActiveState") == "inactive", "the end", 5)
    assert service.show("Result") == "success"


def test_the_status_line_shows_how_it_is(service: Service) -> None:
    """Law: what is wrong shows in `systemctl status` within a moment, and why an invalid configuration is refused."""
    service.start()
    service.chat()
    service.box.until(lambda: status(service) == "1/2 targets healthy, 1 unproven", "the first answer to show", 5)
    service.command("drain", "one/m", "--for", "2h")
    service.box.until(lambda: "one/m drained" in status(service), "the drain to show", 5)
    service.configure("version = 2")
    service.systemctl("reload", "fairlead.service", check=False)
    service.box.until(lambda: "configuration on disk is invalid" in status(service), "the refusal to show", 5)


def test_a_start_that_fails_shows_why(service: Service) -> None:
    """Law: `systemctl status` says which problem, and the exit code is 5."""
    service.configure("version = 2")
    service.systemctl("start", "--no-block", "fairlead.service")
    service.box.until(lambda: "cannot start: /etc/fairlead/fairlead.toml:1" in status(service), "the reason", 5)
    service.box.until(lambda: service.show("ExecMainStatus") == "5", "the exit code", 5)
    assert service.show("StatusErrno") == "22"


def test_a_key_of_the_folder_of_credentials_is_renewed_by_a_restart(service: Service) -> None:
    """Law: ${cred:one} is the file `one` of the folder; a restart has the new key, a vanished one says so."""
    service.box.write("/etc/fairlead/keys/one", "first")
    service.configure(LAB.replace('dialect = "simulated"', 'dialect = "simulated"\napi_key = "${cred:one}"', 1))
    assert service.start().chat().status == 200
    service.box.write("/etc/fairlead/keys/one", "second")
    service.systemctl("restart", "fairlead.service")
    assert service.chat().status == 200
    assert "chmod" not in service.said()


def test_nobody_but_root_may_read_its_memory(service: Service) -> None:
    """Law: a process of the same user can neither read the daemon's memory nor trace it; no core holds a key."""
    service.start()
    pid = service.show("MainPID")
    tried = service.box.run(
        "/opt/fairlead/bin/python3", "-c", _READ_MEMORY.format(pid=pid), user="fairlead", check=False
    )
    assert "PermissionError" in tried.stderr
    assert service.chat().status == 200


def test_closed_memory_can_be_opened_for_whoever_debugs(service: Service) -> None:
    """Law: one variable in a drop-in, and a debugger of the same user may attach."""
    service.drop_in("Environment=FAIRLEAD_DUMPABLE=1")
    service.start()
    pid = service.show("MainPID")
    tried = service.box.run(
        "/opt/fairlead/bin/python3", "-c", _READ_MEMORY.format(pid=pid), user="fairlead", check=False
    )
    assert tried.returncode == 0, tried.stderr
