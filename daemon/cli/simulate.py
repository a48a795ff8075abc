"""Replay the recorded history through another configuration, and say what would have changed. See docs/simulate.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from daemon.cli.client import configure_client, history_to_read, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.tables import render_table
from daemon.config.configuration import Configuration
from daemon.config.load import load
from daemon.whatif.report import costs_rest_on, coverage, lines_of, members_of
from daemon.whatif.rerun import Rerun
from daemon.whatif.tally import Findings
from state.durations import parse_duration
from state.errors import ConfigError, HistoryError
from state.history.journeys import Journeys

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--config", metavar="FILE", required=True, help="the configuration to ask instead")
    parser.add_argument("--since", metavar="24h", default="24h", help="the requests of the last 24h, 30m, 7d …")
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Simulate; the exit code is 5 where the configuration is invalid, 1 where there is nothing to replay."""
    try:
        seconds = parse_duration(options.since)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--since: {error}") from error
    try:
        configuration = load((Path(options.config),), os.environ)
    except ConfigError as error:
        _refuse(options, error.problems)
        return Exit.INVALID_CONFIGURATION
    try:
        findings = _findings(options, configuration, seconds)
    except HistoryError as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error
    if not findings.total.requests:
        raise VerbFailed(Exit.FAILED, f"the history holds no request of the last {options.since}: nothing to replay")
    if options.json:
        print_json("simulate", {"config": options.config, "since": options.since, **members_of(findings)})
    else:
        print("\n".join(_told(options, findings)))
    return Exit.FINE


def _refuse(options: argparse.Namespace, problems: tuple[str, ...]) -> None:
    if options.json:
        print_json("simulate", {"config": options.config, "problems": problems})
        return
    for problem in problems:
        print(problem, file=sys.stderr)


def _findings(options: argparse.Namespace, configuration: Configuration, seconds: float) -> Findings:
    findings = Findings()
    with closing(Journeys(history_to_read(options))) as journeys:
        for result in Rerun(configuration, journeys).results(seconds):
            findings.add(result)
    return findings


def _told(options: argparse.Namespace, findings: Findings) -> Iterator[str]:
    yield f"{findings.total.requests} requests of the last {options.since}, through {options.config}"
    yield from coverage(findings)
    for name, tally in findings.tables:
        yield f"\n{name}: {tally.requests} requests, {tally.compared} compared"
        yield render_table(("", "RECORDED", "EXPECTED"), list(lines_of(tally)))
        yield costs_rest_on(tally)
