"""Who may do what, in the configuration: each mistake has its line, and what is not named is as the contract says."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from daemon.access.roles import Access, Roles, Roster
from daemon.config.access import insist_on_keys, parse_listen
from daemon.config.configuration import Configuration
from daemon.config.load import demo_configuration, load
from state.errors import ConfigError
from tests.rigs.process import LAB

_KEY = f'[keys.ada]\nsha256 = "{"ab" * 32}"\n'


def _load(folder: Path, daemon: str, keys: str = "") -> Configuration:
    file = folder / "0.toml"
    file.write_text(f"{LAB}{keys}[daemon]\n{daemon}\n")
    return load((file,), {})


def _access(folder: Path, daemon: str, keys: str = "") -> Access:
    return _load(folder, daemon, keys).access


def test_without_a_word_everyone_is_a_client_and_loopback_needs_no_key(tmp_path: Path) -> None:
    """Law: the contract's default."""
    access = _access(tmp_path, 'listen = ["127.0.0.1:0", "[::1]:0", "localhost:0"]')
    assert access == Access(roles=Roles(owner=os.geteuid()))
    assert not access.require_keys


def test_users_and_groups_are_looked_up_by_name(tmp_path: Path) -> None:
    """Law: users as they are, groups behind an @; a group stands for itself and not for who is in it now."""
    user, group = pwd.getpwall()[-1], grp.getgrall()[-1]
    named = f'["{user.pw_name}", "@{group.gr_name}"]'
    roles = _access(tmp_path, f"operators = {named}\nclients = {named}\nreaders = []").roles
    both = Roster(frozenset({user.pw_uid}), frozenset({group.gr_gid}))
    assert (roles.operators, roles.clients, roles.readers) == (both, both, Roster())


@pytest.mark.parametrize("name", ["no-such-user", "@no-such-group", "", "@", "@@root", "a\\u0000b"])
def test_a_name_that_the_system_does_not_know_admits_nobody_and_is_warned_of(tmp_path: Path, name: str) -> None:
    """Law: a typing error opens nothing, and check tells of it."""
    loaded = _load(tmp_path, f'speakers = ["{name}"]')
    assert loaded.access.speakers == Roster()
    assert any("speakers names" in warning for warning in loaded.warnings)


@pytest.mark.parametrize(
    ("daemon", "words"),
    [
        ('readers = ["root"]', "everyone is a client"),
        ('hosts = ["llm.lan:80"]', "not a host"),
        ('hosts = ["http://llm.lan"]', "not a host"),
        ('hosts = [""]', "not a host"),
        ('listen = ["0.0.0.0:80"]', "fairlead keys add"),
        ('listen = ["127.0.0.1:0", "[::]:80"]', "'::' is not loopback"),
        ('listen = ["127.evil:80"]', "not ADDRESS:PORT"),
        ('listen = ["127.0.0.1:٨٠"]', "has no port"),
        ("require_keys = true", "there is no key"),
        ('operator = ["root"]', "did you mean operators?"),
    ],
)
def test_each_mistake_about_access_has_its_line(tmp_path: Path, daemon: str, words: str) -> None:
    """Law: one mistake, one problem, and it says what to do."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, daemon)
    (problem,) = caught.value.problems
    assert words in problem
    assert f":{LAB.count(chr(10)) + 2}: " in problem


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.0.2.7:80", "[2001:db8::7]:80"])
def test_beyond_loopback_a_key_is_there_and_needed(tmp_path: Path, listen: str) -> None:
    """Law: keys open other addresses, and those require them whatever else is configured."""
    assert _access(tmp_path, f'listen = ["{listen}"]\nrequire_keys = false', _KEY).require_keys
    loaded = _load(tmp_path, "", _KEY)
    assert insist_on_keys(loaded, (parse_listen(listen),)).access.require_keys
    assert insist_on_keys(loaded, (parse_listen("127.0.0.1:80"),)) is loaded
    with pytest.raises(ConfigError, match="not loopback"):
        insist_on_keys(demo_configuration(), (parse_listen(listen),))


def test_a_host_is_known_however_it_is_written(tmp_path: Path) -> None:
    """Law: case and a closing dot mean nothing in a name, nor zeros in an address."""
    access = _access(tmp_path, 'hosts = ["LLM.lan.", "[2001:DB8:0::7]"]')
    assert access.hosts == {"llm.lan", "2001:db8::7"}
