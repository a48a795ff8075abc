"""The configuration: every text is one that can be used or one whose problems are told, line by line."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.fuzz.captured import ROOT
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_lines, mutated_toml
from benchmarks.fuzz.surface import SECRETS, Broken, Surface, secrets_in
from daemon.config.load import load
from state.errors import ConfigError

__all__ = ["CONFIGURATION", "examples"]

_ENVIRON: Final = {
    **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SECRET"), SECRETS[0]),
    "HOME": "/nonexistent",
}
_FENCED: Final = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_MOST_PROBLEMS: Final = 20_000


def examples() -> list[bytes]:
    """Return the example configuration and every piece of one in the documents, each with what it lacks."""
    whole = (ROOT / "fairlead.example.toml").read_text(encoding="utf-8")
    files = sorted((ROOT / "docs").glob("*.md"))
    pieces = [piece for file in (ROOT / "README.md", *files) for piece in _FENCED.findall(file.read_text("utf-8"))]
    sections = re.split(r"(?m)^(?=\[)", whole)
    return [text.encode() for text in (whole, *pieces, "".join(sections[:4]) + sections[-1])]


@cache
def _file() -> Path:
    return Path(tempfile.mkdtemp(prefix=f"fairlead-fuzz-{os.getpid()}-")) / "fairlead.toml"


def _take(data: bytes) -> Hashable:
    file = _file()
    file.write_bytes(data.replace(b"${file:/proc", b"${file:/nowhere"))
    try:
        configuration = load((file,), _ENVIRON)
    except ConfigError as error:
        return _insist_on_lines(error, str(file))
    for text in (repr(configuration), *configuration.warnings):
        if secrets_in(text):
            raise Broken("a planted secret shows in the configuration")
    # What the daemon asks of a configuration at once.
    _ = configuration.routes, configuration.policies
    return ("ok", len(configuration.providers), len(configuration.workloads), len(configuration.warnings))


def _insist_on_lines(error: ConfigError, name: str) -> Hashable:
    if not error.problems or len(error.problems) > _MOST_PROBLEMS:
        raise Broken(f"{len(error.problems)} problems")
    for problem in error.problems:
        if not problem.startswith(name) or "\n" in problem:
            raise Broken(f"a problem that is no line of the file: {problem[:120]!r}")
    if secrets_in(str(error)):
        raise Broken("a planted secret stands in a problem")
    words = (re.sub(r"'[^']*'|\d+|\"[^\"]*\"", "", problem.partition(": ")[2])[:24] for problem in error.problems)
    return tuple(sorted(set(words)))[:3]


CONFIGURATION: Final = Surface(
    "configuration", examples, mixed(mutated_toml, mutated_toml, mutated_toml, mutated_bytes, mutated_lines), _take, 8
)
