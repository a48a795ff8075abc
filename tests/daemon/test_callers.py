"""Who a request is counted for: the kernel, a key or a speaker says so, and nobody else."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from daemon.access.names import Kind, numbered, system_name
from daemon.access.peers import Peer
from daemon.access.roles import Access, Roster
from daemon.access.visitors import Visitors, asker_of, caller_of
from daemon.config.configuration import ClientKey
from daemon.faces.refusals import Refusal
from daemon.limits.caller import Caller, is_name
from tests.rigs.openly import opened
from tests.rigs.process import LAB, Answer, Daemon, running

_STRANGER = Peer(1, 54_321, 54_322)
_STRANGERS_OWN = Caller("uid 54321", "gid 54322", 54_321)
_SPEAKS = Roster(uids=frozenset({54_321}))


def _key(name: str, secret: str, **more: Any) -> ClientKey:
    digest = hashlib.sha256(secret.encode()).digest()
    return ClientKey(name=name, digest=digest, **{"caller": Caller(name, "t"), **more})


_KEYS = (_key("ada", "ka"), _key("app", "kp", speaks=True), _key("bob", "kb"))


def _identified(*headers: tuple[str, str], peer: Peer | None = None, speakers: Roster = Roster()) -> object:  # noqa: B008
    said = CIMultiDictProxy(CIMultiDict(headers))
    visitors = Visitors(Access(speakers=speakers), _KEYS)
    own = None if peer is None else Caller(numbered(Kind.USER, peer.uid), numbered(Kind.GROUP, peer.gid), peer.uid)
    found = caller_of(visitors.of_key(said) if peer is None or own is None else visitors.of_peer(peer, own), said)
    return found.status if isinstance(found, Refusal) else found


def test_a_key_over_the_unix_socket_means_nothing() -> None:
    """Law: nobody becomes another user there, and no SDK's placeholder key is looked at."""
    assert _identified(("authorization", "Bearer ka"), peer=_STRANGER) == _STRANGERS_OWN


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (("authorization", "Bearer ka"), "ada"),
        (("Authorization", "bearer  kb "), "bob"),
        (("x-api-key", "ka"), "ada"),
        (("x-api-key", "Bearer ka"), ""),
        (("authorization", "Basic ka"), ""),
        (("authorization", "ka"), ""),
        (("authorization", "Bearer k"), ""),
        (("authorization", "Bearer "), ""),
        (("authorization", "Bearer \udcff\U0001f511"), ""),
    ],
)
def test_a_key_over_tcp_makes_its_holder_somebody(header: tuple[str, str], name: str) -> None:
    """Law: who shows a key of ours is its user, whoever shows another is nobody, and neither is refused."""
    assert _identified(header) == (Caller(name, "t") if name else Caller())


def test_a_key_of_ours_counts_beside_one_that_is_not() -> None:
    """Law: SDKs that send both headers are known by either."""
    assert _identified(("authorization", "Bearer unused"), ("x-api-key", "ka")) == Caller("ada", "t")
    assert _identified(("authorization", "Bearer ka"), ("x-api-key", "unused")) == Caller("ada", "t")


@pytest.mark.parametrize("header", ["fairlead-user", "fairlead-team", "Fairlead-User"])
@pytest.mark.parametrize("value", ["ada", "uid 54321", ""])
def test_who_may_not_speak_for_others_is_refused(header: str, value: str) -> None:
    """Law: a name that nobody vouches for is never booked, and never silently dropped, whatever it says."""
    assert _identified((header, value), peer=_STRANGER) == 403
    assert _identified((header, value)) == 403
    assert _identified((header, value), ("x-api-key", "ka")) == 403
    assert _identified((header, value), ("x-api-key", "kp"), peer=_STRANGER) == 403


def test_a_speaker_names_a_user_a_team_or_both() -> None:
    """Law: what it does not say stays its own, and so does the number that the kernel knows it by."""
    both = (("fairlead-user", "eve"), ("fairlead-team", "search"))
    assert _identified(*both, peer=_STRANGER, speakers=_SPEAKS) == Caller("eve", "search", 54_321)
    assert _identified(*both[:1], peer=_STRANGER, speakers=_SPEAKS) == Caller("eve", "gid 54322", 54_321)
    assert _identified(*both[1:], peer=_STRANGER, speakers=_SPEAKS) == Caller("uid 54321", "search", 54_321)
    assert _identified(*both, ("x-api-key", "kp")) == Caller("eve", "search")


def test_root_and_the_daemons_own_user_speak_for_others_without_configuration() -> None:
    """Law: they could read and change everything here anyway."""
    for uid in (0, os.geteuid()):
        assert _identified(("fairlead-user", "eve"), ("fairlead-team", "x"), peer=Peer(1, uid, 54_322)) == Caller(
            "eve", "x", uid
        )


