"""Show problems first, then every target: its standing and why, its latency, what is in flight, what it waits for."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from daemon.cli.client import ask, configure_client, print_json, target_url
from daemon.cli.exits import Exit
from daemon.cli.tables import render_table

__all__ = ["configure", "run"]

_MOST_BUDGETS = 10
_MUCH = 0.8
"""The share of a budget from which on it is marked."""

_COLUMNS = (
    "TARGET",
    "STANDING",
    "FIRST TOKEN",
    "PACE",
    "P50",
    "P95",
    "SUCCESS",
    "IN FLIGHT",
    "LEFT",
    "HEADROOM",
    "WHY",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("target", nargs="?", help="only this one, as provider/model")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    parser.add_argument("--watch", action="store_true", help="again every two seconds, until interrupted")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the status; the exit code is 0 where nothing is wrong."""
    while True:
        code = _show(options)
        if not options.watch:
            return code
        time.sleep(2)
        if sys.stdout.isatty():
            print("\x1b[H\x1b[2J", end="")


def _show(options: argparse.Namespace) -> Exit:
    if options.target:
        target = ask(options, "GET", target_url(options.target))
        if options.json:
            print_json("status", {"targets": [target]})
        else:
            print(_table([target]))
        return Exit.FINE if target["standing"] in {"healthy", "unproven"} and not target["drained"] else Exit.FAILED
    status = ask(options, "GET", "/fairlead/v1/status")
    if options.json:
        print_json("status", status)
    else:
        _print_status(status)
    return Exit.FINE if status["ready"] and not status["problems"] else Exit.FAILED


def _print_status(status: dict[str, Any]) -> None:
    for problem in status["problems"]:
        print(f"! {problem}")
    for order in status["rehearsals"]:
        print(f"~ the next {order['count']} requests of {order['workload']} see {order['fault']}, by {order['by']}")
    troubles = _troubles(status["targets"])
    for trouble in troubles:
        print(f"~ {trouble}")
    if status["problems"] or status["rehearsals"] or troubles:
        print()
    print(_table(status["targets"]))
    print()
    for canaries in status["canaries"]:
        spent, most = canaries["spent_usd"], canaries["usd_per_day"]
        print(f"canaries at {canaries['provider']}: ${spent:.4f} of ${most:g} in 24 hours")
    for budget in status.get("budgets", [])[:_MOST_BUDGETS]:
        print(_budget(budget))
    print(_history(status["history"]))
    for workload in status["workloads"]:
        mark = " (default)" if workload["default"] else ""
        waiting = f", {workload['waiting']} waiting" if workload["waiting"] else ""
        print(
            f"{workload['name']}{mark}: {workload['strategy']}, "
            f"{len(workload['available'])} of {len(workload['targets'])} available{waiting}"
        )


def _history(told: dict[str, Any]) -> str:
    """Return how large the history is, and where an earlier one lies that was damaged."""
    aside = told.get("set_aside")
    notice = f"; a damaged one was set aside as {aside}" if aside else ""
    return f"{'~ ' if aside else ''}history {told['path']}: {told.get('bytes', 0) / 1e6:.1f} MB{notice}"


def _budget(told: dict[str, Any]) -> str:
    """Return how a limit in dollars stands, marked where most of it is used."""
    whose = f" of {told['subject']}" if told["subject"] else ""
    aside = f", ${told['reserved_usd']:.2f} set aside" if told["reserved_usd"] else ""
    spent, most = told["spent_usd"], told["limit_usd"]
    mark = "~ " if told["used"] >= _MUCH else ""
    return f"{mark}limit {told['limit']}{whose}: ${spent:.2f} of ${most:.2f} this {told['period']}{aside}"


def _troubles(targets: list[dict[str, Any]]) -> list[str]:
    """Return a line for each provider whose own status page says that it has trouble."""
    pages = {target["target"].partition("/")[0]: target["page"] for target in targets if target["page"]}
    return [
        f"{provider} says on its status page, read {page['age_s']:.0f}s ago: {page['text'] or 'trouble'}"
        for provider, page in pages.items()
        if page["level"]
    ]


def _table(targets: list[dict[str, Any]]) -> str:
    return render_table(_COLUMNS, [_row(target) for target in targets])


def _row(target: dict[str, Any]) -> tuple[object, ...]:
    standing = target["standing"] + (" drained" if target["drained"] else "")
    ratio = target["success_ratio"]
    left = target["cooldown_s"] or target["rate_limited_s"] or target["drained_for_s"]
    why = target["drain_reason"] if target["drained"] else target["cause"]
    if not why and target["rate_limited_s"]:
        why = "rate limited"
    return (
        target["target"],
        standing,
        *_estimate(target["estimate"]),
        _ms(target["p50_ms"]),
        _ms(target["p95_ms"]),
        None if ratio is None else f"{ratio * 100:.0f}%",
        f"{target['in_flight']}/{target['max_in_flight']}",
        None if left is None else f"{left:.0f}s",
        _headroom(target["headroom"]),
        why,
    )


def _estimate(told: dict[str, Any] | None) -> tuple[str | None, str | None]:
    """Return the first token with its uncertainty, such as `412ms ±12%`, and the pace, such as `80/s`."""
    if told is None:
        return None, None
    pace = None if told["tokens_per_second"] is None else f"{told['tokens_per_second']:.0f}/s"
    return f"{told['first_token_ms']:.0f}ms ±{told['uncertainty'] * 100:.0f}%", pace


def _headroom(told: dict[str, Any] | None) -> str | None:
    """Return what is left of the provider's limits, such as `3/60, 12000 tokens`."""
    parts = []
    for unit, account in (told or {}).items():
        if account is not None:
            limit = "" if account["limit"] is None else f"/{account['limit']:.0f}"
            parts.append(f"{account['left']:.0f}{limit}{' tokens' if unit == 'tokens' else ''}")
    return ", ".join(parts) or None


def _ms(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}ms"
