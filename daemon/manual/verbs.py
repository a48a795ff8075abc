"""The verbs of fairlead(1), from their parsers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from daemon.cli.actions import actions_of, children_of, positionals_of
from daemon.cli.main import VERBS, parser_of
from daemon.manual.mdoc import Item, items, plain, prose

__all__ = ["verb_lines"]


def verb_lines() -> Iterator[str]:
    """Yield a subsection for each verb: how it is called, what it does, its arguments and options."""
    for name in VERBS:
        parser = parser_of(name)
        yield f".Ss {name}"
        yield from _called(f"fairlead {name}", parser)
        yield from _told(parser.description or VERBS[name].help)
        yield from _taken(parser)
        for action in positionals_of(parser):
            for word, (child, text) in children_of(action).items():
                yield ".Pp"
                yield from _called(f"fairlead {name} {word}", child)
                yield from (".Pp", *prose(_sentence(text)), *_taken(child))


def _called(command: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    required = [action for action in actions_of(parser) if action.required and action.option_strings]
    words = [f"Cm {word}" for word in command.split()[1:]]
    words += [_spelled(action) for action in required]
    optional = any(one.option_strings and not one.required and one.dest != "help" for one in actions_of(parser))
    words += ["Oo Ar options Oc"] if optional else []
    words += [_place(action) for action in positionals_of(parser)]
    yield f".D1 Nm fairlead {' '.join(words)}"


def _told(text: str) -> Iterator[str]:
    for block in re.split(r"\n{2,}", text.strip()):
        yield from (".Pp", *prose(" ".join(block.split())))


def _taken(parser: argparse.ArgumentParser) -> Iterator[str]:
    taken = [action for action in actions_of(parser) if action.dest != "help" and not children_of(action)]
    if taken:
        yield from (".Pp", *items(_item(action) for action in taken))


def _item(action: argparse.Action) -> Item:
    text = (action.help or "") % {**vars(action), "prog": "fairlead"}
    # Long lists of choices go below; where a metavar stands for them, nobody else tells them.
    choices = f"One of {', '.join(f'`{choice}`' for choice in action.choices)}." if action.choices else ""
    head = _spelled(action) if action.option_strings else _place(action)
    return head, prose(f"{_sentence(text)} {choices}".strip())


def _spelled(action: argparse.Action) -> str:
    spelled = " , ".join(f"Fl {option[1:]}" for option in sorted(action.option_strings, key=len))
    return spelled if action.nargs == 0 else f"{spelled} Ar {plain(_value_name(action))}"


def _place(action: argparse.Action) -> str:
    name = f"Ar {plain(_value_name(action))}"
    return f"Oo {name} Oc" if action.nargs in {"?", "*"} else name


def _value_name(action: argparse.Action) -> str:
    named = action.metavar if isinstance(action.metavar, str) else None
    return named or action.dest.upper()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text and not text.endswith((".", "…")) else text
