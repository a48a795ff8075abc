"""Print the completion of bash, zsh or fish: verbs, options, choices, and the names of targets and workloads.

bash: source <(fairlead completion bash), in ~/.bashrc; zsh: source <(fairlead completion zsh), in ~/.zshrc behind
compinit; fish: fairlead completion fish | source, in ~/.config/fish/config.fish.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import resources
from typing import Final

from daemon.cli.exits import Exit

__all__ = ["configure", "run"]

_SCRIPTS: Final[Mapping[str, str]] = {
    "bash": "fairlead.bash",
    "zsh": "_fairlead",
    "fish": "fairlead.fish",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's argument."""
    parser.add_argument("shell", choices=tuple(_SCRIPTS), help="whose completion")


def run(options: argparse.Namespace) -> Exit:
    """Print the script. It asks fairlead itself what may stand next, and so needs no renewal with it."""
    folder = resources.files("daemon.cli") / "shells"
    print((folder / _SCRIPTS[options.shell]).read_text(encoding="utf-8"), end="")
    return Exit.FINE
