"""The keys by which clients over TCP are known: `add` makes one, `list` shows whose there are, `revoke` takes one out.

The files hold the SHA-256 alone. A key is shown once, on stdout, with nothing around it; what changes is in force after
`fairlead reload`. See docs/access.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from daemon.cli.client import ask, configure_client, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.tables import render_table
from daemon.config.key_file import KeyFiles, NewKey
from daemon.config.places import config_files
from daemon.config.settings import KeySettings
from daemon.limits.caller import LONGEST_NAME, is_name
from state.errors import ConfigError

__all__ = ["configure", "run"]

_BYTES: Final = 32
"""256 bits: a key that is hashed once, and fast, must be too long to guess."""
_SHOWN: Final = 8
"""Of a digest's digits: enough to tell two keys apart, and to find one that leaked by its hash."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list|revoke")
    add = actions.add_parser("add", help="make a key, print it, and write its digest into the configuration")
    add.add_argument("name", metavar="NAME", help="of the key: whose it is, and where")
    add.add_argument("--user", default="", help="whom its requests are counted for [NAME]")
    add.add_argument("--team", default="", help="likewise")
    add.add_argument("--role", choices=("reader", "client"), default="client", help="what its holder may do [client]")
    add.add_argument("--speaks", action="store_true", help="its holder may say for whom a request is")
    listing = actions.add_parser("list", help="show the keys, without their digests")
    listing.add_argument("--json", action="store_true", help="print a versioned JSON object")
    revoke = actions.add_parser("revoke", help="take a key out of the configuration")
    revoke.add_argument("name", metavar="NAME")
    for action in (add, listing, revoke):
        action.add_argument("--config", metavar="FILE", help="[env: FAIRLEAD_CONFIG]")
    for action in (add, revoke):
        action.add_argument("--reload", action="store_true", help="put it in force at once: `fairlead reload`")
        configure_client(action)


def run(options: argparse.Namespace) -> Exit:
    """Add, list or revoke."""
    files = config_files(options.config, os.environ, os.getuid())
    if not files:
        message = "there is no configuration file to keep keys in; `fairlead config init --output FILE` writes one"
        raise VerbFailed(Exit.INVALID_CONFIGURATION, message)
    try:
        known = _readable(files).read()
        return _ACTIONS[options.action](options, KeyFiles(files, os.environ), known)
    except ConfigError as error:
        raise VerbFailed(Exit.INVALID_CONFIGURATION, str(error)) from error
    except OSError as error:
        code = Exit.NOT_PERMITTED if isinstance(error, PermissionError) else Exit.FAILED
        raise VerbFailed(code, f"{error.filename}: cannot be changed: {error.strerror}") from error


def _readable(files: tuple[Path, ...]) -> KeyFiles:
    for file in files:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise VerbFailed(
                Exit.USAGE, f"{file}: is no regular file, so no key can be kept in it; name one (--config)"
            )
        if file.exists() and not os.access(file, os.R_OK):
            raise VerbFailed(Exit.NOT_PERMITTED, f"{file}: may not be read by this user; ask root")
    return KeyFiles(files, os.environ)


def _add(options: argparse.Namespace, files: KeyFiles, known: dict[str, KeySettings]) -> Exit:
    for option in ("name", "user", "team"):
        text = getattr(options, option)
        if not is_name(text) and (text or option == "name"):
            raise VerbFailed(Exit.USAGE, f"{option}: give 1 to {LONGEST_NAME} printable characters")
    if options.name in known:
        raise VerbFailed(Exit.FAILED, f"there is a key {options.name} already; revoke it, or choose another name")
    key = f"fl-{secrets.token_urlsafe(_BYTES)}"
    settings = KeySettings(
        sha256=hashlib.sha256(key.encode()).hexdigest(),
        user=options.user,
        team=options.team,
        role=options.role,
        speaks=options.speaks,
        made=datetime.now(UTC).replace(microsecond=0),
    )
    file = files.add(NewKey(name=options.name, settings=settings))
    print(key, flush=True)
    _tell(options, f"{options.name} is in {file}; its key is shown this once")
    return Exit.FINE


def _revoke(options: argparse.Namespace, files: KeyFiles, known: dict[str, KeySettings]) -> Exit:
    if options.name not in known:
        raise VerbFailed(Exit.FAILED, f"there is no key {options.name}; there are {', '.join(known) or 'none'}")
    held = files.revoke(options.name)
    _tell(options, f"{options.name} is no longer in {', '.join(map(str, held))}")
    return Exit.FINE


def _tell(options: argparse.Namespace, what: str) -> None:
    """Say on stderr what was done, and put it in force where that was asked for."""
    if not options.reload:
        print(f"fairlead keys: {what}. A running daemon knows after: fairlead reload", file=sys.stderr)
        return
    print(f"fairlead keys: {what}.", file=sys.stderr)  # the file has it, whatever becomes of the reload
    ask(options, "POST", "/fairlead/v1/reload")
    print("fairlead keys: the daemon knows.", file=sys.stderr)


def _list(options: argparse.Namespace, _: KeyFiles, known: dict[str, KeySettings]) -> Exit:
    shown = [_shown(name, key) for name, key in known.items()]
    if options.json:
        print_json("keys", {"keys": shown})
    elif shown:
        rows = [[*(key | {"speaks": "yes" if key["speaks"] else None}).values()] for key in shown]
        print(render_table([column.upper() for column in shown[0]], rows))
    else:
        print("there is no key; fairlead keys add NAME makes one")
    return Exit.FINE


def _shown(name: str, key: KeySettings) -> dict[str, Any]:
    return {
        "name": name,
        "user": key.user or name,
        "team": key.team or None,
        "role": key.role,
        "speaks": key.speaks,
        "made": key.made.isoformat() if key.made else None,
        "sha256": key.sha256[:_SHOWN].lower(),
    }


_ACTIONS: Final = {"add": _add, "list": _list, "revoke": _revoke}
