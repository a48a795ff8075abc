"""A provider that repeats a secret in every way in which an answer can go wrong, on a real socket."""

from __future__ import annotations

import contextlib
import json
import re
import socketserver
import threading
from collections.abc import Iterator

__all__ = ["loose_tongue", "wrongs"]

_HANDSHAKE = b"\x16"
"""How a client begins TLS: it reads what is no TLS, and a secret."""


def _answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "content-type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def wrongs(secret: str) -> tuple[bytes, ...]:
    """Return raw answers that each hold `secret`, where a careless daemon would repeat it."""
    error = json.dumps({"error": {"message": secret, "type": secret, "code": secret, "param": secret}}).encode()
    chat = {"id": secret, "model": secret, "choices": [{"message": {"role": "assistant", "content": secret}}]}
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": secret}}]}).encode() + b"\n\n"
    stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return (
        *(_answer(status, error) for status in (400, 401, 403, 404, 413, 422, 500, 529)),
        _answer("429 T", error, f"retry-after: {secret}", f"x-ratelimit-reset-requests: {secret}"),
        _answer("200 OK", json.dumps(chat).encode(), f"x-request-id: {secret}", f"set-cookie: {secret}"),
        _answer("200 OK", json.dumps({**chat, "choices": []}).encode()),
        _answer("200 OK", b"<html>" + secret.encode()),
        _answer("200 OK", b'{"choices": "' + secret.encode()),
        _answer("200 OK", b'{"' + secret.encode() + b'": 1}'),
        _answer(f"500 {secret}", secret.encode()),
        f"HTTP/1.1 200 OK\r\n{secret} no colon\r\n\r\n".encode(),
        f"{secret} is no HTTP\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\ncontent-length: {secret}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{secret}\r\n".encode(),
        f"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/{secret}\r\ncontent-length: 0\r\n\r\n".encode(),
        stream + b"%x\r\n%b\r\n" % (len(event), event),
        stream + b"%x\r\n%b\r\n" % (len(event), event.replace(b"choices", b"error")),
        stream + b"%x\r\n%b\r\n" % (len(event) + 6, b"event:" + event),
    )


@contextlib.contextmanager
def loose_tongue(secret: str) -> Iterator[int]:
    """Give the port of a provider; a request whose body has `"seed": N` gets the N-th wrong answer, and no further."""
    answers = wrongs(secret)

    class _Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if self.rfile.peek(1)[:1] == _HANDSHAKE:
                self.wfile.write(answers[0])
                return
            head = b""
            while (line := self.rfile.readline()) not in {b"\r\n", b""}:
                head += line.lower()
            size = re.search(rb"content-length: (\d+)", head)
            body = self.rfile.read(int(size[1]) if size else 0)
            seed = re.search(rb'"seed": (\d+)', body)
            self.wfile.write(answers[int(seed[1]) if seed else 0])

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
