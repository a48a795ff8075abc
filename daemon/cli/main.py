"""The command `fairlead`: finds the verb, imports its module alone, and turns what goes wrong into exit codes."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from typing import Final, NamedTuple

from daemon.cli.exits import Exit, VerbFailed
from daemon.service.journald import is_journal, prefixed

__all__ = ["main"]


class _Verb(NamedTuple):
    module: str
    help: str


_VERBS: Final = {
    "serve": _Verb("serve", "run the daemon in the foreground"),
    "demo": _Verb("demo", "see it work: simulated providers, an outage, the fallback, the recovery"),
    "check": _Verb("check", "report every problem of the configuration"),
    "status": _Verb("status", "problems first, then every target"),
    "route": _Verb("route", "where a request would go now, and why"),
    "explain": _Verb("explain", "the story of a request: each candidate, each attempt, and why"),
    "replay": _Verb("replay", "make recorded choices again, and show where the code of now differs"),
    "simulate": _Verb("simulate", "replay the history through another configuration: what would have changed"),
    "events": _Verb("events", "fallbacks, standings, probes, operations and alerts, as they happen"),
    "costs": _Verb("costs", "what requests cost, by team, user, workload, target or day, and what routing saved"),
    "review": _Verb("review", "answers that a person is to look at: list, approve, reject"),
    "probe": _Verb("probe", "check a target now"),
    "report": _Verb("report", "tell the daemon how a call of your own went"),
    "drain": _Verb("drain", "stop new requests to a target"),
    "resume": _Verb("drain", "allow new requests to a target again"),
    "mock-fault": _Verb("mock_fault", "let the next requests of a workload see a fault, to rehearse its fallbacks"),
    "sql": _Verb("sql", "read the history with SQL"),
    "history": _Verb("history", "check the history, back it up, prune it, export it"),
    "reload": _Verb("reload", "validate and swap the daemon's configuration"),
    "keys": _Verb("keys", "the keys by which clients over TCP are known: add, list, revoke"),
    "config": _Verb("config", "write a start file, or print the file's JSON Schema"),
    "version": _Verb("version", "print the version"),
}
_ERROR: Final = 3
"""syslog(3)'s."""
_EPILOG: Final = (
    "exit codes: 0 fine, 1 failed or degraded, 2 usage, 3 no daemon on that socket, 4 not permitted, "
    "5 invalid configuration, 6 timed out"
)


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"-h", "--help"}:
        return _help(Exit.USAGE if not words else Exit.FINE)
    name = {"--version": "version", "-V": "version"}.get(words[0], words[0])
    verb = _VERBS.get(name)
    if verb is None:
        near = difflib.get_close_matches(name, _VERBS, n=1)
        hint = f" Did you mean {near[0]}?" if near else " See fairlead --help."
        print(f"fairlead: there is no verb {name}.{hint}", file=sys.stderr)
        return Exit.USAGE
    return _run(name, verb, words[1:])


def _run(name: str, verb: _Verb, words: list[str]) -> int:
    module = importlib.import_module(f"daemon.cli.{verb.module}")
    parser = argparse.ArgumentParser(prog=f"fairlead {name}", description=module.__doc__, epilog=_EPILOG)
    parser.set_defaults(verb=name)
    module.configure(parser)
    options = parser.parse_args(words)
    try:
        return int(module.run(options))
    except VerbFailed as failure:
        print(_urgent(f"fairlead {name}: {failure}"), file=sys.stderr)
        return failure.exit
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody to tell
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _urgent(text: str) -> str:
    """Return a message as an error for the journal, where that is what reads standard error: a failed start is one."""
    if "JOURNAL_STREAM" not in os.environ:
        return text
    return prefixed(text, _ERROR) if is_journal(os.environ, sys.stderr.fileno()) else text


def _help(code: Exit) -> int:
    width = max(map(len, _VERBS))
    lines = [f"  {name:<{width}}  {verb.help}" for name, verb in _VERBS.items()]
    text = "\n".join(
        ["usage: fairlead VERB [OPTIONS]", "", "Routes LLM requests to the fastest healthy provider.", "", *lines]
    )
    print(f"{text}\n\n`fairlead VERB --help` tells more.\n{_EPILOG}", file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
