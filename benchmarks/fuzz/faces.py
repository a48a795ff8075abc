"""The HTTP faces: requests of every path and method, mutated as bytes and in their parts."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import Final, NamedTuple

from benchmarks.fuzz.captured import REQUESTS
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_json, mutated_lines
from benchmarks.fuzz.odd import HEADERS, NUMBERS, TEXTS
from benchmarks.fuzz.surface import LONGEST, SECRETS, Luck, Mutate

__all__ = ["DOORS", "Door"]

_METHODS: Final = (
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"TRACE",
    b"CONNECT",
    b"get",
    b"X" * 90,
)
_PLACES: Final = (
    *("/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/chat", "/v1/models/lab/m", "/", "/favicon.ico"),
    *("/fairlead/v1/status", "/fairlead/v1/targets", "/fairlead/v1/targets/lab/m", "/fairlead/v1/workloads"),
    *("/fairlead/v1/route?workload=chat&prompt_tokens=9&max_tokens=9", "/fairlead/v1/route?surface=/v1/messages"),
    *("/fairlead/v1/explain/last", "/fairlead/v1/explain/req_0", "/fairlead/v1/events?follow=0&since=10m"),
    *("/fairlead/v1/events?follow=0", "*", "http://localhost/healthz"),
)
_POSTS: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    ("/fairlead/v1/sql", {"query": "SELECT * FROM request LIMIT 5"}),
    ("/fairlead/v1/sql", {"query": "WITH x(a) AS (VALUES (1), (NULL)) SELECT a, typeof(a), x'ff', 'é' FROM x"}),
    ("/fairlead/v1/sql", {"query": "SELECT json_group_array(at) FROM attempt WHERE target GLOB 'lab/*'"}),
    ("/fairlead/v1/sql", {"query": "PRAGMA table_info(request)"}),
    ("/fairlead/v1/report", {"target": "told/m", "ok": True, "latency_ms": 12.5}),
    ("/fairlead/v1/report", {"target": "told/n", "fault": "timeout", "status": 504, "latency_ms": 1, "reason": "r"}),
    ("/fairlead/v1/targets/told/n/drain", {"for_s": 0.01, "reason": "why"}),
    ("/fairlead/v1/targets/told/n/resume", {}),
    ("/fairlead/v1/targets/told/m/probe", {"kind": "catalog"}),
    ("/fairlead/v1/mock-fault", {"workload": "tasks", "fault": "timeout", "count": 1, "target": None, "attempts": 1}),
    ("/fairlead/v1/reviews/req_0", {"verdict": "approved", "reason": "fine"}),
)
_ROOT: Final = b"{"
_EVENT_ID: Final = b"1-2-3-4-5-6"


class Door(NamedTuple):
    """One way to the daemon, and what is sent there. The first byte of an input says over which socket."""

    name: str
    seeds: list[bytes]
    mutate: Mutate
    share: int


def _request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "connection: close", *headers]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return b"\0" + "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _own_headers() -> list[str]:
    return [
        "fairlead-deadline-ms: 5000",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "idempotency-key: k1",
        "fairlead-team: search",
        "fairlead-user: eve",
        "fairlead-no-fallback: 1",
        "fairlead-task: tickets",
        f"authorization: Bearer {SECRETS[1]}",
        "anthropic-version: 2023-06-01",
        "x-stainless-timeout: 60",
    ]


def _client_seeds() -> list[bytes]:
    plain = [_request("POST", surface.value, body) for surface, body in REQUESTS]
    own = [_request("POST", surface.value, body, *_own_headers()) for surface, body in REQUESTS]
    return [*plain, *own, *(_request("GET", place, b"", *_own_headers()) for place in _PLACES[:6])]


def _control_seeds() -> list[bytes]:
    posts = [_request("POST", place, json.dumps(body).encode()) for place, body in _POSTS]
    events = _request("GET", "/fairlead/v1/events?follow=0", b"", f"last-event-id: {_EVENT_ID.decode()}")
    return [*posts, events, *(_request("GET", place) for place in _PLACES)]


def _raw_seeds() -> list[bytes]:
    pipelined = _request("GET", "/healthz").replace(b"connection: close\r\n", b"") + _request("HEAD", "/readyz")[1:]
    chunked = _chunked(_client_seeds()[0], 7)
    expecting = _client_seeds()[0].replace(b"connection: close", b"connection: close\r\nexpect: 100-continue")
    upgrade = _request("GET", "/healthz", b"", "upgrade: websocket", "sec-websocket-key: AAAA")
    return [
        *_client_seeds()[::3],
        *_control_seeds()[::2],
        pipelined,
        chunked,
        expecting,
        upgrade,
        b"\0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]


def _chunked(request: bytes, size: int) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\ncontent-length: [^\r]*", b"", head)
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + size]), body[at : at + size]) for at in range(0, len(body), size)
    )
    return head + b"\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def _mutated_parts(data: bytes, luck: Luck) -> bytes:
    """Change a request in one of its parts, and frame it anew so that it arrives."""
    head, _, body = data.partition(b"\r\n\r\n")
    match luck.randrange(10):
        case 0:
            head = _other_line(head, luck)
        case 1 | 2:
            head = _other_header(head, luck)
        case 3:
            head, body = _coded(head, body, luck)
        case 4:
            return _chunked(data, luck.choice((1, 7, 1000))) if body else data
        case 5:
            return bytes([luck.randrange(256)]) + data[1:]
        case _ if body:
            body = mutated_json(body, luck)
        case _:
            head = _other_line(head, luck)
    return _framed(head, body)


def _often(data: bytes, luck: Luck) -> bytes:
    """Change one part of a request, or several."""
    for _ in range(luck.choice((1, 1, 1, 2, 3))):
        data = _mutated_parts(data, luck)
    return data


def _framed(head: bytes, body: bytes) -> bytes:
    head = re.sub(rb"\r\n(content-length|transfer-encoding): [^\r]*", b"", head)
    body = body[:LONGEST]
    return head + (b"\r\ncontent-length: %d" % len(body) if body else b"") + b"\r\n\r\n" + body


def _other_line(head: bytes, luck: Luck) -> bytes:
    """Change the method, or the path: its parts, its escapes, its query."""
    line, end, headers = head.partition(b"\r\n")
    words = line[1:].split(b" ")
    if len(words) != 3 or luck.random() < 0.2:
        return head[:1] + mutated_bytes(line[1:], luck).replace(b"\r", b"").replace(b"\n", b"") + end + headers
    if luck.random() < 0.25:
        words[0] = luck.choice(_METHODS)
    else:
        words[1] = _other_path(words[1], luck)
    return head[:1] + b" ".join(words) + end + headers


def _other_path(path: bytes, luck: Luck) -> bytes:
    place = luck.randrange(len(path) + 1)
    odd = luck.choice((*TEXTS, *NUMBERS)).encode("utf-8", "surrogatepass")[:2000]
    match luck.randrange(6):
        case 0:
            return path[:place] + b"".join(b"%%%02x" % byte for byte in odd) + path[place:]
        case 1:
            return path[:place] + odd.translate(None, b" \r\n\0") + path[place:]
        case 2:
            return (
                path
                + luck.choice((b"?", b"&"))
                + luck.choice((b"follow=0&since=", b"prompt_tokens=", b"workload=", b"surface=", b"a="))
                + odd.translate(None, b" \r\n\0")
            )
        case 3:
            return b"/".join(luck.sample(parts := path.split(b"/"), len(parts)))
        case 4:
            return luck.choice(_PLACES).encode() + path[place:]
        case _:
            return path.replace(b"/", luck.choice((b"//", b"/./", b"/../", b"%2f", b"\\")), luck.choice((1, -1)))


def _other_header(head: bytes, luck: Luck) -> bytes:
    """Put a header in, another's value, or one of ours with a strange one."""
    name = luck.choice(HEADERS).encode()
    odd = luck.choice((*TEXTS, *NUMBERS, "0", "-1", "1e3", "99999999999", "a" * 101, "identity", "127.0.0.1", "null"))
    value = odd.encode("utf-8", "surrogatepass").translate(None, b"\r\n\0")
    if luck.random() < 0.5:
        head = re.sub(rb"(?i)\r\n" + re.escape(name) + rb": [^\r]*", b"", head)
    return head + b"\r\n" + name + b": " + value


