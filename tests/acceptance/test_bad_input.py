"""Bad input: each kind gets a clear error, and nothing is lost."""

from __future__ import annotations

import signal
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.rigs.process import LAB, Daemon, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One daemon for all requests of this module: none of them may harm the next."""
    with running(tmp_path_factory.mktemp("d"), LAB, "--listen", "127.0.0.1:0") as running_daemon:
        yield running_daemon


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"not json", 400, "invalid_body"),
        (b'{"model": "chat"', 400, "invalid_body"),
        (b'{"model":"chat","x":' + b"[" * 100_000, 400, "invalid_body"),
        (b'{"model":"chat","pad":"' + b"x" * 20_000_000 + b'"}', 413, "body_too_large"),
        (b'{"model":"no-such-model"}', 404, "model_not_found"),
    ],
    ids=["not-json", "cut", "nested", "20-MB", "unknown-model"],
)
def test_a_bad_body_gets_its_own_error_in_both_dialects(daemon: Daemon, body: bytes, status: int, code: str) -> None:
    """Law: the status, the code and words to act on; and the daemon goes on serving."""
    openai = daemon.ask("POST", "/v1/chat/completions", body)
    assert (openai.status, openai.json()["error"]["code"]) == (status, code)
    anthropic = daemon.ask("POST", "/v1/messages", body)
    assert (anthropic.status, anthropic.json()["type"]) == (status, "error")
    assert anthropic.headers["request-id"] == anthropic.json()["request_id"]
    assert daemon.chat("chat").status == 200


def test_asking_for_a_stream_where_none_exists_means_nothing(daemon: Daemon) -> None:
    """Law: `stream` on embeddings is the provider's affair, and the answer is whole."""
    body = {"model": "chat", "input": "x", "stream": True}
    assert daemon.ask("POST", "/v1/embeddings", body).json()["data"]


def test_an_unknown_name_suggests_the_nearest(daemon: Daemon) -> None:
    """Law: a typing error is answered with what was meant."""
    assert "chat" in daemon.chat("chatt").json()["error"]["message"]
    body = {"model": "x", "messages": []}
    answer = daemon.ask("POST", "/v1/chat/completions", body, {"fairlead-workload": "chta"})
    assert answer.status == 404
    assert answer.json()["error"]["code"] == "workload_not_found"
    assert "chat" in answer.json()["error"]["message"]


def test_paths_and_methods_that_do_not_exist_are_explained(daemon: Daemon) -> None:
    """Law: a wrong path gets 404 and a wrong method 405, in the shape of its face."""
    assert daemon.ask("GET", "/v1/chat/completions").status == 405
    assert daemon.ask("GET", "/v1/nope").json()["error"]["code"] == "not_found"
    assert daemon.ask("GET", "/fairlead/v1/nope").headers["content-type"] == "application/problem+json"


def test_malformed_http_is_answered_and_reaches_no_log(daemon: Daemon) -> None:
    """Law: what a client garbles, a key included, is a 400 and no line in the log."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-sec\x01ret\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 400")
    assert daemon.ask("POST", "/v1/embeddings", b"abcde", {"content-encoding": "gzip"}).status == 400
    assert "sk-sec" not in daemon.log.read_text()
    assert "Traceback" not in daemon.log.read_text()


def test_a_body_that_is_not_coded_as_it_says_is_told_so_on_both_faces(daemon: Daemon) -> None:
    """Law: whoever sends it reads why, in the shape of the face; it is no mistake of the daemon's."""
    for coding in ("deflate", "gzip"):
        answer = daemon.ask("POST", "/fairlead/v1/sql", b'{"query":"SELECT 1"}', {"content-encoding": coding})
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "Traceback" not in daemon.log.read_text()