@given(st.text(st.characters(codec=None), max_size=110))
def test_a_name_is_short_and_printable_or_refused(value: str) -> None:
    """Law: no header's text, however it is encoded, raises, or is cut into another name."""
    found = _identified(("fairlead-user", value), peer=_STRANGER, speakers=_SPEAKS)
    assert found == (Caller(value, "gid 54322", 54_321) if is_name(value) else 400)


def test_two_names_are_no_name() -> None:
    """Law: whom a client and the speaker before it both name is not guessed."""
    twice = (("fairlead-user", "ada"), ("fairlead-user", "bob"))
    assert _identified(*twice, peer=_STRANGER, speakers=_SPEAKS) == 400


def test_kept_answers_belong_to_who_was_found_not_to_what_was_said() -> None:
    """Law: a header joins and separates nobody's kept answers; who has no number has none at all."""
    assert asker_of(_STRANGERS_OWN, {"fairlead-user": "ada"}) == asker_of(_STRANGERS_OWN, {})
    assert asker_of(Caller("ada", "t"), {}).uid is None


_CONFIG = f"""
{LAB}
[keys.ada]
sha256 = "{hashlib.sha256(b"key-of-ada").hexdigest()}"
team = "search"
"""
_CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
_AS_NOBODY = """
import os, sys
from pathlib import Path
from tests.rigs.process import Daemon
daemon = Daemon(Path(sys.argv[1]), None)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for headers in ({}, {"fairlead-user": "ada"}):
    answer = daemon.ask("POST", sys.argv[2], {"model": "chat", "max_tokens": 9, "messages": []}, headers)
    print(answer.status, answer.headers["x-request-id"], answer.body.decode())
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon on a Unix socket that everybody may open, and on TCP."""
    folder = opened(tmp_path_factory.mktemp("d"))
    with running(folder, _CONFIG, "--listen", "127.0.0.1:0") as one:
        one.socket.chmod(0o666)
        yield one


def _over_tcp(daemon: Daemon, **headers: str) -> Answer:
    found = re.search(r"listen.*?127\.0\.0\.1\W+(\d+)", daemon.log.read_text())
    assert found
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps(_CHAT), named)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def _booked(daemon: Daemon, request_id: str) -> set[tuple[Any, ...]]:
    """Return team and user of the request's row and of its attempts', once the daemon has written them."""
    daemon.ask("GET", f"/fairlead/v1/explain/{request_id}")
    with contextlib.closing(sqlite3.connect(f"file:{daemon.history}?mode=ro", uri=True)) as rows:
        found = [
            row
            for table in ("request", "attempt")
            for row in rows.execute(f"SELECT team, user FROM {table} WHERE request_id = ?", (request_id,))  # noqa: S608
        ]
    assert len(found) == 2
    return set(found)


def test_a_speakers_word_is_booked(daemon: Daemon) -> None:
    """Law: request and attempt say for whom they were."""
    headers = {"fairlead-user": "eve", "fairlead-team": "støtte"}
    raw = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    answer = daemon.ask("POST", "/v1/chat/completions", _CHAT, raw)
    assert answer.status == 200
    assert _booked(daemon, answer.headers["x-request-id"]) == {("støtte", "eve")}


def test_a_key_over_tcp_is_booked_to_its_user_and_a_wrong_one_to_nobody(daemon: Daemon) -> None:
    """Law: the key is in no log and no history, only its user is."""
    known, unknown = _over_tcp(daemon, authorization="Bearer key-of-ada"), _over_tcp(daemon, x_api_key="key-of-eve")
    assert (known.status, unknown.status) == (200, 200)
    assert _booked(daemon, known.headers["x-request-id"]) == {("search", "ada")}
    assert _booked(daemon, unknown.headers["x-request-id"]) == {(None, None)}
    for file in (daemon.log, *daemon.folder.glob("history.sqlite*")):
        assert b"key-of-" not in file.read_bytes()


def test_a_key_that_may_not_speak_is_told_what_to_configure(daemon: Daemon) -> None:
    """Law: the refusal is in the dialect's shape and names the place."""
    answer = _over_tcp(daemon, authorization="Bearer key-of-ada", fairlead_user="eve")
    error = answer.json()["error"]
    assert (answer.status, error["code"]) == (403, "not_speaker")
    assert "speaks = true" in error["message"]
    assert "[keys.ada]" in error["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_another_user_is_booked_as_itself_and_may_not_name_anybody(daemon: Daemon, path: str) -> None:
    """Law: who has no leave to speak for others is refused before anything is sent."""
    command = [sys.executable, "-c", _AS_NOBODY, str(daemon.folder), path]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])  # noqa: S603
    (own, request_id, _), (refused, _, body) = (line.split(" ", 2) for line in run.stdout.splitlines())
    assert refused == "403"
    assert "daemon.speakers" in body
    if path.endswith("completions"):
        assert own == "200"
        assert _booked(daemon, request_id) == {(system_name(Kind.GROUP, 65534), system_name(Kind.USER, 65534))}
    else:
        assert json.loads(body)["error"]["type"] == "permission_error"
