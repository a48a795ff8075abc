"""Clocks, chance, event loops and last resorts: only at the edges, each edge with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.rigs.product import Source, dotted, imported, sources

KNOWS_ASYNCIO = {
    "daemon/doors/line.py": "a Protocol: a silent connection costs no task",
    "probes/wire/dialing.py": "create_connection: happy eyeballs and TLS come with it, anyio's streams cost too much",
    "probes/wire/pool.py": "the loop's call_later, to close idle connections without a task each",
    "probes/wire/protocol.py": "a Protocol: bytes come by callback, without a task and a queue per connection",
}
READS_THE_WALL_CLOCK = {
    "daemon/cli/keys.py": "a key says when it was made, for people",
    "daemon/assembly.py": "the composition root hands the wall clock to the recorder and the relay",
    "daemon/cli/history_export.py": "`--since 7d` counts from now",
    "daemon/cli/history_prune.py": "`--older-than 30d` counts from now",
    "daemon/recalling.py": "a restart maps the history's wall-clock times onto its own clock, once",
}
WALL_CLOCKS = {
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.time",
    "time.time_ns",
}
USES_A_THREAD = {
    "daemon/access/names.py": "names are looked up in a directory service, which may take seconds",
    "daemon/control/eventing.py": "events are read from the history, which is on a disk",
    "daemon/control/explaining.py": "a request's story is read from the history, which is on a disk",
    "daemon/control/reviewing.py": "whether an answer waits for a verdict is read from the history, which is on a disk",
    "daemon/doors/request.py": "a megabyte may unpack to sixteen, and would hold the loop for 50 ms",
    "daemon/degraded/answers.py": "kept answers are in a file, and a disk may be slow",
    "daemon/control/face.py": "an operator's SQL reads the file for up to its time limit, beside the loop",
    "daemon/ending.py": "no thread is made: those that a dead disk holds must not hold up the end of the process",
    "daemon/recalling.py": "the history is on a disk that may be slow, and the service manager is told so meanwhile",
    "state/history/writing.py": "a large file is looked through after a crash, beside the thread that writes it",
    "daemon/reloading.py": "reading a configuration reads files and secrets from a disk that may be slow",
}


def test_asyncio_is_imported_only_where_anyio_does_not_serve() -> None:
    """The product speaks anyio; the wire's protocols alone stand on asyncio's transports."""
    assert {source.name for source in sources() if "asyncio" in imported(source)} <= set(KNOWS_ASYNCIO)


def test_the_wall_clock_is_read_only_at_the_edges() -> None:
    """Time is an argument: a decision that read a clock could not be made again."""
    readers = {source.name for source in sources() if WALL_CLOCKS & {name for _, name in dotted(source)}}
    assert readers <= set(READS_THE_WALL_CLOCK)


def test_chance_is_handed_in_and_has_a_seed() -> None:
    """The module's own functions of `random` share a hidden state: nobody could replay a choice made by them."""
    allowed = {"random.Random", "random.SystemRandom"}
    used = [
        f"{source.name}:{line} {name}"
        for source in sources()
        for line, name in dotted(source)
        if name.startswith("random.") and name not in allowed and {"random", name} & imported(source)
    ]
    assert used == []


def test_nothing_swallows_everything() -> None:
    """A bug ends the process, and whoever supervises it starts it anew; only named errors are handled."""
    assert [f"{source.name}:{line}" for source in sources() for line in _swallowed(source)] == []


def test_a_thread_is_used_only_where_the_loop_would_wait_on_a_disk() -> None:
    """One loop; the history's own thread is within aiosqlite."""
    threading = {"_thread", "concurrent.futures", "threading", "anyio.to_thread", "multiprocessing"}
    assert {source.name for source in sources() if imported(source) & threading} <= set(USES_A_THREAD)


def _swallowed(source: Source) -> Iterator[int]:
    """Return the lines of handlers for every error that do not end by raising it again."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            named = ast.unparse(node.type) if node.type else "BaseException"
            everything = {"Exception", "BaseException"} & set(named.strip("()").split(", "))
            if everything and ast.unparse(node.body[-1]) != "raise":
                yield node.lineno