@pytest.mark.parametrize("line", [b"GET /healthz", b"CONNECT "])
def test_a_request_without_a_version_is_answered_in_one_that_has_a_status_line(daemon: Daemon, line: bytes) -> None:
    """Law: whatever is asked in, the answer can be parsed."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(line + b"\r\nhost: x\r\n\r\n")
        assert client.recv(1000).startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))


def test_a_client_that_leaves_before_it_is_told_to_go_on_is_no_mistake_of_ours(daemon: Daemon) -> None:
    """Law: it reaches no log as one."""
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall(
                b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
            )
    assert daemon.chat("chat").status == 200
    assert "request_failed" not in daemon.log.read_text()


def test_a_second_daemon_on_the_same_socket_is_refused(daemon: Daemon) -> None:
    """Law: the living keep their socket."""
    second = Daemon(daemon.folder, None, "--config", str(daemon.config))
    second.history = daemon.folder / "second.sqlite"
    process = second.spawn()
    assert process.wait(timeout=20) == 1
    assert daemon.chat("chat").status == 200
    assert "answers there already" in daemon.log.read_text()


def test_the_socket_of_a_killed_daemon_is_taken_over(tmp_path: Path) -> None:
    """Law: what `kill -9` leaves behind stops nobody."""
    with running(tmp_path, LAB) as first:
        first.kill()
        assert first.socket.exists()
        first.start()
        assert first.chat("chat").status == 200


def test_five_mistakes_in_a_configuration_are_five_lines(tmp_path: Path) -> None:
    """Law: every problem at once, each with its line, and exit code 5."""
    mistakes = """version = 1
[providers.one]
dialect = "opnai"
base_url = "http://127.0.0.1:9/v1"
models = ["m"]
max_in_flght = 3
[workloads.chat]
targets = ["one/m", "one/mm"]
strategy = "lowest-latncy"
fallback_on = ["timeoot"]
"""
    daemon = Daemon(tmp_path, mistakes)
    assert daemon.spawn().wait(timeout=20) == 5
    log = daemon.log.read_text()
    for line in (3, 6, 8, 9, 10):
        assert f"fairlead.toml:{line}:" in log


def _foreign(path: Path) -> None:
    path.write_bytes(b"this is not a database, and it is precious\n" * 100)


def _future(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9999")
        database.execute("CREATE TABLE precious (x)")
    database.close()


@pytest.mark.parametrize("spoil", [_foreign, _future])
def test_a_history_file_that_is_not_ours_is_left_alone_and_routing_goes_on(tmp_path: Path, spoil: object) -> None:
    """Law: the file is not touched, `status` says what is wrong, and requests are served."""
    history = tmp_path / "history.sqlite"
    spoil(history)  # type: ignore[operator]
    before = history.read_bytes()
    with running(tmp_path, LAB) as daemon:
        assert daemon.chat("chat").status == 200
        status = daemon.ask("GET", "/fairlead/v1/status").json()
        assert not status["history"]["ok"]
        assert any("history" in line for line in status["problems"])
    assert history.read_bytes() == before


def test_a_reload_with_a_broken_configuration_keeps_the_old_one(tmp_path: Path) -> None:
    """Law: 422 with every problem, and the requests go on as before."""
    with running(tmp_path, LAB) as daemon:
        daemon.config.write_text(LAB.replace('strategy = "priority"', 'strategy = "priorty"'))
        answer = daemon.ask("POST", "/fairlead/v1/reload")
        assert answer.status == 422
        assert "priorty" in answer.json()["problems"][0]
        assert daemon.chat("chat").status == 200
        daemon.config.write_text(LAB.replace("workloads.chat", "workloads.talk"))
        assert daemon.ask("POST", "/fairlead/v1/reload").status == 200
        assert daemon.chat("talk").status == 200
        assert daemon.chat("chat").status == 404


def test_sigterm_ends_the_daemon_cleanly(tmp_path: Path) -> None:
    """Law: exit code 0, the socket gone, the history in one file that anyone may open."""
    with running(tmp_path, LAB) as daemon:
        assert daemon.chat("chat").status == 200
        assert daemon.stop() == 0
        assert not daemon.socket.exists()
        assert not daemon.history.with_name("history.sqlite-wal").exists()


def test_ctrl_c_is_no_traceback(tmp_path: Path) -> None:
    """Law: a person who ends the daemon sees no Python."""
    with running(tmp_path, LAB) as daemon:
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGINT)
        assert daemon.process.wait(timeout=20) == 0
        assert "Traceback" not in daemon.log.read_text()