def _coded(head: bytes, body: bytes, luck: Luck) -> tuple[bytes, bytes]:
    """Say that the body is coded somehow, truly or not."""
    raw = zlib.compressobj(wbits=-15)
    coded = {
        b"gzip": gzip.compress(body),
        b"deflate": luck.choice((zlib.compress(body), raw.compress(body) + raw.flush())),
        b"gzip, gzip": gzip.compress(gzip.compress(body)),
        b"br": body,
        b"zstd": body,
        b"identity": body,
        b"x-unknown": body,
    }
    name = luck.choice(list(coded))
    packed = (
        coded[name] if luck.random() < 0.7 else luck.choice((body, gzip.compress(bytes(4_000_000)), coded[name][:-5]))
    )
    head = re.sub(rb"\r\ncontent-encoding: [^\r]*", b"", head)
    return head + b"\r\ncontent-encoding: " + name, packed


def _elsewhere(data: bytes, luck: Luck) -> bytes:
    """Change bytes, and send them over the other socket as often as not."""
    return bytes([luck.randrange(8)]) + mixed(mutated_bytes, mutated_lines)(data[1:], luck)


DOORS: Final = (
    Door("http, raw", _raw_seeds(), _elsewhere, share=12),
    Door("client face", _client_seeds(), _often, share=11),
    Door("control face", _control_seeds(), _often, share=9),
)
