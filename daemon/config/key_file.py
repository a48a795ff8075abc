"""Where the keys of clients are written, and how: one table more or less, and every other byte as it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from daemon.config.files import read_files
from daemon.config.load import load
from daemon.config.locate import locate
from daemon.config.places import keys_file
from daemon.config.reading import Problems, read_struct
from daemon.config.settings import KeySettings
from state.errors import ConfigError

__all__ = ["KeyFiles", "NewKey"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LINE: Final = re.compile(r":\d+: ")
_MODE: Final = 0o644
"""Of a new file without a neighbour: a digest of 256 random bits tells nobody anything."""


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is to be known; of the key itself only the digest."""

    name: str
    settings: KeySettings


class KeyFiles:
    """The files of a configuration, as far as keys go."""

    def __init__(self, files: tuple[Path, ...], environ: Mapping[str, str]) -> None:
        """Look at `files`, of which there is at least one, with what `environ` says of other secrets.

        `read` first: of files that cannot be read nothing can be said, and nothing is written into them.
        """
        self._files = files
        self._environ = environ

    def read(self) -> dict[str, KeySettings]:
        """Return every key by its name. Raises ConfigError where the files cannot be read."""
        table = read_files(self._files).table.get("keys", {})
        problems = Problems()
        tables = table if isinstance(table, Mapping) else {}
        found = {
            name: read_struct(KeySettings, each, ("keys", name), problems, {"sha256": ""})
            for name, each in tables.items()
        }
        if problems.found:
            raise ConfigError(tuple(text for _, text in problems.found))
        return found

    def add(self, key: NewKey) -> Path:
        """Write `key` and return the file that it is in now.

        Raises ConfigError where the configuration would be worse for it, OSError where the file cannot be written.
        """
        target = keys_file(self._files)
        with _held(target):
            text = _text_of(target) if target.exists() else ""
            gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
            self._write(target, text + gap + _table_of(key))
        return target

    def revoke(self, name: str) -> tuple[Path, ...]:
        """Take the key `name` out and return the files that held it, those laid over others first. Raises as `add`."""
        held: list[Path] = []
        for file in reversed(self._files):
            with _held(file):
                if ("keys", name) in locate(_text_of(file)):
                    self._write(file, _without(file, name))
                    held.append(file)
        return tuple(held)

    def _write(self, target: Path, text: str) -> None:
        """Put `text` in the file's place, whole or not at all."""
        before = self._problems(self._files)
        real = _file_behind(target)
        with _draft(real, text) as draft:
            swapped = tuple(draft if file == target else file for file in self._files)
            after = self._problems(swapped if draft in swapped else (*swapped, draft))
            shown = tuple(problem.replace(str(draft), str(target)) for problem in after)
            known = {_LINE.sub(": ", problem) for problem in before}
            if worse := tuple(problem for problem in shown if _LINE.sub(": ", problem) not in known):
                raise ConfigError(worse)
            draft.replace(real)
        _flush_folder(real.parent)

    def _problems(self, files: tuple[Path, ...]) -> tuple[str, ...]:
        """Return what is wrong with a configuration, which may be wrong already: the daemon's secrets are not ours."""
        try:
            load(files, self._environ)
        except ConfigError as error:
            return error.problems
        return ()


def _file_behind(target: Path) -> Path:
    """Return the file that `target` leads to, or would. Raises ConfigError of what is none and would be put away."""
    real = target.resolve()
    if real.exists() and not real.is_file():
        raise ConfigError((f"{target}: is no regular file, so no key can be kept in it; name one (--config)",))
    return real


def _table_of(key: NewKey) -> str:
    settings = key.settings
    name = key.name if _BARE.fullmatch(key.name) else _quoted(key.name)
    lines = [f"[keys.{name}]", f'sha256 = "{settings.sha256}"']
    lines += [f"{field} = {_quoted(text)}" for field in ("user", "team") if (text := getattr(settings, field))]
    lines += [f'role = "{settings.role}"'] if settings.role != "client" else []
    lines += ["speaks = true"] if settings.speaks else []
    lines += [f"made = {_instant(settings.made)}"] if settings.made else []
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """Return printable `text` as TOML's basic string, which JSON's is."""
    return json.dumps(text, ensure_ascii=False)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _without(file: Path, name: str) -> str:
    """Return the file's text without the table `[keys.NAME]`. Raises ConfigError where it is written otherwise."""
    text = _text_of(file)
    lines = text.split("\n")
    first = locate(text)["keys", name] - 1
    last = next((at for at in range(first + 1, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))
    while last - 1 > first and lines[last - 1].lstrip().startswith("#"):
        last -= 1  # what stands above the next table is about that one
    start = first - 1 if first and last == len(lines) and not lines[first - 1].strip() else first
    rest = "\n".join([*lines[:start], *(lines[last:] or [""])])
    if _parsed(rest) != _less(tomllib.loads(text), name):
        message = f"{file}:{first + 1}: the key {name} is not a table of its own here; take it out by hand"
        raise ConfigError((message,))
    return rest


def _less(table: dict[str, Any], name: str) -> dict[str, Any]:
    keys = {other: each for other, each in table["keys"].items() if other != name}
    rest = {section: each for section, each in table.items() if section != "keys"}
    return {**rest, "keys": keys} if keys else rest


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


@contextlib.contextmanager
def _held(target: Path) -> Iterator[None]:
    """Let one process at a time change the files of a folder, which is made where it is missing."""
    if not target.parent.exists():
        target.parent.mkdir()
        _take_after(target.parent, target.parent.parent)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


@contextlib.contextmanager
def _draft(real: Path, text: str) -> Iterator[Path]:
    """Give a file beside `real` with `text` in it and everything else like it; it is gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".draft", dir=real.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if real.exists():
            _take_after(draft, real)
        else:
            draft.chmod(_MODE)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _take_after(new: Path, old: Path) -> None:
    """Give `new` the owner, where we may, the mode and the labels of `old`."""
    theirs, ours = old.stat(), new.stat()
    if (theirs.st_uid, theirs.st_gid) != (ours.st_uid, ours.st_gid):
        with contextlib.suppress(PermissionError):
            os.chown(new, theirs.st_uid, theirs.st_gid)
    shutil.copystat(old, new)
    os.utime(new)


def _text_of(file: Path) -> str:
    """Return the file's text with the line ends that it has."""
    return file.read_bytes().decode("utf-8")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
