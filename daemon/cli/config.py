"""Show what is in force and who set it, write a start file from the keys in the environment, print the JSON Schema."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from daemon.cli.config_show import configure_show, show
from daemon.cli.exits import Exit, VerbFailed
from daemon.config.discovery import KNOWN
from daemon.config.schema import configuration_schema

__all__ = ["configure", "run"]

_HEAD = """# fairlead's configuration. `fairlead check` finds every mistake; `fairlead reload` puts it in force.
version = 1

[daemon]
listen = ["127.0.0.1:4180"]     # for clients that know only URLs; the Unix socket is always there
"""
_PROVIDER = """
[providers.{name}]
dialect = "{dialect}"
base_url = "{base_url}"
api_key = "${{env:{variable}}}"
models = {models}
"""
_WORKLOAD = """
[workloads.chat]
targets = {targets}
strategy = "lowest-latency"     # or priority, round-robin, weighted
default = true
"""
_LAB = """
# No key was found in the environment. These simulated targets let you look around.
[providers.lab]
dialect = "simulated"
models = ["fast", "steady", "flaky"]
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|init|schema")
    configure_show(actions.add_parser("show", help="print every value in force, as TOML; secrets are left out"))
    init = actions.add_parser("init", help="print a start file, or write it with --output")
    init.add_argument("--output", metavar="FILE", help="must not exist yet")
    actions.add_parser("schema", help="print the JSON Schema")


def run(options: argparse.Namespace) -> Exit:
    """Print or write."""
    if options.action == "show":
        return show(options)
    if options.action == "schema":
        print(json.dumps(configuration_schema(), indent=2))
        return Exit.FINE
    text = _start_file()
    if options.output is None:
        print(text, end="")
        return Exit.FINE
    try:
        with Path(options.output).open("x") as file:
            file.write(text)
    except OSError as error:
        raise VerbFailed(Exit.FAILED, f"{options.output}: cannot be written: {error.strerror}") from error
    print(f"wrote {options.output}; now: fairlead check --config {options.output}")
    return Exit.FINE


def _start_file() -> str:
    found = [known for known in KNOWN if os.environ.get(known.variable)]
    providers = [
        _PROVIDER.format(
            name=known.name,
            dialect=known.dialect.value,
            base_url=known.base_url,
            variable=known.variable,
            models=json.dumps(list(known.models)),
        )
        for known in found
    ]
    targets = [f"{known.name}/{model}" for known in found for model in known.models]
    targets = targets or ["lab/fast", "lab/steady", "lab/flaky"]
    return _HEAD + "".join(providers or [_LAB]) + _WORKLOAD.format(targets=json.dumps(targets))
