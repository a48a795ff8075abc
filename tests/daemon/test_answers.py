"""Kept answers: the same question of the same asker, within bounds of size and age, and never a reason to fail."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.degraded.answers import AnswerKept, AnswerLimits, AnswerMessage, AnswerStore, AnswerWanted, Kept
from daemon.degraded.keys import Asker, answer_key
from probes.surfaces import Surface
from state.mailbox import Mailbox, Reply

ASKER = Asker(uid=1000, team="search", user="ada", credential=("Bearer x", ""))
_QUESTION = {"model": "w", "messages": [{"role": "user", "content": "how many?"}], "temperature": 0.5}


def _key(question: object, asker: Asker = ASKER, surface: Surface = Surface.CHAT) -> bytes | None:
    return answer_key("w", surface, json.dumps(question).encode(), asker)


@given(st.permutations(list(_QUESTION)), st.sampled_from([None, 0, 4]), st.booleans())
def test_the_same_question_has_the_same_key_however_it_is_spelled(
    names: list[str],
    indent: int | None,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    """Order, spacing and escapes do not matter; nor who is billed, nor how the answer travels."""
    question = {name: _QUESTION[name] for name in names}
    text = json.dumps(
        {**question, "stream": True, "metadata": {"tag": "t"}, "model": "v"}, indent=indent, ensure_ascii=ascii_only
    )
    assert answer_key("w", Surface.CHAT, text.encode(), ASKER) == _key(_QUESTION)


@pytest.mark.parametrize("field", [{"uid": 7}, {"team": "x"}, {"user": "x"}, {"credential": ("", "Bearer x")}])
def test_another_asker_has_another_key(field: dict[str, object]) -> None:
    """Never across users, teams or keys."""
    assert _key(_QUESTION, replace(ASKER, **field)) != _key(_QUESTION)


@pytest.mark.parametrize("credential", [("", ""), ("Bearer x", ""), ("", "x")])
def test_who_has_no_name_has_no_key(credential: tuple[str, str]) -> None:
    """Over TCP all may show the same key that nobody checks: no answer is kept there, and none given."""
    assert _key(_QUESTION, Asker(credential=credential)) is None
    assert _key(_QUESTION, replace(ASKER, uid=None, credential=credential)) is None


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 0.6},
        {"messages": [{"role": "user", "content": "how many? "}]},
        {"max_tokens": 5},
        {"temperature": "0.5"},
        {"unheard_of": True},
        {"user": "bob"},
        {"metadata": {"user_id": "bob"}},
    ],
)
def test_another_question_has_another_key(more: dict[str, object]) -> None:
    """Every member that is not known to be meaningless is part of the question."""
    assert _key({**_QUESTION, **more}) not in {None, _key(_QUESTION)}


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function"}]},
        {"functions": [{}]},
        {"n": 2},
        {"modalities": ["audio"]},
        {"previous_response_id": "x"},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
    ],
)
def test_what_has_to_do_with_tools_is_never_kept(more: dict[str, object]) -> None:
    """A tool call that is repeated may do harm."""
    assert _key({**_QUESTION, **more}) is None


@given(st.binary(max_size=60), st.sampled_from(Surface))
def test_no_body_makes_a_key_raise(body: bytes, surface: Surface) -> None:
    """What is no question has no key."""
    key = answer_key("w", surface, body, ASKER)
    assert key is None or len(key) == 32


def test_a_conversation_that_is_nested_too_deeply_has_no_key() -> None:
    """And none that no text can hold."""
    assert answer_key("w", Surface.CHAT, b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}", ASKER) is None


class _Store:
    """A store at work on a file."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.box: Mailbox[AnswerMessage] = Mailbox(1000)
        self.store = AnswerStore(self.box, path, now)

    def keep(self, key: bytes, text: str, workload: str = "w", **more: float) -> None:
        limits = AnswerLimits(**{"max_age_s": 100.0, "max_bytes": 10**6, **more})
        self.box.put(AnswerKept(key=key, workload=workload, text=text, model="a/m", limits=limits))

    async def want(self, key: bytes, max_age_s: float = 100.0) -> Kept | None:
        """Ask once all that was put before is done: what waits to be kept gives way to the question before it."""
        await self.ask(b"")
        return await self.ask(key, max_age_s)

    async def ask(self, key: bytes, max_age_s: float = 100.0) -> Kept | None:
        reply: Reply[Kept | None] = Reply()
        self.box.put(AnswerWanted(key=key, max_age_s=max_age_s, reply=reply))
        with anyio.fail_after(10):
            return await reply.wait()


def _with_store(path: Path, use: Callable[[_Store], Awaitable[None]], now: Callable[[], float] = lambda: 50.0) -> None:
    async def main() -> None:
        one = _Store(path, now)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.store.run)
            await use(one)
            tasks.cancel_scope.cancel()

    anyio.run(main)


