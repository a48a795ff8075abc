"""The configuration's files: read, merged in order, and remembered line by line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon.config.locate import KeyPath, Lines, locate
from state.errors import ConfigError

__all__ = ["Document", "laid_over", "read_files"]


class Document(msgspec.Struct, frozen=True):
    """Several files as one table, and where each key of it stands."""

    table: Mapping[str, Any]
    files: tuple[tuple[Path, Lines], ...]

    def place(self, path: KeyPath) -> tuple[int, int, str]:
        """Return (file's rank, line, `file:line`) of `path`: the last file that holds it, or its nearest table."""
        for length in range(len(path), 0, -1):
            for rank in range(len(self.files) - 1, -1, -1):
                file, lines = self.files[rank]
                if path[:length] in lines:
                    line = lines[path[:length]]
                    return rank, line, f"{file}:{line}"
        return 0, 1, f"{self.files[0][0]}:1"

    def origin(self, path: KeyPath) -> str | None:
        """Return the `file:line` that sets exactly `path`, None where no file does."""
        places = (f"{file}:{lines[path]}" for file, lines in reversed(self.files) if path in lines)
        return next(places, None)


def read_files(files: tuple[Path, ...]) -> Document:
    """Return `files` merged, later ones over earlier ones. Raises ConfigError where one cannot be read or parsed."""
    merged: Mapping[str, Any] = {}
    places: list[tuple[Path, Lines]] = []
    problems: list[str] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
            table = tomllib.loads(text)
        except OSError as error:
            problems.append(f"{file}: cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            problems.append(f"{file}: is not UTF-8 text")
        except RecursionError:
            problems.append(f"{file}: is nested too deeply")
        except tomllib.TOMLDecodeError as error:
            problems.append(_syntax(file, text, error))
        except ValueError:  # Python's own bound on the digits of a number
            problems.append(f"{file}: holds a number with too many digits")
        else:
            merged = laid_over(merged, table)
            places.append((file, locate(text)))
    if problems:
        raise ConfigError(tuple(problems))
    return Document(merged, tuple(places))


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with `over` laid over it: tables key by key, everything else as a whole."""
    merged = dict(under)
    for key, value in over.items():
        present = merged.get(key)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            merged[key] = laid_over(present, value)
        else:
            merged[key] = value
    return merged


def _syntax(file: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    words, _, place = str(error).rpartition(" (at ")
    line = place.removeprefix("line ").partition(",")[0]
    last = text.rstrip("\n").count("\n") + 1
    return f"{file}:{line if line.isdigit() else last}: this is not TOML: {words or error}"
