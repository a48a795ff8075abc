"""Say what may stand next on the command line: what the scripts of `fairlead completion` ask at each press of Tab."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from daemon.cli.actions import actions_of, children_of, positionals_of
from daemon.cli.client import answer_within
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.main import VERBS, parser_of

__all__ = ["FILES", "Candidate", "Names", "candidates", "configure", "run"]

FILES: Final = ":files"
"""The candidate that stands for whatever files there are: shells know better how to complete those."""
_PATIENCE_S: Final = 0.5
"""Whoever presses Tab does not wait for a daemon that is busy."""
_TARGETS: Final = frozenset({"target", "TARGET"})
_WORKLOADS: Final = frozenset({"workload"})
_FILES: Final = frozenset({"FILE", "PATH", "FOLDER", "DIR"})


class Candidate(NamedTuple):
    """A word that may stand next, and what it means."""

    word: str
    help: str = ""


Names = Callable[[str], Iterable[str]]
"""Gives the names of the running daemon's `targets` or `workloads`, none where it does not answer."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Take the words behind `fairlead`, the last of them unfinished."""
    parser.add_argument("words", nargs=argparse.REMAINDER)


def run(options: argparse.Namespace) -> Exit:
    """Print a line for each candidate: the word, a tab, what it means."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    for candidate in candidates(words, partial(_names, words)):
        print(f"{candidate.word}\t{' '.join(candidate.help.split())}")
    return Exit.FINE


def candidates(words: Sequence[str], names: Names) -> list[Candidate]:
    """Return what the last of `words` may become, in the order of the help."""
    *before, begun = words or [""]
    offered = _Reading(before).offer(begun, names) if before else _verbs()
    return [one for one in offered if one.word == FILES or one.word.startswith(begun)]


def _verbs() -> Iterator[Candidate]:
    yield from (Candidate(name, verb.help) for name, verb in VERBS.items())
    yield from (Candidate("--help"), Candidate("--version"))


class _Reading:
    """How far the words before the unfinished one have come in a verb's grammar."""

    def __init__(self, before: Sequence[str]) -> None:
        """Read them; of an unknown verb nothing is known."""
        self._parser = parser_of(before[0]) if before[0] in VERBS else None
        self._places = list(positionals_of(self._parser)) if self._parser else []
        self._given: set[str] = set()
        self._waiting: argparse.Action | None = None
        for word in before[1:]:
            self._take(word)

    def offer(self, begun: str, names: Names) -> Iterator[Candidate]:
        """Yield what may stand where `begun` stands."""
        option, equals, _ = begun.partition("=")
        if self._waiting is not None:
            yield from _values(self._waiting, names)
        elif equals and (action := self._options().get(option)) is not None:
            yield from (_joined(option, one) for one in _values(action, names))
        elif begun.startswith("-") or not self._places:
            yield from self._spelled()
        else:
            yield from _values(self._places[0], names)

    def _options(self) -> dict[str, argparse.Action]:
        every = actions_of(self._parser) if self._parser else ()
        return {spelling: action for action in every for spelling in action.option_strings}

    def _spelled(self) -> Iterator[Candidate]:
        """Yield the options that were not given yet, each by its long name."""
        for action in dict.fromkeys(self._options().values()):
            if action.dest not in self._given:
                yield Candidate(max(action.option_strings, key=len), _plain(action))

    def _take(self, word: str) -> None:
        if self._waiting is not None:
            self._waiting = None
        elif word.startswith("-") and word != "-":
            self._take_option(*word.partition("="))
        elif self._places:
            self._take_place(word)

    def _take_option(self, spelling: str, equals: str, _value: str) -> None:
        action = self._options().get(spelling)
        if action is not None:
            self._given.add(action.dest)
            self._waiting = action if action.nargs != 0 and not equals else None

    def _take_place(self, word: str) -> None:
        place = self._places[0]
        children = children_of(place)
        if word in children:
            self._parser = children[word][0]
            self._places = list(positionals_of(self._parser))
        elif place.nargs not in {"*", "+", argparse.REMAINDER}:
            del self._places[0]


def _values(action: argparse.Action, names: Names) -> Iterator[Candidate]:
    """Yield what an argument, or an option's value, may be."""
    if children := children_of(action):
        yield from (Candidate(word, text) for word, (_, text) in children.items())
    elif action.choices is not None:
        yield from (Candidate(str(choice)) for choice in action.choices)
    else:
        yield from _open_values({action.dest, str(action.metavar)}, names)


def _open_values(called: set[str], names: Names) -> Iterator[Candidate]:
    """Yield what is known of an argument by what it is called."""
    if "what" in called:
        yield Candidate("last", "the last request")
    if called & {*_WORKLOADS, "what"}:
        yield from (Candidate(name, "workload") for name in names("workloads"))
    elif called & _TARGETS:
        yield from (Candidate(name, "target") for name in names("targets"))
    elif called & _FILES:
        yield Candidate(FILES)


def _joined(option: str, value: Candidate) -> Candidate:
    return value if value.word == FILES else Candidate(f"{option}={value.word}", value.help)


def _plain(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": "fairlead"}


def _names(words: Sequence[str], kind: str) -> list[str]:
    """Return the names that the daemon knows; a daemon that does not answer at once knows none."""
    at = [index for index, word in enumerate(words[:-1]) if word == "--socket"]
    socket = words[at[-1] + 1] if at else next((w[9:] for w in words if w.startswith("--socket=")), None)
    try:
        status: Any = answer_within(argparse.Namespace(socket=socket), _PATIENCE_S, "/fairlead/v1/status")
    except VerbFailed:
        return []
    return [one["target" if kind == "targets" else "name"] for one in status[kind]]
