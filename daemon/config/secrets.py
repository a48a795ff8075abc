"""Where keys come from: `${env:NAME}`, `${file:/path}`, `${cred:name}`; a literal is accepted with a warning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from probes.policy import Secret

__all__ = ["SecretProblem", "resolve_secret"]

_REFERENCE = re.compile(r"\$\{(env|file|cred):([^}]+)\}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_OTHERS = 0o077
_FOLDER = "keys"
"""How a folder of credentials is called: systemd puts its name and an underscore before each file's."""


class SecretProblem(ValueError):
    """A key that cannot be had; the text names where it was looked for and never holds its value."""


def resolve_secret(text: str, environ: Mapping[str, str]) -> tuple[Secret, str | None]:
    """Return the key that `text` refers to, and a warning where its place is a poor one. Raises SecretProblem."""
    if not text:
        return Secret(), None
    reference = _REFERENCE.fullmatch(text)
    if reference is None:
        if text.startswith("${"):
            raise SecretProblem("is not a reference; write ${env:NAME}, ${file:/path} or ${cred:name}")
        return Secret(text), "is a literal key; refer to it with ${env:NAME}, ${file:/path} or ${cred:name} instead"
    kind, name = reference.groups()
    if kind == "env":
        value = environ.get(name, "")
        if not value:
            # A key pasted where its variable's name belongs must not be repeated.
            named = f"the environment variable {name}" if _VARIABLE.fullmatch(name) else "an environment variable"
            raise SecretProblem(f"refers to {named}, which is not set")
        return Secret(value), None
    if kind == "cred":
        return _from_file(_credential(name, environ))[0], None  # systemd has seen to its mode
    return _from_file(Path(name))


def _credential(name: str, environ: Mapping[str, str]) -> Path:
    """Return the file of a credential of its own, else that of a file in a folder of them (LoadCredential=keys:…/)."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SecretProblem(f"refers to the credential {name}, but $CREDENTIALS_DIRECTORY is not set (LoadCredential=)")
    if "/" in name or name in {".", ".."}:
        raise SecretProblem("refers to a credential by a path; write its name alone, as LoadCredential= gives it")
    own, of_folder = Path(folder, name), Path(folder, f"{_FOLDER}_{name}")
    if own.exists() or of_folder.exists():
        return own if own.exists() else of_folder
    raise SecretProblem(
        f"refers to the credential {name}, which was not passed: there is neither {own} nor {of_folder}. Put it into "
        f"the unit (LoadCredential={name}:… or LoadCredential={_FOLDER}:FOLDER) and restart"
    )


def _from_file(path: Path) -> tuple[Secret, str | None]:
    try:
        value = path.read_text().strip()
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a NUL in its name, or no text in it
        reason = error.strerror if isinstance(error, OSError) else "it is not text, or its name is none"
        raise SecretProblem(f"refers to the file {path}, which cannot be read: {reason}") from error
    if not value:
        raise SecretProblem(f"refers to the file {path}, which is empty")
    warning = f"refers to the file {path}, which others may read; chmod 600 it" if mode & _OTHERS else None
    return Secret(value), warning
