"""Who is there, and which role that gives: the kernel and the configuration say so, and nobody else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.access.peers import Peer, peer_of
from daemon.access.roles import Role, Roles, Roster, needed_role
from tests.rigs.openly import opened

_STRANGER = 54_321
_OWNER = 4_321
_AS_SOMEBODY = """
import os, socket, sys
os.setgroups(range(1000, 1000 + int(sys.argv[2]))); os.setgid(1); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as caller:
    caller.connect(sys.argv[1])
    caller.recv(1)
"""


def _peer(uid: int = _STRANGER, gid: int = _STRANGER, *groups: int) -> Peer:
    return Peer(1, uid, gid, groups)


def test_the_kernel_vouches_for_a_unix_peer() -> None:
    """Law: a peer is known by its process, user and groups, without asking it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = peer_of(ours)
    assert found is not None
    assert (found.pid, found.uid, found.gid) == (os.getpid(), os.getuid(), os.getgid())
    assert set(found.groups) == set(os.getgroups())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user with groups of its own")
@pytest.mark.parametrize("count", [0, 1, 256, 257, 3000])
def test_all_groups_of_a_peer_are_known(tmp_path: Path, count: int) -> None:
    """Law: nobody loses a role by being in many groups."""
    path = opened(tmp_path) / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        process = subprocess.Popen([sys.executable, "-c", _AS_SOMEBODY, str(path), str(count)])  # noqa: S603
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            assert peer_of(connection) == Peer(process.pid, 65534, 1, tuple(range(1000, 1000 + count)))
        assert process.wait(20) == 0


def test_nobody_is_known_over_tcp() -> None:
    """Law: a TCP connection has no peer, and so nobody operates over it."""
    with socket.socket(socket.AF_INET) as connection:
        assert peer_of(connection) is None


@pytest.mark.parametrize("nobody", [Roster(), Roster(uids=frozenset({1}))])
def test_root_and_the_daemons_own_user_always_operate(nobody: Roster) -> None:
    """Law: the owner is never locked out, whatever the configuration says."""
    roles = Roles(operators=nobody, clients=nobody, readers=nobody, owner=_OWNER)
    assert roles.of(_peer(0)) is roles.of(_peer(_OWNER)) is Role.OPERATOR
    assert roles.of(_peer()) is None


def test_without_lists_everyone_who_can_open_the_socket_is_a_client() -> None:
    """Law: the contract's default."""
    assert Roles(owner=_OWNER).of(_peer()) is Role.CLIENT
    assert Roles(owner=_OWNER).of_others is Role.CLIENT


def test_where_clients_are_named_others_read_and_where_readers_are_others_are_refused() -> None:
    """Law: each list narrows who has its role and no other."""
    few, some = Roster(uids=frozenset({7})), Roster(gids=frozenset({8}))
    roles = Roles(clients=few, owner=_OWNER)
    assert (roles.of(_peer(7)), roles.of(_peer(6)), roles.of_others) == (Role.CLIENT, Role.READER, Role.READER)
    roles = Roles(clients=few, readers=some, owner=_OWNER)
    assert (roles.of(_peer(7)), roles.of(_peer(6, 8)), roles.of(_peer(6))) == (Role.CLIENT, Role.READER, None)


def test_any_group_of_a_peer_counts() -> None:
    """Law: the primary and each supplementary one; a group's number is no user's."""
    roles = Roles(operators=Roster(gids=frozenset({9})), owner=_OWNER)
    assert roles.of(_peer(1, 9)) is roles.of(_peer(1, 2, 3, 9)) is Role.OPERATOR
    assert roles.of(_peer(9)) is Role.CLIENT


_rosters = st.builds(Roster, st.frozensets(st.integers(1, 5)), st.frozensets(st.integers(1, 5)))
_peers = st.builds(Peer, st.just(1), st.integers(1, 6), st.integers(1, 6), st.lists(st.integers(1, 6)).map(tuple))


@given(_peers, _rosters, _rosters, _rosters)
def test_a_role_that_is_given_is_never_taken_by_a_lower_one(
    peer: Peer, operators: Roster, clients: Roster, readers: Roster
) -> None:
    """Law: an operator is a client is a reader; whom no list names has the role of others."""
    roles = Roles(operators=operators, clients=clients, readers=readers, owner=_OWNER)
    lists = ((operators, Role.OPERATOR), (clients, Role.CLIENT), (readers, Role.READER))
    given_roles = [role for roster, role in lists if roster.names(peer)]
    assert roles.of(peer) == max(given_roles, default=roles.of_others)


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/healthz", None),
        ("GET", "/metrics", Role.READER),
        ("HEAD", "/v1/models", Role.READER),
        ("GET", "/fairlead/v1/events", Role.READER),
        ("POST", "/fairlead/v1/sql", Role.READER),
        ("POST", "/v1/messages", Role.CLIENT),
        ("POST", "/fairlead/v1/report", Role.CLIENT),
        ("POST", "/fairlead/v1/reload", Role.OPERATOR),
        ("POST", "/fairlead/v1/targets/p/m/drain", Role.OPERATOR),
        ("POST", "/fairlead/v1/what/comes/next", Role.OPERATOR),
        ("DELETE", "/fairlead/v1/sql/", Role.OPERATOR),
        ("PUT", "/anything", Role.CLIENT),
    ],
)
def test_what_is_not_known_needs_the_highest_role(method: str, path: str, role: Role | None) -> None:
    """Law: a verb that somebody adds to the control face is an operator's until the table says otherwise."""
    assert needed_role(method, path) == role
