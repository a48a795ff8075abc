"""Two providers in one, on a Unix socket: whoever can reach its file can ask, from whatever network namespace.

The model `bad` fails with everything that it was sent in its error; `good` answers with a given text.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

__all__ = ["UnixProvider", "unix_provider"]


class UnixProvider(socketserver.ThreadingUnixStreamServer):
    """The server, and which keys it was shown."""

    daemon_threads = True

    def __init__(self, path: Path, says: str) -> None:
        """Answer at `path` with the text `says`."""
        super().__init__(str(path), _Handler)
        path.chmod(0o666)
        self.says = says
        self.keys: set[str] = set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: UnixProvider

    def do_GET(self) -> None:
        """List the models."""
        self._answer(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in ("bad", "good")]})

    def do_POST(self) -> None:
        """Answer, or fail."""
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        key = self.headers["authorization"].removeprefix("Bearer ")
        self.server.keys.add(key)
        if json.loads(body)["model"] == "bad":
            self._answer(500, {"error": {"message": f"{key} sent {body}", "type": "server_error"}})
        else:
            message = {"role": "assistant", "content": self.server.says}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._answer(200, {"id": "x", "object": "chat.completion", "choices": [choice]})

    def _answer(self, status: int, body: object) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        """Return a name for clients, who have no address."""
        return "unix"


@contextmanager
def unix_provider(path: Path, says: str) -> Iterator[UnixProvider]:
    """Give the provider at `path`."""
    with UnixProvider(path, says) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            path.unlink()
