"""The command line: exit codes, versioned JSON, and a start that imports no server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli.main import main
from tests.rigs.openly import opened
from tests.rigs.process import LAB, Daemon, running, simulate

_CLIENT_VERBS = (
    *(
        "check",
        "config",
        "costs",
        "demo",
        "drain",
        "history",
        "history_backup",
        "history_check",
        "history_export",
        "history_prune",
        "probe",
        "reload",
        "replay",
        "review",
        "route",
        "simulate",
        "sql",
        "status",
    ),
    "version",
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon with two simulated targets."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        one.chat("chat")
        yield one


@pytest.mark.parametrize("verb", _CLIENT_VERBS)
def test_a_client_verb_imports_no_server(verb: str) -> None:
    """Law: `fairlead status` starts in a tenth of a second, so it loads neither aiohttp nor anyio."""
    heavy = "{'aiohttp', 'anyio', 'uvloop', 'structlog', 'aiosqlite', 'prometheus_client'}"
    code = f"import sys, daemon.cli.main, daemon.cli.{verb}; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)  # noqa: S603
    assert done.stderr.strip() == ""


def test_usage_errors_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Law: no verb, an unknown verb and a malformed target are usage errors, each with advice."""
    assert main([]) == 2
    assert main(["statsu"]) == 2
    assert "Did you mean status?" in capsys.readouterr().err
    assert main(["drain", "nonsense"]) == 2
    assert main(["--help"]) == 0


def test_no_daemon_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a socket that nobody answers has an exit code of its own."""
    assert main(["status", "--socket", str(tmp_path / "none")]) == 3
    assert "fairlead serve" in capsys.readouterr().err


def test_status_route_and_probe_print_versioned_objects(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the first member of every object is its schema."""
    for words in (["status"], ["route", "chat"], ["probe", "one/m"], ["drain", "two/m"], ["resume", "two/m"]):
        assert main([*words, "--json", "--socket", str(daemon.socket)]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert next(iter(printed.items())) == ("schema", f"fairlead.{words[0]}/1")


def test_status_shows_every_target_and_ends_with_1_where_something_is_wrong(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: the exit code tells the truth."""
    assert main(["status", "--socket", str(daemon.socket)]) == 0
    assert "one/m" in capsys.readouterr().out
    assert main(["drain", "one/m", "--for", "10m", "--reason", "a test", "--socket", str(daemon.socket)]) == 0
    assert main(["status", "one/m", "--socket", str(daemon.socket)]) == 1
    assert "a test" in capsys.readouterr().out
    assert main(["resume", "one/m", "--socket", str(daemon.socket)]) == 0


@pytest.mark.parametrize("lasting", ["99999999999999999999d", "3653d"])
def test_a_drain_lasts_at_most_ten_years(daemon: Daemon, capsys: pytest.CaptureFixture[str], lasting: str) -> None:
    """Law: a slip of the key is a usage error, and ends nobody's daemon."""
    assert main(["drain", "two/m", "--for", lasting, "--socket", str(daemon.socket)]) == 2
    assert "at most ten years" in capsys.readouterr().err
    answer = daemon.ask("POST", "/fairlead/v1/targets/two/m/drain", {"for_s": 1.7e308})
    assert (answer.status, "at most ten years" in answer.json()["detail"]) == (400, True)
    assert not daemon.target("two/m")["drained"]
    assert daemon.chat("chat").status == 200


def test_a_failed_probe_ends_with_1(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: what was asked for and failed is no success."""
    simulate(daemon, "two", "m", outage="refuse")
    assert main(["probe", "two/m", "--kind", "canary", "--socket", str(daemon.socket)]) == 1
    assert "overloaded" in capsys.readouterr().out
    simulate(daemon, "two", "m", outage="none")


def test_an_unknown_target_names_the_known_ones(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the error helps."""
    assert main(["drain", "no/such", "--socket", str(daemon.socket)]) == 1
    assert "one/m" in capsys.readouterr().err


def test_a_broken_configuration_is_not_reloaded_and_ends_with_5(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: each problem of the new file is printed, and the old one stays in force."""
    daemon.config.write_text(LAB.replace("priority", "prioriti"))
    assert main(["reload", "--socket", str(daemon.socket)]) == 5
    assert "did you mean priority?" in capsys.readouterr().err
    daemon.config.write_text(LAB)
    assert main(["reload", "--socket", str(daemon.socket)]) == 0


def test_check_ends_with_5_and_prints_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the same problems that the daemon would find."""
    file = tmp_path / "f.toml"
    file.write_text(LAB.replace("priority", "prioriti"))
    assert main(["check", "--config", str(file)]) == 5
    assert f"{file}:" in capsys.readouterr().err
    file.write_text(LAB)
    assert main(["check", "--config", str(file)]) == 0


@pytest.mark.parametrize(("form", "begins"), [("table", "n"), ("csv", "n\n1"), ("json", "{")])
def test_sql_prints_tables_csv_and_json(
    daemon: Daemon, capsys: pytest.CaptureFixture[str], form: str, begins: str
) -> None:
    """Law: rows come in the form asked for."""
    words = ["sql", "SELECT 1 AS n", "--format", form, "--history", str(daemon.history)]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(begins)


def test_sql_with_only_a_socket_asks_that_daemon(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a socket that is named is the daemon that is meant, whatever file lies at the usual place."""
    words = ["sql", "SELECT DISTINCT workload FROM request", "--format", "csv", "--socket", str(daemon.socket)]
    assert main(words) == 0
    assert "chat" in capsys.readouterr().out


@pytest.mark.parametrize("way", ["history", "socket"])
def test_sql_prints_bytes_in_base64(daemon: Daemon, capsys: pytest.CaptureFixture[str], way: str) -> None:
    """Law: JSON has no bytes, and a column that holds some is no reason to fail."""
    assert main(["sql", "SELECT x'00ff' AS b", "--json", f"--{way}", str(getattr(daemon, way))]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [["AP8="]]


def test_sql_cannot_write(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the history is read-only for everyone but its recorder."""
    assert main(["sql", "DELETE FROM request", "--history", str(daemon.history)]) == 1
    assert capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_may_read_and_not_operate(tmp_path: Path) -> None:
    """Law: whoever can open the socket may ask; only operators may turn anything."""
    folder = tmp_path / "open"
    folder.mkdir()
    with running(opened(folder), LAB) as daemon:
        daemon.socket.chmod(0o666)
        script = (
            "import os, sys, encodings.idna, daemon.cli.status, daemon.cli.drain, daemon.cli.reload\n"
            "from daemon.cli.main import main\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "sys.exit(main(sys.argv[1:]))"
        )
        for words, code in ((["status"], 0), (["drain", "one/m"], 4), (["reload"], 4)):
            command = [sys.executable, "-c", script, *words, "--socket", str(daemon.socket)]
            assert subprocess.run(command, check=False, capture_output=True).returncode == code  # noqa: S603
