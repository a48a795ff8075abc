"""Raw visits to a daemon over TCP, for what no client library would send."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from typing import Any

from tests.rigs.process import Answer, Daemon

__all__ = ["ask_over_tcp", "port_of", "raw_status"]


def port_of(daemon: Daemon) -> int:
    """Return the TCP port of a daemon that was started with one of its own choice."""
    found = re.search(r"listen.*?(?:127\.0\.0\.1|0\.0\.0\.0)\W+(\d+)", daemon.log.read_text())
    assert found
    return int(found[1])


def ask_over_tcp(daemon: Daemon, method: str, url: str, body: Any = None, **headers: str) -> Answer:
    """Make one request over TCP; a header's name has underscores for its hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = None if body is None else json.dumps(body)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port_of(daemon), timeout=20)) as connection:
        connection.request(method, url, raw, named)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def raw_status(daemon: Daemon, request: bytes) -> int:
    """Send bytes over TCP and return the status of what comes back."""
    with socket.create_connection(("127.0.0.1", port_of(daemon)), timeout=20) as connection:
        connection.sendall(request)
        line = connection.makefile("rb").readline()
    return int(line.split(b" ")[1])
