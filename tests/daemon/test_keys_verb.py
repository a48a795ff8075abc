"""`fairlead keys`: a key is shown once, its digest alone is kept, and no other byte of a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.cli.main import main
from daemon.config.key_file import KeyFiles, NewKey
from daemon.config.load import load
from daemon.config.places import keys_file
from daemon.config.settings import KeySettings
from state.errors import ConfigError
from tests.rigs.openly import opened
from tests.rigs.process import LAB, running
from tests.rigs.visits import ask_over_tcp

_CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
_COMMENTED = f"# ours\n{LAB}\n# the end, without a line's end"
_DIGEST = "ab" * 32
_KEY = re.compile(r"fl-[A-Za-z0-9_-]{43}\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a configuration with comments and a mode of its own."""
    path = tmp_path / "fairlead.toml"
    path.write_text(_COMMENTED)
    path.chmod(0o640)
    return path


def _keys(*words: str, file: Path) -> int:
    return main(["keys", *words, "--config", str(file)])


def test_a_key_is_printed_once_alone_and_only_its_digest_is_kept(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: stdout can be piped into a secret store, and no file, list or message has the key."""
    assert _keys("add", "ada", "--team", "search", "--speaks", file=file) == 0
    printed = capsys.readouterr()
    assert _KEY.fullmatch(printed.out)
    key = printed.out.strip()
    (known,) = load((file,), {}).keys
    assert known.digest == hashlib.sha256(key.encode()).digest()
    assert (known.caller.user, known.caller.team, known.speaks) == ("ada", "search", True)
    assert _keys("list", file=file) == _keys("list", "--json", file=file) == 0
    for text in (printed.err, capsys.readouterr().out, file.read_text()):
        assert key not in text


def test_every_other_byte_stays_and_so_does_the_mode(file: Path) -> None:
    """Law: comments, odd spacing and the mode survive; revoking takes out what adding put in."""
    for name in ("ada", "bob", "odd name."):
        assert _keys("add", name, file=file) == 0
    assert file.read_text().startswith(_COMMENTED)
    assert file.stat().st_mode & 0o777 == 0o640
    for name in ("bob", "ada", "odd name."):
        assert _keys("revoke", name, file=file) == 0
    assert file.read_text() == f"{_COMMENTED}\n"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_list_says_whose_keys_there_are_and_no_digest_in_full(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: enough to know which to revoke."""
    _keys("add", "ada", "--user", "eve", "--role", "reader", file=file)
    capsys.readouterr()
    _keys("list", "--json", file=file)
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "fairlead.keys/1"
    (key,) = told["keys"]
    assert (key["name"], key["user"], key["role"], len(key["sha256"])) == ("ada", "eve", "reader", 8)
    assert key["made"].endswith("+00:00")


def test_a_name_is_one_keys(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: nothing is overwritten, and what is not there is not revoked."""
    assert [_keys("add", "ada", file=file), _keys("add", "ada", file=file)] == [0, 1]
    assert _keys("revoke", "eve", file=file) == 1
    assert "there are ada" in capsys.readouterr().err
    assert _keys("add", "a\tb", file=file) == _keys("add", "eve", "--team", "x" * 101, file=file) == 2


def test_a_configuration_is_never_made_worse(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: where the result would be invalid nothing is written; what was wrong before is not held against a key."""
    listens = LAB.replace("version = 1", 'version = 1\n[daemon]\nlisten = ["0.0.0.0:4180"]')
    file.write_text(listens)
    assert _keys("add", "ada", file=file) == 0
    before = file.read_text()
    assert _keys("revoke", "ada", file=file) == 5
    assert file.read_text() == before
    assert f"{file}:" in capsys.readouterr().err
    secret = LAB.replace(
        'dialect = "simulated"', 'dialect = "openai"\nbase_url = "http://x/v1"\napi_key = "${env:NO}"', 1
    )
    file.write_text(secret)
    assert _keys("add", "ada", file=file) == 0


@pytest.mark.parametrize(
    "written", ['keys = { ada = { sha256 = "D" } }\n', '[keys]\nada = { sha256 = "D" }\nb.sha256 = "E"\n']
)
def test_what_a_person_wrote_in_another_way_is_left_to_that_person(
    file: Path, capsys: pytest.CaptureFixture[str], written: str
) -> None:
    """Law: a table that is not one of its own is not cut; the message says where it is."""
    text = written.replace("D", _DIGEST).replace("E", _DIGEST[::-1])
    file.write_text(text + LAB if written.startswith("keys") else LAB + text)
    before = file.read_text()
    assert _keys("revoke", "ada", file=file) == 5
    assert file.read_text() == before
    assert "by hand" in capsys.readouterr().err


def test_a_file_that_cannot_be_parsed_is_not_touched(file: Path) -> None:
    """Law: what is not understood is not written to."""
    file.write_text(broken := f"{LAB}[keys")
    assert _keys("add", "ada", file=file) == _keys("list", file=file) == 5
    assert file.read_text() == broken


def test_the_systems_keys_are_beside_its_file_and_a_users_in_it() -> None:
    """Law: whatever `serve` reads, it reads the keys too."""
    system = Path("/etc/fairlead/fairlead.toml")
    assert (
        keys_file((system,)) == keys_file((system.parent / "conf.d" / "10.toml",)) == system.parent / "conf.d/keys.toml"
    )
    assert keys_file((Path("/home/ada/.config/fairlead/fairlead.toml"),)).name == "fairlead.toml"


def test_a_key_in_several_files_is_revoked_in_all(tmp_path: Path) -> None:
    """Law: a drop-in that lies over another does not bring a revoked key back."""
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(f'{LAB}[keys.ada]\nsha256 = "{_DIGEST}"\n')
    second.write_text(f'# over it\n[keys.ada]\nteam = "x"\n\n# bob\'s\n[keys.bob]\nsha256 = "{_DIGEST[::-1]}"\n')
    assert KeyFiles((first, second), {}).revoke("ada") == (second, first)
    assert second.read_text() == f'# over it\n# bob\'s\n[keys.bob]\nsha256 = "{_DIGEST[::-1]}"\n'
    assert [key.name for key in load((first, second), {}).keys] == ["bob"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), min_size=1, max_size=3, unique=True)
)
def test_any_name_is_written_as_it_is_or_refused(file: Path, names: list[str]) -> None:
    """Law: quotes, dots and letters of any script are a name like others, and taking it out leaves the rest."""
    file.write_text(_COMMENTED)
    files = KeyFiles((file,), {})
    for number, name in enumerate(names):
        key = NewKey(name=name, settings=KeySettings(sha256=hashlib.sha256(bytes([number])).hexdigest(), team='ü"\\'))
        if not name.isprintable():
            with pytest.raises(ConfigError):
                files.add(key)
        else:
            files.add(key)
            assert name in files.read()
            files.revoke(name)
    assert file.read_text().rstrip("\n") == _COMMENTED


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not write a file of root's")
def test_who_may_not_write_is_told_and_exits_4(file: Path) -> None:
    """Law: a permission is told from a mistake."""
    file.chmod(0o644)
    script = (
        "import os, sys, daemon.cli.keys, encodings.idna\nfrom daemon.cli.main import main\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\nsys.exit(main(sys.argv[1:]))"
    )
    opened(file.parent)
    command = [sys.executable, "-c", script, "keys", "add", "ada", "--config", str(file)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    assert (run.returncode, run.stdout) == (4, "")
    assert "cannot be changed" in run.stderr


def test_a_key_is_in_force_with_the_reload_and_out_of_it_with_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: from `keys add` to the first answer it takes one command; a revoked key opens nothing."""
    text = (
        LAB.replace("version = 1", "version = 1\n[daemon]\nrequire_keys = true") + f'[keys.a]\nsha256 = "{_DIGEST}"\n'
    )
    with running(tmp_path, text, "--listen", "127.0.0.1:0") as daemon:
        there = ("--socket", str(daemon.socket), "--reload")
        assert _keys("add", "ada", *there, file=daemon.config) == 0
        key = {"authorization": f"Bearer {capsys.readouterr().out.strip()}"}
        assert ask_over_tcp(daemon, "POST", "/v1/chat/completions", _CHAT, **key).status == 200
        assert _keys("revoke", "ada", *there, file=daemon.config) == 0
        assert ask_over_tcp(daemon, "POST", "/v1/chat/completions", _CHAT, **key).status == 401
