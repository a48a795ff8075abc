"""Make recorded choices again, from what they were made from, with the code that chooses now."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from daemon.cli.client import configure_client, history_to_read, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.tables import render_table
from daemon.replay.comparing import Comparison, Finding, Made, compared
from daemon.replay.fingerprint import fingerprint
from state.durations import parse_duration
from state.errors import HistoryError
from state.history.decisions import RecordedChoice, choices_of, choices_since, last_request

__all__ = ["configure", "run"]

_SHOWN: Final = 1000
"""Differences that are told one by one; beyond it they are counted."""


class _Tally:
    """What came of all choices together."""

    def __init__(self) -> None:
        self.findings: Counter[Finding] = Counter()
        self.stand_for = 0
        self.other_code = 0

    def count(self, one: Comparison) -> None:
        self.findings[one.finding] += 1
        if one.finding in {Finding.REPRODUCED, Finding.DIFFERS}:
            self.stand_for += one.row.sampled_of
            self.other_code += one.row.code != fingerprint()

    @property
    def replayed(self) -> int:
        return self.findings[Finding.REPRODUCED] + self.findings[Finding.DIFFERS]

    @property
    def exit(self) -> Exit:
        wrong = self.findings[Finding.DIFFERS] + self.findings[Finding.UNREADABLE]
        return Exit.FINE if self.replayed and not wrong else Exit.FAILED


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("request", nargs="?", metavar="REQUEST_ID", help="a request's id (x-request-id), or `last`")
    which.add_argument("--since", metavar="1h", help="every choice of the last 1h, 30m, 7d …")
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Replay, tell what differs, and end with 0 only where something was replayed and all of it came out alike."""
    tally = _Tally()
    try:
        worth_telling = _worth_telling(map(compared, _rows(options)), tally)
        if options.json:
            differences = [_as_json(one) for one in worth_telling]
            print_json("replay", {**_totals(tally), "differences": differences})
        else:
            for one in worth_telling:
                _tell(one)
            _sum_up(tally)
    except HistoryError as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error
    return tally.exit


def _rows(options: argparse.Namespace) -> Iterator[RecordedChoice]:
    path = history_to_read(options)
    if options.since is not None:
        try:
            return choices_since(path, parse_duration(options.since))
        except ValueError as error:
            raise VerbFailed(Exit.USAGE, f"--since: {error}") from error
    request = last_request(path) if options.request == "last" else options.request
    return choices_of(path, request or "")


def _worth_telling(comparisons: Iterable[Comparison], tally: _Tally) -> Iterator[Comparison]:
    """Count all of them; yield the first that differ or cannot be read."""
    told = 0
    for one in comparisons:
        tally.count(one)
        if one.finding in {Finding.DIFFERS, Finding.UNREADABLE} and told < _SHOWN:
            told += 1
            yield one


def _tell(one: Comparison) -> None:
    row = one.row
    if one.then is None or one.now is None:
        print(f"{row.request_id} {row.number}. at {row.at}: cannot be read ({one.why})\n")
        return
    print(f"{row.request_id} {row.number}. at {row.at}: chose {_chosen(one.then)}, now {_chosen(one.now)}")
    if row.code != fingerprint():
        print(f"   chosen by other code: {row.code}, this is {fingerprint()}")
    if one.then.reason != one.now.reason:
        print(f"   because: {one.then.reason}\n   now:     {one.now.reason}")
    then, now = one.then.candidates, one.now.candidates
    rows = [(target, _seen(then.get(target)), _seen(now.get(target))) for target in one.differing]
    for line in render_table(("CANDIDATE", "THEN", "NOW"), rows).splitlines() if rows else ():
        print(f"   {line}")
    print()


def _chosen(made: Made) -> str:
    score = "" if made.score is None else f" (score {made.score:.6g})"
    return f"{made.chosen or 'nobody'}{score}"


def _seen(candidate: Mapping[str, Any] | None) -> str:
    if candidate is None:
        return "no candidate"
    if "skipped" in candidate:
        return str(candidate["skipped"])
    terms = ", ".join(f"{name} {_number(value)}" for name, value in candidate.get("terms", {}).items())
    return f"{_number(candidate.get('score'))}: {terms}"


def _number(value: float | None) -> str:
    return "beyond JSON" if value is None else f"{value:.6g}"


def _sum_up(tally: _Tally) -> None:
    found, unreadable = tally.findings, tally.findings[Finding.UNREADABLE]
    words = [
        f"{tally.replayed} choices replayed",
        f"{found[Finding.REPRODUCED]} reproduced",
        f"{found[Finding.DIFFERS]} differ",
        f"{found[Finding.WITHOUT_SETTING]} without a setting",
        *([f"{unreadable} cannot be read"] if unreadable else []),
    ]
    print(", ".join(words))
    if tally.stand_for > tally.replayed:
        print(f"they are a sample of {tally.stand_for}")
    if tally.other_code:
        print(f"{tally.other_code} of them were made by other code than this ({fingerprint()})")
    if not found.total():
        print("no such choice is recorded: they are kept for 7 days, and sampled above a rate")


def _totals(tally: _Tally) -> dict[str, Any]:
    found = tally.findings
    return {
        "code": fingerprint(),
        "replayed": tally.replayed,
        "reproduced": found[Finding.REPRODUCED],
        "differ": found[Finding.DIFFERS],
        "without_setting": found[Finding.WITHOUT_SETTING],
        "unreadable": found[Finding.UNREADABLE],
        "stand_for": tally.stand_for,
        "other_code": tally.other_code,
    }


def _as_json(one: Comparison) -> dict[str, Any]:
    row = one.row
    return {
        "request_id": row.request_id,
        "number": row.number,
        "at": row.at,
        "code": row.code,
        "finding": one.finding.value,
        "why": one.why,
        "then": one.then and _made_as_json(one.then),
        "now": one.now and _made_as_json(one.now),
        "differing": one.differing,
    }


def _made_as_json(made: Made) -> dict[str, Any]:
    return {
        "chosen": made.chosen,
        "score": made.score,
        "strategy": made.strategy,
        "reason": made.reason,
        "candidates": list(made.candidates.values()),
    }