def test_an_answer_is_found_again_over_a_restart_and_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    """The newest one for its key, in a file of mode 0600."""
    path = tmp_path / "deep" / "answers.sqlite"

    async def first(one: _Store) -> None:
        one.keep(b"k", "old")
        one.keep(b"k", "new \ud800 text".encode("utf-8", "replace").decode())
        found = await one.want(b"k")
        assert found is not None
        assert (found.text, found.model, found.at) == ("new ? text", "a/m", 50.0)
        assert await one.want(b"other") is None

    async def second(one: _Store) -> None:
        assert await one.want(b"k") is not None

    _with_store(path, first)
    assert path.stat().st_mode & 0o777 == 0o600
    _with_store(path, second)


def test_age_and_size_bound_what_is_kept(tmp_path: Path) -> None:
    """Too old is not found, the oldest beyond the size go first, and what is too long is not kept at all."""
    clock = [0.0]

    async def use(one: _Store) -> None:
        for number in range(10):
            clock[0] += 1.0
            one.keep(b"%d" % number, "x" * 100, max_bytes=350)
            await one.want(b"")
        assert [await one.want(b"%d" % number) is not None for number in range(10)] == [False] * 7 + [True] * 3
        one.keep(b"long", "x" * 300_000)
        assert await one.want(b"long") is None
        clock[0] += 50.0
        assert await one.want(b"9", max_age_s=49.0) is None
        assert await one.want(b"9", max_age_s=51.0) is not None
        clock[0] -= 500.0
        assert await one.want(b"9") is None  # from the future: a clock that jumped is not believed

    _with_store(tmp_path / "answers.sqlite", use, lambda: clock[0])


def test_a_workload_bounds_its_own_answers_and_nobody_elses(tmp_path: Path) -> None:
    """A short age or a small size, whichever workload is kept last or together with it, costs the others nothing."""
    clock = [0.0]

    async def use(one: _Store) -> None:
        one.keep(b"long", "x" * 100)
        one.keep(b"short", "x" * 100, workload="s", max_age_s=1.0)
        await one.want(b"")
        clock[0] += 10.0
        one.keep(b"small", "x" * 100, workload="s", max_bytes=150, max_age_s=1.0)
        assert [await one.want(key) is not None for key in (b"long", b"short", b"small")] == [True, False, True]

    _with_store(tmp_path / "answers.sqlite", use, lambda: clock[0])
    with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (2,)


def test_whoever_waits_for_an_answer_is_served_before_any_is_kept(tmp_path: Path) -> None:
    """A client waits for the one, nobody for the other."""

    async def use(one: _Store) -> None:
        one.keep(b"k", "text")
        assert await one.ask(b"k") is None
        assert await one.ask(b"k") is not None

    _with_store(tmp_path / "answers.sqlite", use)


def test_what_is_too_old_goes_though_nothing_else_is_ever_kept(tmp_path: Path) -> None:
    """Text does not lie about for longer than its workload says because nobody asks any more."""
    path = tmp_path / "answers.sqlite"

    async def keep(one: _Store) -> None:
        one.keep(b"short", "x", max_age_s=10.0)
        one.keep(b"long", "x", max_age_s=100.0)
        await one.want(b"")

    async def do_nothing(one: _Store) -> None:
        await one.want(b"")

    _with_store(path, keep, lambda: 50.0)
    _with_store(path, do_nothing, lambda: 80.0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key FROM answer").fetchall() == [(b"long",)]


def test_keeping_costs_no_more_the_more_is_kept(tmp_path: Path) -> None:
    """Once what lies there has been counted, an answer that fits is kept without a look at the others."""
    path = tmp_path / "answers.sqlite"
    steps: list[int] = []

    async def use(one: _Store) -> None:
        one.keep(b"first", "x")
        await one.want(b"")
        with closing(sqlite3.connect(path)) as connection, connection:
            rows = ((b"%d" % number, "w", 50.0, 150.0, "m", "x", 1) for number in range(20_000))
            connection.executemany("INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.set_progress_handler(lambda: steps.append(1) or 0, 1000)
            limits = AnswerLimits(max_age_s=100.0, max_bytes=10**6)
            one.store._keep([AnswerKept(key=b"k", workload="w", text="x", model="m", limits=limits)], connection)

    _with_store(path, use)
    assert len(steps) < 5


def test_a_file_of_an_older_version_is_begun_anew(tmp_path: Path) -> None:
    """What is lost is a convenience; nothing fails."""
    path = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA application_id = 0x4641494E; CREATE TABLE answer (key BLOB, at REAL);")

    async def use(one: _Store) -> None:
        one.keep(b"k", "text")
        assert await one.want(b"k") is not None

    _with_store(path, use)


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database " * 100)


@pytest.mark.parametrize("spoil", [_foreign, _garbage, Path.mkdir])
def test_a_file_that_is_not_ours_is_left_untouched_and_fails_nobody(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """Nothing is found there, and nothing is written."""
    path = tmp_path / "answers.sqlite"
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""

    async def use(one: _Store) -> None:
        one.keep(b"k", "text")
        assert await one.want(b"k") is None

    _with_store(path, use)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_lone_surrogate_is_no_reason_to_lose_the_rest(tmp_path: Path) -> None:
    """What SQLite cannot store is kept as nearly as it can."""

    async def use(one: _Store) -> None:
        one.keep(b"bad", "\ud800")
        one.keep(b"good", "text")
        assert await one.want(b"good") is not None

    _with_store(tmp_path / "answers.sqlite", use)
