"""`[keys]`: each mistake has its line, and no key of a client is in any message."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from daemon.config.configuration import Configuration
from daemon.config.load import load
from daemon.limits.caller import Caller
from state.errors import ConfigError

_BASE = """version = 1
[providers.lab]
dialect = "simulated"
models = ["m", "n"]
[workloads.chat]
targets = ["lab/m"]
default = true
"""
_DIGEST = hashlib.sha256(b"a key").hexdigest()
_EMPTY = hashlib.sha256(b"").hexdigest()


def _load(folder: Path, text: str) -> Configuration:
    file = folder / "0.toml"
    file.write_text(text)
    return load((file,), {})


def _problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (_BASE + "[keys.ada]\n", 8, "[keys.ada] lacks the key sha256"),
        (_BASE + '[keys.ada]\nsha256 = ""\n', 9, "64 hex digits"),
        (_BASE + f'[keys.ada]\nsha256 = "{_EMPTY}"\n', 9, "no key at all"),
        (
            _BASE + f'[keys.a]\nsha256 = "{_DIGEST}"\n[keys.b]\nsha256 = "{_DIGEST.upper()}"\n',
            11,
            "[keys.a] has the same",
        ),
        (_BASE + f'[keys.ada]\nsha256 = "{_DIGEST}"\nteam = "{"x" * 101}"\n', 10, "team must be 1 to 100 printable"),
        (_BASE + f'[keys.ada]\nsha256 = "{_DIGEST}"\nuser = "a\\u0007"\n', 10, "user must be 1 to 100 printable"),
        (_BASE + f'[keys."a\\nb"]\nsha256 = "{_DIGEST}"\n', 8, "must have a name of 1 to 100 printable"),
        (_BASE + f'[keys.ada]\nsha256 = "{_DIGEST}"\nspeak = true\n', 10, "did you mean speaks?"),
        (_BASE + "[keys]\nada = 1\n", 9, "[keys.ada] must be a table"),
    ],
)
def test_each_mistake_about_a_key_has_its_line_and_its_words(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Law: whoever made the mistake can mend it from the message, which is the only one."""
    (problem,) = _problems(tmp_path, text)
    assert f"0.toml:{line}: " in problem
    assert words in problem


def test_a_clients_key_pasted_where_its_digest_belongs_is_not_repeated(tmp_path: Path) -> None:
    """Law: the key of a client reaches no problem either."""
    (problem,) = _problems(tmp_path, f'{_BASE}[keys.ada]\nsha256 = "sk-hidden"\n')
    assert "sk-hidden" not in problem


def test_a_clients_key_is_its_names_unless_it_says_whose(tmp_path: Path) -> None:
    """Law: `user` defaults to the name, and nobody speaks for others unasked."""
    others = f'[keys.app]\nsha256 = "{_EMPTY[::-1]}"\nuser = "backend"\nteam = "search"\nspeaks = true\n'
    ada, app = _load(tmp_path, f'{_BASE}[keys.ada]\nsha256 = "{_DIGEST.upper()}"\n{others}').keys
    assert (ada.digest.hex(), ada.caller, ada.speaks) == (_DIGEST, Caller("ada"), False)
    assert (app.caller, app.speaks) == (Caller("backend", "search"), True)
