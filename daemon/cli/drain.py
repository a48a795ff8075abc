"""Stop or allow new requests to a target; what is under way finishes. Recorded in the history."""

from __future__ import annotations

import argparse

from daemon.cli.client import ask, configure_client, print_json, target_url
from daemon.cli.exits import Exit, VerbFailed
from state.durations import LONGEST_DRAIN_S, parse_duration

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `drain`, and of `resume`, which is this module too."""
    parser.add_argument("target", help="as provider/model")
    if parser.get_default("verb") == "drain":
        parser.add_argument("--for", dest="duration", metavar="30m", help="until then; without it until `resume`")
        parser.add_argument("--reason", default="", help="shown in status and kept in the history")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Drain or resume the target."""
    body = {} if options.verb == "resume" else {"for_s": _seconds(options.duration), "reason": options.reason}
    answer = ask(options, "POST", target_url(options.target, options.verb), body)
    if options.json:
        print_json(options.verb, answer)
    else:
        lasting = f" for {options.duration}" if options.verb == "drain" and options.duration else ""
        print(f"{answer['target']} {'drained' if answer['drained'] else 'resumed'}{lasting}")
    return Exit.FINE


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--for: {error}") from error
    if seconds <= 0:
        raise VerbFailed(Exit.USAGE, f"--for: {text} is no time at all")
    if seconds > LONGEST_DRAIN_S:
        message = "--for: a drain lasts at most ten years; without --for it lasts until `fairlead resume`"
        raise VerbFailed(Exit.USAGE, message)
    return float(seconds)
