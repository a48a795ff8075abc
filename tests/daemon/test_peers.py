"""Who may operate: the kernel says who is there, the configuration who may."""

from __future__ import annotations

import grp
import os
import pwd
import socket

from daemon.faces.peers import Operators, Peer, peer_of, resolve_operators

_STRANGER = 54_321


def test_the_kernel_vouches_for_a_unix_peer() -> None:
    """Law: a peer is known by its process, user and group, without asking it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.getuid(), os.getgid())


def test_nobody_is_known_over_tcp() -> None:
    """Law: a TCP connection has no peer, and so nobody operates over it."""
    with socket.socket(socket.AF_INET) as connection:
        assert peer_of(connection) is None


def test_root_and_the_daemons_own_user_may_always_operate() -> None:
    """Law: without any configuration the owner is not locked out."""
    assert Operators().admit(Peer(1, 0, _STRANGER))
    assert Operators().admit(Peer(1, os.geteuid(), _STRANGER))
    assert not Operators().admit(Peer(1, _STRANGER, _STRANGER))


def test_users_and_groups_are_admitted_by_name() -> None:
    """Law: `operators` admits users, and the members and the primary users of groups."""
    user = pwd.getpwall()[-1]
    group = grp.getgrall()[-1]
    operators = resolve_operators((user.pw_name, f"@{group.gr_name}"))
    assert operators.admit(Peer(1, user.pw_uid, _STRANGER))
    assert operators.admit(Peer(1, _STRANGER, group.gr_gid))
    assert not operators.admit(Peer(1, _STRANGER, _STRANGER))


def test_names_that_the_system_does_not_know_admit_nobody() -> None:
    """Law: a typing error in `operators` opens nothing."""
    assert resolve_operators(("no-such-user", "@no-such-group")) == Operators()
