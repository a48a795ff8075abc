"""The scripts of `fairlead completion`, in the shells that they are for."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rigs.product import ROOT

_PATIENCE_S = 20.0
_BASH = """
source {script}
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_LINE=$1 COMP_POINT=${{#1}}
_fairlead
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a folder with the command `fairlead` and the script of each shell."""
    command = tmp_path / "fairlead"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m daemon.cli.main "$@"\n')
    command.chmod(0o755)
    for shell in ("bash", "zsh", "fish"):
        printed = subprocess.run([command, "completion", shell], check=True, capture_output=True)  # noqa: S603
        (tmp_path / f"script.{shell}").write_bytes(printed.stdout)
    (tmp_path / "some.toml").touch()
    return tmp_path


def _shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} is installed")
    return found


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": f"{home}:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb", "XDG_RUNTIME_DIR": str(home)}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fairlead stat", ["status"]),
        ("fairlead completion ", ["bash", "zsh", "fish"]),
        ("fairlead probe x --kind=ca", ["catalog", "canary"]),
        ("fairlead check --config so", ["some.toml"]),
        ("fairlead check --config=so", ["some.toml"]),
    ],
)
def test_bash_completes(home: Path, line: str, offered: list[str]) -> None:
    """Law: bash is offered what replaces the word behind its last break."""
    words = [_shell("bash"), "--norc", "-c", _BASH.format(script=home / "script.bash"), "bash", line]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=_environment(home), cwd=home)  # noqa: S603
    assert done.stdout.split() == offered
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fairlead stat", ["status"]),
        ("fairlead completion ", ["bash", "fish", "zsh"]),
        ("fairlead probe x --kind=ca", ["--kind=canary", "--kind=catalog"]),
        ("fairlead check --config so", ["some.toml"]),
    ],
)
def test_fish_completes(home: Path, line: str, offered: list[str]) -> None:
    """Law: fish is offered whole words."""
    words = [_shell("fish"), "--no-config", "-c", f"source {home}/script.fish; complete -C '{line}'"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=_environment(home), cwd=home)  # noqa: S603
    assert [one.split("\t")[0] for one in done.stdout.splitlines()] == offered


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("fairlead stat", "fairlead status "),
        ("fairlead mock-fault chat overl", "fairlead mock-fault chat overloaded "),
        ("fairlead check --config so", "fairlead check --config some.toml "),
    ],
)
def test_zsh_completes(home: Path, line: str, becomes: str) -> None:
    """Law: a press of Tab in zsh finishes the only word that fits."""
    with _zsh(home) as zsh:
        setup = f"PS1=; autoload compinit; compinit -u -D; source {home}/script.zsh"
        zsh.tell(f'{setup}; show() {{ print -r -- "GOT[$BUFFER]" }}; zle -N show; bindkey "^X" show; print rea""dy\n')
        zsh.hear(b"ready\r")
        zsh.tell(f"{line}\t\x18")
        assert f"GOT[{becomes}]" in zsh.hear(b"]\r").decode()


class _Terminal:
    """What a person at a terminal types and sees."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def hear(self, mark: bytes) -> bytes:
        heard, end = b"", time.monotonic() + _PATIENCE_S
        while mark not in heard and time.monotonic() < end:
            if select.select([self._descriptor], [], [], 0.1)[0]:
                heard += os.read(self._descriptor, 4096)
        assert mark in heard, heard
        return heard


@contextmanager
def _zsh(home: Path) -> Iterator[_Terminal]:
    words = [_shell("zsh"), "-f", "-i"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: S603
        words, stdin=theirs, stdout=theirs, stderr=theirs, env=_environment(home), cwd=home, start_new_session=True
    )
    try:
        yield _Terminal(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
