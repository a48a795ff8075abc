"""Secrets and texts are planted everywhere; then everything that was logged and stored is searched for them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.rigs.loose_tongue import loose_tongue, wrongs
from tests.rigs.process import Daemon, UnixConnection, running

OURS = "CANARY-of-ours-5d1f"
THEIRS = "CANARY-of-the-client-77ab"
PROVIDERS = "my dog has a CANARY-of-fever"
CANARY = b"CANARY-"

CONFIG = f"""
version = 1

[daemon]
log_level = "debug"
log_format = "FORMAT"
listen = ["127.0.0.1:0"]

[providers.loose]
dialect = "openai"
base_url = "http://127.0.0.1:PORT/v1"
api_key = "{OURS}-literal"
models = ["m"]
probe = {{ kind = "catalog", every = "1s", timeout = "300ms" }}
status_page = "http://127.0.0.1:PORT/status?key={OURS}"

[providers.closed]
dialect = "openai"
base_url = "http://127.0.0.1:1/v1?key={OURS}"
api_key = "${{env:CANARY_KEY}}"
models = ["m"]

[providers.tls]
dialect = "openai"
base_url = "https://127.0.0.1:PORT/v1"
api_key = "${{file:KEYFILE}}"
models = ["m"]

[health]
fall = 1000
min_samples = 1000

[alerts]
webhook = "http://127.0.0.1:1/{OURS}?token={OURS}"

[workloads.chat]
targets = ["loose/m", "closed/m", "tls/m"]
strategy = "priority"
default = true
require_entitlement = false
fallback_on = ["unreachable", "tls", "timeout", "overloaded", "server_error", "rate_limited", "bad_reply", "auth"]

[workloads.loose]
targets = ["loose/m"]
"""

RAW = (
    f"{THEIRS}\r\n\r\n",
    f"GET /{THEIRS}\x00 HTTP/1.1\r\n\r\n",
    f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n{THEIRS}\r\n\r\n",
    f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {THEIRS}\r\n\r\n",
    f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{THEIRS}\r\n",
    f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx: {THEIRS * 1000}\r\n\r\n",
    f"POST /v1/chat/completions?{THEIRS} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{THEIRS}",
    f"GET /v1/models/{THEIRS} HTTP/1.1\r\nhost: {THEIRS}\r\norigin: {THEIRS}\r\n\r\n",
)
BODIES = (
    THEIRS,
    json.dumps([THEIRS]),
    json.dumps({THEIRS: 1}),
    json.dumps({"model": THEIRS}),
    json.dumps({"model": {"a": THEIRS}}),
    json.dumps({"model": "chat", "messages": THEIRS}),
    json.dumps({"model": "chat", "messages": [{"role": THEIRS, "content": [{"type": THEIRS}]}], "stream": THEIRS}),
    '{"model":"chat","messages":[{"role":"user","content":"\\ud800' + THEIRS,
)
HEADERS = {
    "authorization": f"Bearer {THEIRS}",
    "x-api-key": THEIRS,
    "cookie": THEIRS,
    "idempotency-key": THEIRS,
    "traceparent": THEIRS,
    "fairlead-deadline-ms": "20000",
}


@pytest.mark.parametrize("shape", ["json", "journal"])
def test_no_secret_and_no_text_reaches_the_log_or_the_history(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: at `debug`, as values and as sentences, through every error: nothing of a request, an answer or a key."""
    monkeypatch.setenv("CANARY_KEY", f"{OURS}-in-the-environment")
    (tmp_path / "key").write_text(f"{OURS}-in-a-file")
    with loose_tongue(PROVIDERS) as port:
        config = CONFIG.replace("PORT", str(port)).replace("FORMAT", shape).replace("KEYFILE", str(tmp_path / "key"))
        with running(tmp_path, config) as daemon:
            _ask_for_trouble(daemon)
            _operate(daemon, config)
    told = daemon.log.read_bytes()
    for sign in (b"closed/m", b"tls/m", b"refuse", b"ready", b"stopping", b"drained"):
        assert sign in told
    stored = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("history.sqlite")}
    assert "history.sqlite" in stored
    assert [line for line in told.splitlines() if CANARY in line] == []
    assert [name for name, data in stored.items() if CANARY in data] == []


def _ask_for_trouble(daemon: Daemon) -> None:
    """Send what fails in every way, with secrets in it."""
    messages = [{"role": "system", "content": THEIRS}, {"role": "user", "content": THEIRS}]
    for workload in ("chat", "loose"):
        for seed in range(len(wrongs(PROVIDERS))):
            body = {"model": workload, "messages": messages, "seed": seed, "user": THEIRS, "stream": seed % 2 == 0}
            with contextlib.suppress(OSError, ValueError):
                daemon.ask("POST", f"/v1/chat/completions?key={THEIRS}", body, HEADERS)
    for text in BODIES:
        daemon.ask("POST", "/v1/chat/completions", text.encode(), HEADERS)
    daemon.ask("POST", "/v1/messages", b"{" + THEIRS.encode(), HEADERS)
    daemon.ask("POST", "/v1/chat/completions", {"model": "chat"}, {"fairlead-deadline-ms": THEIRS})
    daemon.ask("POST", "/v1/chat/completions", {"model": "chat"}, {"fairlead-workload": THEIRS})
    for raw in RAW:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(daemon.socket))
            client.sendall(raw.encode("latin-1"))
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)


def _operate(daemon: Daemon, config: str) -> None:
    """Do what operators do, wrongly too: broken configurations that hold secrets, and the daemon's own questions."""
    daemon.ask("POST", "/fairlead/v1/sql", {"query": f"SELEKT '{THEIRS}'"})
    daemon.ask("POST", "/fairlead/v1/report", {"target": THEIRS})
    daemon.ask("POST", "/fairlead/v1/targets/loose/m/drain", {"for_s": 60, "reason": "as said"})
    daemon.ask("POST", "/fairlead/v1/targets/loose/m/resume", {})
    for broken in (
        config.replace(f'api_key = "{OURS}-literal"', f'api_key = ["{OURS}"]'),
        config.replace(f'api_key = "{OURS}-literal"', f'api_kay = "{OURS}"'),
        config.replace("http://127.0.0.1:1/v1", f"http://user:{OURS}@127.0.0.1:1/v1"),
        config.replace("http://127.0.0.1:1/v1", f"ftp://{OURS}/v1"),
        config.replace(f"http://127.0.0.1:1/{OURS}", f"http://user:{OURS}@127.0.0.1:1/{OURS}"),
        config.replace("${env:CANARY_KEY}", "${env:" + OURS),
        config + f'\n"{OURS}" = "unterminated {OURS}',
    ):
        daemon.config.write_text(broken)
        assert daemon.ask("POST", "/fairlead/v1/reload", {}).status == 422, broken
    daemon.config.write_text(config)
    assert daemon.ask("POST", "/fairlead/v1/reload", {}).status == 200
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGHUP)
    with contextlib.closing(UnixConnection(daemon.socket)) as connection:
        connection.request("GET", "/fairlead/v1/status")
        assert connection.getresponse().status == 200
