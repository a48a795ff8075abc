"""What one event of the log costs the loop, in each shape: `python -m benchmarks.telling`. Medians of rounds.

The journal is a datagram socket that another process reads, as journald does; lines go to a file.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from daemon.config.settings import LogFormat
from daemon.logs.configuring import Log, configure_logs, end_log

_ROUNDS = 7
_EVENTS = 4000
_FALLBACK = {
    "request_id": "req_4aa4273a7463000000000001",
    "workload": "chat",
    "primary": "openai/gpt-5",
    "from_target": "openai/gpt-5",
    "fallback": "anthropic/claude-sonnet-5",
    "fault": "timeout",
    "status": None,
    "reason": "no first byte within 30s",
    "latency_ms": 30001.2,
}


def main() -> None:
    """Measure, and print a line for each shape."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        reader = _reader(journal)
        with (Path(folder) / "lines").open("w") as lines:
            shapes: dict[str, Callable[[], None]] = {
                "JSON line, before": lambda: _before(lines),
                "JSON line": lambda: _set_up("json", journal, lines),
                "journal": lambda: _set_up("journal", journal, lines),
                "text": lambda: _set_up("text", journal, lines),
            }
            taken: dict[str, list[float]] = {name: [] for name in (*shapes, "left out")}
            for _ in range(_ROUNDS):
                for name, prepare in shapes.items():
                    prepare()
                    taken[name].append(_timed())
                _set_up("json", journal, lines, "info")
                taken["left out"].append(_timed())
            end_log()
        os.kill(reader, 9)
        os.waitpid(reader, 0)
    for name, each in taken.items():
        print(f"{name:<20} {statistics.median(each):6.1f} µs an event  ({min(each):.1f} to {max(each):.1f})")


def _set_up(shape: LogFormat, journal: Path, lines: object, level: str = "debug") -> None:
    configure_logs(Log(level=level, format=shape, journal=str(journal)), lines)  # type: ignore[arg-type]


def _before(lines: object) -> None:
    """Set the log up as it was before the journal's protocol, limits and the care for exceptions."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.JSONRenderer(
                serializer=lambda event, **_: msgspec.json.encode(event, enc_hook=str).decode()
            ),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=lines),  # type: ignore[arg-type]
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )


def _timed() -> float:
    """Return the microseconds that an event took."""
    log = structlog.get_logger("benchmark").bind()
    began = time.perf_counter()
    for _ in range(_EVENTS):
        log.warning("fallback", **_FALLBACK)
    return (time.perf_counter() - began) / _EVENTS * 1e6


def _reader(path: Path) -> int:
    """Start a process that reads the socket at `path`, and return its id."""
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.bind(str(path))
    child = os.fork()
    if child:
        ours.close()
        return child
    while True:
        ours.recv(1 << 16)


if __name__ == "__main__":
    sys.exit(main())
