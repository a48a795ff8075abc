"""Tell the story of a request: who could have taken it and why, what each attempt came to, what the client got."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote, urlencode

from daemon.cli.client import ask, configure_client, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.tables import render_table

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("what", help="`last`, a request's id (x-request-id: req_…), or a workload")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the story; of a workload, how a request would go now."""
    if options.what != "last" and not options.what.startswith(("req_", "rep_")):
        return _workload(options)
    story = ask(options, "GET", f"/fairlead/v1/explain/{quote(options.what, safe='')}")
    if options.json:
        print_json("explain", story)
    else:
        _tell(story)
    return Exit.FINE


def _workload(options: argparse.Namespace) -> Exit:
    try:
        route = ask(options, "GET", "/fairlead/v1/route?" + urlencode({"workload": options.what}))
    except VerbFailed as failure:
        if failure.exit is not Exit.FAILED:
            raise
        raise VerbFailed(failure.exit, f"{failure} A request's id begins with req_, a report's with rep_.") from failure
    if options.json:
        print_json("explain", {"request": None, "decisions": [route], "attempts": [], "fallbacks": []})
    else:
        print(f"a request to {options.what} would go to {route['target'] or 'nobody'}: {route['decision']}")
        _candidates(route["candidates"])
    return Exit.FINE if route["target"] else Exit.FAILED


def _tell(story: dict[str, Any]) -> None:
    request, attempts = story["request"], {attempt["number"]: attempt for attempt in story["attempts"]}
    if request is not None:
        retry = f", the client's retry {request['client_retry']}" if request["client_retry"] else ""
        taken = f", taken for {request['label']}" if request["label"] else ""
        why = f" ({request['purpose']})" if request["purpose"] != "client" else ""
        print(f"{request['request_id']}{why} to {request['workload']} at {request['at']}{retry}{taken}")
    for decision in story["decisions"]:
        print(f"\n{decision['number']}. {decision['chosen'] or 'nobody'}: {decision['reason']}")
        _candidates(decision["candidates"])
        if decision["number"] in attempts:
            print(f"   {_attempt(attempts.pop(decision['number']))}")
    for attempt in attempts.values():  # choices are sampled under load, attempts never
        print(f"\n{attempt['number']}. {attempt['target']}: {_attempt(attempt)}")
    for step in story["fallbacks"]:
        why = ": ".join(part for part in (step["fault"], step["reason"]) if part)
        print(f"\nfell back from {step['from_target']} to {step['to_target']} after {step['after_ms']:.0f} ms: {why}")
    if request is not None:
        print(f"\n{_ending(request)}")


def _candidates(candidates: list[dict[str, Any]]) -> None:
    rows = [(each["target"], _score(each), each.get("skipped") or _terms(each)) for each in candidates]
    for line in render_table(("CANDIDATE", "SCORE", "BECAUSE"), rows).splitlines():
        print(f"   {line}")


def _score(candidate: dict[str, Any]) -> str | None:
    return None if candidate.get("score") is None else f"{candidate['score']:.4g}"


def _terms(candidate: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in candidate.get("terms", {}).items())


def _attempt(attempt: dict[str, Any]) -> str:
    took = f"{attempt['latency_ms']:.0f} ms" + (" as a hedge" if attempt["hedge"] else "")
    if attempt["fault"] is None:
        first = attempt["first_byte_ms"]
        return f"-> answered in {took}" + (f", its first byte after {first:.0f} ms" if first is not None else "")
    status = f" {attempt['status']}" if attempt["status"] else ""
    wait = f"; it asked to wait {attempt['retry_after_ms'] / 1e3:.0f} s" if attempt["retry_after_ms"] else ""
    return f"-> {attempt['fault']}{status} after {took}, to blame: {attempt['blame']} ({attempt['reason']}){wait}"


def _ending(request: dict[str, Any]) -> str:
    words = [f"{request['outcome']}, status {request['status']}, in {request['latency_ms']:.0f} ms"]
    if request["served_by"]:
        words.append(f"served by {request['served_by']}")
    if request["degraded"]:
        words.append(f"degraded: {request['degraded']}")
    if request["prompt_tokens"] is not None or request["completion_tokens"] is not None:
        words.append(f"{request['prompt_tokens'] or 0} + {request['completion_tokens'] or 0} tokens")
    words.append("cost unknown" if request["cost_usd"] is None else f"cost ${request['cost_usd']:.6f}")
    return ", ".join(words)
