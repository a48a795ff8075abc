"""The life of a service, as its manager hears it: a real process, a real notification socket."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.notified import ServiceManager, listening
from tests.rigs.process import LAB, Daemon, UnixConnection, simulate

_SLOW = {"latency_ms": 50, "tokens_per_second": 40, "tokens": 60}
"""A stream of a second and a half."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """Give a listening service manager."""
    with listening(tmp_path) as manager:
        yield manager


@contextlib.contextmanager
def service(folder: Path, manager: ServiceManager, config: str = LAB, **environment: str) -> Iterator[Daemon]:
    """Give a daemon that has a service manager and is ready."""
    daemon = Daemon(folder, config)
    daemon.environment = {**manager.environment(), **environment}
    process = daemon.spawn()
    try:
        manager.until("READY")
        yield daemon
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_a_start_says_what_it_does_until_it_is_ready(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: it asks for time while it recalls, and is ready with a line that says how it is."""
    with service(tmp_path, manager) as daemon:
        assert [heard["STATUS"] for heard in manager.heard[:-1]] == ["recalling the history"] * 2
        assert "EXTEND_TIMEOUT_USEC" in manager.heard[1]
        assert manager.heard[-1] == {"READY": "1", "STATUS": "0/2 targets healthy, 2 unproven"}
        daemon.chat("chat")
        manager.until("STATUS", "1/2 targets healthy")
        assert daemon.stop() == 0
        assert [heard for heard in manager.take() if "STOPPING" in heard] == [{"STOPPING": "1", "STATUS": "ending"}]


@pytest.mark.parametrize("by", ["SIGHUP", "POST"])
def test_every_reload_is_announced_whoever_asked_for_it(tmp_path: Path, manager: ServiceManager, by: str) -> None:
    """Law: RELOADING with its time, then READY; of one that failed the status says why, until one does not."""
    with service(tmp_path, manager) as daemon:

        def reload() -> None:
            if by == "SIGHUP":
                assert daemon.process is not None
                os.kill(daemon.process.pid, signal.SIGHUP)
            else:
                daemon.ask("POST", "/fairlead/v1/reload")
            assert int(manager.until("RELOADING")["MONOTONIC_USEC"]) > 0
            manager.until("READY")

        daemon.config.write_text("version = 2")
        reload()
        manager.until("STATUS", "the configuration on disk is invalid")
        assert daemon.chat("chat").status == 200
        daemon.config.write_text(LAB)
        reload()
        while "invalid" in manager.until("STATUS", "targets healthy")["STATUS"]:
            pass
        assert daemon.stop() == 0


def test_an_invalid_configuration_is_told_with_exit_code_5(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: `systemctl status` shows the first problem, and errno says EINVAL."""
    daemon = Daemon(tmp_path, "version = 2")
    daemon.environment = manager.environment()
    process = daemon.spawn()
    told = manager.until("STATUS", "cannot start")
    manager.until("BARRIER")
    assert process.wait(20) == 5
    assert "fairlead.toml:1" in told["STATUS"]
    assert told["ERRNO"] == "22"


def test_an_address_that_is_taken_is_told_with_exit_code_1(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: the system's own error number comes along, and nothing was opened before the sockets."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        daemon = Daemon(tmp_path, LAB, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        daemon.environment = manager.environment()
        process = daemon.spawn()
        told = manager.until("STATUS", "in use")
        manager.until("BARRIER")
        assert process.wait(20) == 1
    assert told["ERRNO"] == "98"
    assert not daemon.history.exists()


def test_a_stop_while_it_starts_is_a_clean_end(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: a start that waits for a dead disk ends at once when it is told to, and leaves no socket behind."""
    daemon = Daemon(tmp_path, LAB)
    daemon.environment = manager.environment()
    os.mkfifo(daemon.history)  # reading it waits for a writer, as a dead disk would
    process = daemon.spawn()
    manager.until("EXTEND_TIMEOUT_USEC")
    while len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1:
        os.sched_yield()  # until the thread is there that reads
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 0
    assert not daemon.socket.exists()


def test_a_stop_amid_a_reload_does_not_wait_for_it(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: a configuration on a disk that does not answer holds up no end, and nobody is told READY after STOPPING."""
    with service(tmp_path, manager) as daemon:
        assert daemon.process is not None
        daemon.config.unlink()
        os.mkfifo(daemon.config)
        for _ in range(3):
            os.kill(daemon.process.pid, signal.SIGHUP)
        manager.until("RELOADING")
        assert daemon.chat("chat").status == 200
        assert daemon.stop() == 0
        heard = manager.take()
        assert not any("READY" in each for each in heard)
        assert sum("RELOADING" in each for each in manager.heard) == 1


def test_a_drain_asks_for_time_and_finishes_its_stream(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: while a request is under way the manager hears of it, with more time, and the stream ends whole."""
    with service(tmp_path, manager) as daemon, contextlib.closing(UnixConnection(daemon.socket)) as connection:
        simulate(daemon, "one", "m", **_SLOW)
        body = b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"hello"}]}'
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read(1)
        assert daemon.process is not None
        os.kill(daemon.process.pid, signal.SIGTERM)
        assert manager.until("STOPPING")["STATUS"] == "finishing 1 request, 30s left"
        asked = manager.until("EXTEND_TIMEOUT_USEC", "")
        assert int(asked["EXTEND_TIMEOUT_USEC"]) > 5_000_000
        manager.until("STATUS", "finishing 1 request, 29s left")
        assert answer.read().rstrip().endswith(b"data: [DONE]")
        assert daemon.process.wait(20) == 0


