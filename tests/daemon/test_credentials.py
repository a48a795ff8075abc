"""Keys from systemd's credentials: found by their own name or in a folder of them, and read again by each reload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from daemon.config.secrets import SecretProblem, resolve_secret
from tests.rigs.process import Daemon


def resolved(folder: Path, name: str) -> str:
    """Return the key that the reference finds among the credentials in `folder`, and insist on no warning."""
    secret, warning = resolve_secret(f"${{cred:{name}}}", {"CREDENTIALS_DIRECTORY": str(folder)})
    assert warning is None
    return secret.value


def test_a_credential_of_its_own_name_wins_over_one_in_the_folder(tmp_path: Path) -> None:
    """Law: LoadCredential=openai:… first, then LoadCredential=keys:FOLDER/, whose files are called keys_openai."""
    (tmp_path / "keys_openai").write_text("of the folder\n")
    assert resolved(tmp_path, "openai") == "of the folder"
    (tmp_path / "openai").write_text("own\n")
    assert resolved(tmp_path, "openai") == "own"


def test_the_mode_of_a_credential_is_systemds_affair(tmp_path: Path) -> None:
    """Law: nobody is told to chmod what they cannot."""
    (tmp_path / "openai").write_text("k")
    (tmp_path / "openai").chmod(0o444)
    assert resolved(tmp_path, "openai") == "k"


@pytest.mark.parametrize("name", ["../etc/shadow", "a/b", "..", "/etc/shadow"])
def test_a_credential_is_named_and_never_a_path(tmp_path: Path, name: str) -> None:
    """Law: no reference leads out of the folder of credentials."""
    with pytest.raises(SecretProblem, match="by a path"):
        resolved(tmp_path, name)


def test_a_credential_that_was_not_passed_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """Law: both places, and what to write into the unit."""
    with pytest.raises(SecretProblem, match=rf"{tmp_path}/openai nor {tmp_path}/keys_openai.*LoadCredential=openai:"):
        resolved(tmp_path, "openai")


class _Upstream(BaseHTTPRequestHandler):
    """A provider that notes with which key it is asked."""

    protocol_version = "HTTP/1.1"
    keys: list[str]

    def do_POST(self) -> None:
        """Answer one chat completion."""
        self.rfile.read(int(self.headers["content-length"]))
        self.keys.append(self.headers["authorization"])
        message = {"role": "assistant", "content": "hello"}
        body = json.dumps(
            {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def upstream() -> Iterator[tuple[str, list[str]]]:
    """Give a provider's base URL and the keys that it was asked with."""
    keys: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Upstream", (_Upstream,), {"keys": keys}))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", keys
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_reload_brings_a_new_key_into_force_and_a_vanished_one_changes_nothing(tmp_path: Path) -> None:
    """Law: the next request goes out with the new key, over whichever connection; the log names whose key it was."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key = credentials / "keys_openai"
    key.write_text("first")
    with upstream() as (base_url, keys):
        daemon = Daemon(
            tmp_path,
            f"""
version = 1
[providers.openai]
dialect = "openai"
base_url = "{base_url}"
api_key = "${{cred:openai}}"
models = ["m"]
probe = {{ kind = "none" }}
[workloads.chat]
targets = ["openai/m"]
""",
        )
        daemon.environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
        try:
            daemon.start()
            assert daemon.chat("chat").status == 200
            key.write_text("second")
            assert daemon.ask("POST", "/fairlead/v1/reload").status == 200
            assert daemon.chat("chat").status == 200
            key.unlink()
            refused = daemon.ask("POST", "/fairlead/v1/reload")
            assert daemon.chat("chat").status == 200
        finally:
            assert daemon.stop() == 0
    assert keys == ["Bearer first", "Bearer second", "Bearer second"]
    assert refused.status >= 400
    assert "keys_openai" in refused.body.decode()
    log = daemon.log.read_text()
    assert '"providers":["openai"],"event":"keys_changed"' in log
    assert not {"first", "second"} & set(log.split('"'))
