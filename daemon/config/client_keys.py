"""The keys that clients show over TCP: what a configuration may say of them, and what it comes to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from daemon.access.roles import Role
from daemon.config.configuration import ClientKey
from daemon.config.locate import KeyPath
from daemon.config.reading import Problems
from daemon.config.settings import KeySettings
from daemon.limits.caller import LONGEST_NAME, Caller, is_name

__all__ = ["STAND_IN_DIGEST", "check_keys", "client_key"]

STAND_IN_DIGEST: Final = "0" * 64
"""Takes the place of a digest that is missing: no key is known to have it."""
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_OF_NOTHING = hashlib.sha256(b"").digest()


def check_keys(keys: Mapping[str, KeySettings], problems: Problems) -> None:
    """Note what is wrong with the keys of clients; a digest is never repeated, it may be a key pasted by mistake."""
    holders: dict[bytes, str] = {}
    for name, key in keys.items():
        path: KeyPath = ("keys", name)
        _check_names(path, key, problems)
        if not _HEX.fullmatch(key.sha256):
            text = 'sha256 must be 64 hex digits: printf %s "$KEY" | sha256sum prints them'
            problems.add((*path, "sha256"), text)
        elif key.sha256 != STAND_IN_DIGEST:
            _check_digest(path, bytes.fromhex(key.sha256), holders, problems)


def _check_digest(path: KeyPath, digest: bytes, holders: dict[bytes, str], problems: Problems) -> None:
    if digest == _OF_NOTHING:
        problems.add((*path, "sha256"), "sha256 is that of no key at all; was the key's variable empty?")
    other = holders.setdefault(digest, path[-1])
    if other != path[-1]:
        problems.add((*path, "sha256"), f"[keys.{other}] has the same sha256; a key is one user's")


def _check_names(path: KeyPath, key: KeySettings, problems: Problems) -> None:
    rule = f"1 to {LONGEST_NAME} printable characters"
    if not is_name(path[-1]):
        problems.add(path, f"the key {path[-1][:20]!r} must have a name of {rule}")
    for field in ("user", "team"):
        text = getattr(key, field)
        if text and not is_name(text):
            problems.add((*path, field), f"{field} must be {rule}")


def client_key(name: str, settings: KeySettings) -> ClientKey:
    """Return the key that `settings`, which were checked, describe."""
    return ClientKey(
        name=name,
        digest=bytes.fromhex(settings.sha256),
        caller=Caller(user=settings.user or name, team=settings.team),
        role=Role[settings.role.upper()],
        speaks=settings.speaks,
    )
