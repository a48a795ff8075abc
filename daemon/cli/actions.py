"""What a verb's parser takes, for those who tell of it: the completion and the manual."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

__all__ = ["actions_of", "children_of", "positionals_of"]


def actions_of(parser: argparse.ArgumentParser) -> tuple[argparse.Action, ...]:
    """Return the options and arguments of a parser, those that are kept to itself left out."""
    every = parser._actions  # noqa: SLF001 - argparse has no other way to ask, and has kept this one since Python 2.7
    return tuple(action for action in every if action.help != argparse.SUPPRESS)


def positionals_of(parser: argparse.ArgumentParser) -> tuple[argparse.Action, ...]:
    """Return the arguments of a parser that are told by their place."""
    return tuple(action for action in actions_of(parser) if not action.option_strings)


def children_of(action: argparse.Action) -> Mapping[str, tuple[argparse.ArgumentParser, str]]:
    """Return the parsers that an argument chooses among, each with its help, by their words; none for all others."""
    chooser: Any = action
    if not isinstance(chooser.choices, Mapping):
        return {}
    help_of = {choice.dest: choice.help or "" for choice in chooser._get_subactions()}  # noqa: SLF001 - the same
    return {word: (parser, help_of.get(word, "")) for word, parser in chooser.choices.items()}