def test_signals_that_mean_nothing_and_a_log_that_nobody_reads_end_nothing(
    tmp_path: Path, manager: ServiceManager
) -> None:
    """Law: SIGUSR1, SIGUSR2, SIGPIPE and a stderr whose reader has gone leave it serving."""
    daemon = Daemon(tmp_path, LAB)
    command = [sys.executable, "-m", "daemon.cli.main", "serve", "--config", str(daemon.config)]
    command += ["--socket", str(daemon.socket), "--history", str(daemon.history)]
    environment = {**os.environ, **manager.environment()}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:  # noqa: S603
        daemon.process = process
        manager.until("READY")
        assert process.stderr is not None
        process.stderr.close()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGHUP):
            os.kill(process.pid, number)
        manager.until("READY")
        assert daemon.chat("chat").status == 200
        assert daemon.stop() == 0


def test_closed_standard_streams_are_nobody_elses(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: started without stdin, stdout and stderr, no socket and no file takes their places."""
    daemon = Daemon(tmp_path, LAB)
    command = [sys.executable, "-m", "daemon.cli.main", "serve", "--config", str(daemon.config)]
    command += ["--socket", str(daemon.socket), "--history", str(daemon.history)]
    environment = {**os.environ, **manager.environment()}
    line = 'exec "$0" "$@" <&- >&- 2>&-'
    with subprocess.Popen(["/bin/sh", "-c", line, *command], env=environment) as process:  # noqa: S603
        daemon.process = process
        manager.until("READY")
        held = {Path(f"/proc/{process.pid}/fd/{number}").readlink() for number in range(3)}
        assert held == {Path(os.devnull)}
        assert daemon.chat("chat").status == 200
        assert daemon.stop() == 0


def test_a_hung_actor_of_a_real_daemon_is_named_in_the_log(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: the manager is told to act, the log says who and where, and what serves requests served until then."""
    daemon, sign = Daemon(tmp_path, LAB), tmp_path / "hang"
    command = [
        sys.executable,
        "-m",
        "tests.rigs.saboteur",
        "herald",
        str(sign),
        "serve",
        "--config",
        str(daemon.config),
    ]
    command += ["--socket", str(daemon.socket), "--history", str(daemon.history)]
    environment = {**os.environ, **manager.environment(1.0), "PYTHONPATH": os.pathsep.join(sys.path)}
    with daemon.log.open("ab") as log, subprocess.Popen(command, stderr=log, env=environment) as process:  # noqa: S603
        manager.until("READY")
        manager.until("WATCHDOG", "1")
        sign.touch()
        told = manager.until("WATCHDOG", "trigger")
        assert told["STATUS"].startswith("herald hung")
        process.send_signal(signal.SIGABRT)
        assert process.wait(20) == -signal.SIGABRT
    logged = daemon.log.read_text()
    assert '"actor":"herald"' in logged
    assert "saboteur" in logged
    assert "Current thread" in logged, "faulthandler tells where every thread stood"


_TELL = """
import ctypes, os, pathlib
from daemon.service.secrecy import keep_memory_private, may_be_read
if not may_be_read(os.environ):
    keep_memory_private()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), "VmRSS" in pathlib.Path("/proc/self/status").read_text())
"""


@pytest.mark.parametrize(
    ("environment", "dumpable"),
    [({}, 1), ({"STATE_DIRECTORY": "/x"}, 0), ({"RUNTIME_DIRECTORY": "/x", "FAIRLEAD_DUMPABLE": "1"}, 1)],
)
def test_a_services_memory_is_its_own(environment: dict[str, str], dumpable: int) -> None:
    """Law: no core dump and no debugger of its user reads it, unless somebody asked for that; it reads itself."""
    ours = {name: value for name, value in os.environ.items() if not name.endswith("_DIRECTORY")}
    command = [sys.executable, "-c", _TELL]
    told = subprocess.run(  # noqa: S603
        command, env={**ours, **environment, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, check=True
    )
    assert told.stdout.split() == [str(dumpable).encode(), b"True"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root's processes belong to root, whatever they allow")
def test_a_service_closes_its_memory_before_it_reads_a_key(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: the process that serves belongs to root in /proc, as those that nobody may read do; and it serves."""
    (tmp_path / "run").mkdir()
    with service(tmp_path, manager, LAB, RUNTIME_DIRECTORY=str(tmp_path / "run")) as daemon:
        assert daemon.process is not None
        assert Path(f"/proc/{daemon.process.pid}/environ").stat().st_uid == 0
        assert daemon.ask("GET", "/metrics").status == 200
        assert daemon.stop() == 0
