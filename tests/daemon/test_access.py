"""Who may do what, from outside: other users over the socket, keys and web pages over TCP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from daemon.access.names import Kind, numbered, system_name
from tests.rigs.openly import opened
from tests.rigs.process import LAB, Daemon, running
from tests.rigs.visits import ask_over_tcp, raw_status

_ROOT = Path(__file__).parents[2]
_CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
_TELLS = "fl-the-teller"
_READS = "fl-the-reader"
_KEYS = f"""
[keys.ada]
sha256 = "{sha256(_TELLS.encode()).hexdigest()}"
[keys.board]
sha256 = "{sha256(_READS.encode()).hexdigest()}"
role = "reader"
"""
_ASK = """
import encodings.idna, json, os, sys
from pathlib import Path
from tests.rigs.process import Daemon
daemon = Daemon(Path(sys.argv[1]), None)
for uid, gid, *groups in json.loads(sys.argv[2]):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    os.setgroups(groups); os.setgid(gid); os.setuid(uid)
    answers = [daemon.ask(method, path, body) for method, path, body in json.loads(sys.argv[3])]
    print(json.dumps([[answer.status, answer.body.decode()] for answer in answers]), flush=True)
    os._exit(0)
"""
_VERB = """
import encodings.idna, importlib, os, sys
from daemon.cli.main import VERBS, main
importlib.import_module(f"daemon.cli.{VERBS[sys.argv[1]].module}")
os.setgroups([2]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""
_READ = ("GET", "/fairlead/v1/status", None)
_SQL = ("POST", "/fairlead/v1/sql", {"query": "SELECT 1"})
_SEND = ("POST", "/v1/chat/completions", _CHAT)
_REPORT = ("POST", "/fairlead/v1/report", {"target": "one/m", "ok": True, "latency_ms": 1})
_OPERATE = (
    ("POST", "/fairlead/v1/targets/one/m/resume", {}),
    ("POST", "/fairlead/v1/targets/one/m/probe", {"kind": "liveness"}),
    ("POST", "/fairlead/v1/mock-fault", {"workload": "chat", "fault": "timeout", "count": 0}),
    ("POST", "/fairlead/v1/reload", None),
)
_needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def _user(uid: int) -> str:
    return system_name(Kind.USER, uid) or numbered(Kind.USER, uid)


def _group(gid: int) -> str:
    return system_name(Kind.GROUP, gid) or numbered(Kind.GROUP, gid)


def _with(daemon_table: str) -> str:
    return LAB.replace("version = 1", f"version = 1\n[daemon]\n{daemon_table}") + _KEYS


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon whose only client is uid 1, whose readers are the group 2, and whose operators are the group 3."""
    folder = opened(tmp_path_factory.mktemp("d"))
    table = f'operators = ["@{_group(3)}"]\nclients = ["{_user(1)}"]\nreaders = ["@{_group(2)}"]\n'
    with running(folder, _with(table), "--listen", "127.0.0.1:0") as one:
        one.socket.chmod(0o666)
        yield one


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon that listens at every address, and so requires a key."""
    listen = "0.0.0.0:0"
    with running(tmp_path_factory.mktemp("k"), _with('hosts = ["llm.lan"]'), "--listen", listen) as one:
        yield one


def _as(daemon: Daemon, whos: list[list[int]], *asked: tuple[str, str, Any]) -> list[list[tuple[int, str]]]:
    """Return the answers to the requests of each of several users, given as user, group and more groups."""
    command = [sys.executable, "-c", _ASK, str(daemon.folder), json.dumps(whos), json.dumps(asked)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=_ROOT)  # noqa: S603
    assert run.returncode == 0, run.stderr
    return [[(status, body) for status, body in json.loads(line)] for line in run.stdout.splitlines()]


def _verb_as_reader(daemon: Daemon, words: list[str]) -> tuple[int, str]:
    """Return how a verb of the command line ends for a reader: its exit code, and what it is told to need."""
    command = [sys.executable, "-c", _VERB, *words, "--socket", str(daemon.socket)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=_ROOT)  # noqa: S603
    needs = re.search(r"that needs the role \w+", run.stderr)
    return run.returncode, needs[0] if needs else ""


@_needs_root
def test_a_role_is_what_the_kernel_says_of_user_and_groups(daemon: Daemon) -> None:
    """Law: on one socket a stranger sees that the daemon lives, readers read, clients send, operators operate."""
    roles = (
        ([65534, 65534], 403, 403, 403),
        ([65534, 2], 200, 403, 403),
        ([65534, 65534, 100, 2], 200, 403, 403),
        ([1, 65534], 200, 200, 403),
        ([1, 1, 2], 200, 200, 403),
        ([65534, 65534, 3], 200, 200, 200),
        ([0, 0], 200, 200, 200),
    )
    asked = (("GET", "/healthz", None), _READ, _SQL, _SEND, _REPORT, *_OPERATE)
    found = _as(daemon, [who for who, *_ in roles], *asked)
    expected = [[200, reads, reads, sends, sends, *[turns] * len(_OPERATE)] for _, reads, sends, turns in roles]
    assert [[status for status, _ in answers] for answers in found] == expected


@_needs_root
def test_a_refusal_names_who_lacks_what_and_where_it_is_given(daemon: Daemon) -> None:
    """Law: whoever is refused can show the message to whoever can help, in the shape that its client expects."""
    (((_, read), (_, sent), (_, operated)),) = _as(
        daemon, [[65534, 65534, 2]], ("GET", "/none", None), _SEND, _OPERATE[0]
    )
    assert "There is no GET" in read
    error = json.loads(sent)["error"]
    assert error["code"] == "not_client"
    assert error["message"] == (
        f"{_user(65534)} may read but not send requests: that needs the role client. Have {_user(65534)} or one of its "
        f"groups ({_group(65534)}, {_group(2)}) added to daemon.clients in {daemon.config}."
    )
    problem = json.loads(operated)
    assert problem["type"] == "urn:fairlead:not_operator"
    assert "may read but not operate: that needs the role operator." in problem["detail"]


@_needs_root
def test_a_stranger_is_told_that_it_may_not_read(daemon: Daemon) -> None:
    """Law: where readers are named, all others are refused altogether."""
    (((status, body),),) = _as(daemon, [[65534, 65534]], _READ)
    assert (status, json.loads(body)["type"]) == (403, "urn:fairlead:not_reader")
    assert "daemon.readers" in body


@_needs_root
@pytest.mark.parametrize(
    "words", ["drain one/m", "resume one/m", "probe one/m", "reload", "mock-fault chat timeout", "review approve req_1"]
)
def test_a_verb_that_is_refused_exits_4(daemon: Daemon, words: str) -> None:
    """Law: a script can tell that it may not from all other failures; the daemon's words are passed on."""
    assert _verb_as_reader(daemon, words.split()) == (4, "that needs the role operator")


@_needs_root
def test_what_clients_and_readers_may_is_told_by_exit_codes_too(daemon: Daemon) -> None:
    """Law: a reader reads by every verb that reads, and reports nothing."""
    assert _verb_as_reader(daemon, ["status"])[0] in {0, 1}
    assert _verb_as_reader(daemon, ["sql", "SELECT 1"])[0] == 0
    assert _verb_as_reader(daemon, ["report", "one/m", "--ok", "--latency-ms", "1"]) == (
        4,
        "that needs the role client",
    )


def test_whoever_comes_over_tcp_without_a_key_is_one_of_those_whom_nobody_named(daemon: Daemon) -> None:
    """Law: TCP is no way around the lists; a key gives its own role, and nobody operates."""
    assert ask_over_tcp(daemon, "GET", "/healthz").status == 200
    for asked in (_READ, _SEND, _OPERATE[0]):
        assert ask_over_tcp(daemon, *asked).status == 401
    for headers, sends in (({"authorization": f"Bearer {_READS}"}, 403), ({"x_api_key": _TELLS}, 200)):
        found = [ask_over_tcp(daemon, *asked, **headers).status for asked in (_READ, _SEND, *_OPERATE)]
        assert found == [200, sends, *[403] * len(_OPERATE)]


def test_beyond_loopback_everything_but_a_sign_of_life_needs_a_key(keyed: Daemon) -> None:
    """Law: the refusal is in the dialect's shape, says how a key is shown, and repeats none."""
    assert ask_over_tcp(keyed, "GET", "/healthz").status == 200
    for headers in ({}, {"authorization": "Bearer sk-wrong"}, {"x_api_key": f"{_TELLS} "[1:]}):
        refused = ask_over_tcp(keyed, *_SEND, **headers)
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Bearer ")
        assert refused.json()["error"]["code"] == "key_needed"
        assert "sk-wrong" not in refused.body.decode()
    theirs = ask_over_tcp(keyed, "POST", "/v1/messages", _CHAT, anthropic_version="2023-06-01").json()
    assert theirs["error"]["type"] == "authentication_error"
    assert ask_over_tcp(keyed, "GET", "/metrics").headers["www-authenticate"]
    assert ask_over_tcp(keyed, *_SEND, authorization=f"Bearer {_TELLS}").status == 200
    assert keyed.ask(*_SEND).status == 200  # over the Unix socket the kernel says who it is


def test_a_key_that_only_reads_is_told_what_to_configure(keyed: Daemon) -> None:
    """Law: the refusal names the key's table."""
    refused = ask_over_tcp(keyed, *_SEND, authorization=f"Bearer {_READS}")
    assert refused.status == 403
    assert 'role = "client" set in [keys.board]' in refused.json()["error"]["message"]


def test_a_name_of_the_configuration_is_a_host_of_ours(keyed: Daemon) -> None:
    """Law: daemon.hosts is let in, with a key, and nothing else is."""
    key = {"authorization": f"Bearer {_TELLS}"}
    assert ask_over_tcp(keyed, *_READ, host="llm.lan:4180", **key).status == 200
    assert ask_over_tcp(keyed, *_READ, host="evil.example", **key).status == 403


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost", 200),
        (b"GET /healthz HTTP/1.0\r\nHost: localhost", 200),
        (b"GET /healthz HTTP/1.0", 400),
        (b"GET /healthz HTTP/1.1", 400),
        (b"GET /healthz HTTP/1.1\r\nHost:", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example", 403),
        (b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost", 200),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost", 400),
        (b"GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: null", 403),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site", 403),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost", 400),
    ],
)
def test_what_a_web_page_could_send_is_refused_on_the_wire(daemon: Daemon, head: bytes, status: int) -> None:
    """Law: the parser before the gate changes nothing about it."""
    assert raw_status(daemon, head + b"\r\nConnection: close\r\n\r\n") == status


def test_an_address_beyond_loopback_without_a_key_is_no_configuration(tmp_path: Path) -> None:
    """Law: on the command line, too, nothing is opened to others without a key."""
    daemon = Daemon(tmp_path, LAB, "--listen", "0.0.0.0:0")
    assert daemon.spawn().wait(20) == 5
    assert "fairlead keys add" in daemon.log.read_text()


def test_a_clients_key_reaches_no_log_and_no_history(keyed: Daemon) -> None:
    """Law: neither the one that is ours nor a wrong one, wherever it was shown."""
    for headers in ({"authorization": f"Bearer {_TELLS}"}, {"x_api_key": _TELLS}, {"x_api_key": "fl-the-wrong"}):
        ask_over_tcp(keyed, *_SEND, **headers)
        ask_over_tcp(keyed, "GET", "/nothing", **headers)
        ask_over_tcp(keyed, *_READ, host="evil.example", **headers)
    for file in keyed.folder.iterdir():
        if file.is_file() and file != keyed.config:
            assert b"fl-the-" not in file.read_bytes(), file
