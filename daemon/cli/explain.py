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
        nothing: dict[str, Any] = {part: [] for part in ("attempts", "fallbacks", "comparisons", "reviews")}
        print_json("explain", {"request": None, "decisions": [route], **nothing})
    else:
        print(f"a request to {options.what} would go to {route['target'] or 'nobody'}: {route['decision']}")
        _candidates(route["candidates"])
    return Exit.FINE if route["target"] else Exit.FAILED


def _tell(story: dict[str, Any]) -> None:
    request, attempts = story["request"], {attempt["number"]: attempt for attempt in story["attempts"]}
    if request is not None:
        retry = f", the client's retry {request['client_retry']}" if request["client_retry"] else ""
        print(f"{request['request_id']} to {request['workload']} at {request['at']}{retry}{_taken_for(request)}")
    for decision in story["decisions"]:
        print(f"\n{decision['number']}. {decision['chosen'] or 'nobody'}: {decision['reason']}")
        _candidates(decision["candidates"])
        if decision["number"] in attempts:
            print(f"   {_attempt(attempts.pop(decision['number']))}")
    for attempt in attempts.values():  # choices are sampled under load, attempts never
        print(f"\n{attempt['number']}. {attempt['target']}: {_attempt(attempt)}")
    for step in story["fallbacks"]:
        print(f"\n{_fell_back(step)}")
    for copy in story["comparisons"]:
        print(f"\n{_compared(copy)}")
    if request is not None:
        print(f"\n{_ending(request)}")
    for review in story["reviews"]:
        print(_reviewed(review))


def _taken_for(request: dict[str, Any]) -> str:
    """Return what routing took the request for, and what it is where no client sent it."""
    label = f", taken for {request['label']}" if request["label"] else ""
    return label + ("" if request["purpose"] == "client" else f" ({request['purpose']})")


def _fell_back(step: dict[str, Any]) -> str:
    why = ": ".join(part for part in (step["fault"], step["reason"]) if part)
    cost = f" (it had cost {_dollars(step['cost_usd'])})" if step["cost_usd"] else ""
    return f"fell back from {step['from_target']} to {step['to_target']} after {step['after_ms']:.0f} ms: {why}{cost}"


def _compared(copy: dict[str, Any]) -> str:
    cost = _dollars(copy["shadow_cost_usd"])
    took = "" if copy["shadow_latency_ms"] is None else f" in {copy['shadow_latency_ms']:.0f} ms"
    said = "" if copy["shadow_length"] is None else f", {copy['shadow_length']} characters"
    refused = ", a refusal" if copy["shadow_refused"] else ""
    return (
        f"a copy went to {copy['shadow_target']}: {copy['shadow_outcome']}{took}, cost {cost}{said}{refused} "
        f"({copy['shadow_request_id']})"
    )


def _reviewed(review: dict[str, Any]) -> str:
    if review["verdict"] is None:
        return "a person is to look at the answer; nobody has yet: fairlead review"
    reason = f": {review['reason']}" if review["reason"] else ""
    return f"{review['verdict']} by {review['by']} at {review['decided_at']}{reason}"


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
        begun = f", its first byte after {first:.0f} ms" if first is not None else ""
        return f"-> answered in {took}{begun}{_charged(attempt)}"
    status = f" {attempt['status']}" if attempt["status"] else ""
    wait = f"; it asked to wait {attempt['retry_after_ms'] / 1e3:.0f} s" if attempt["retry_after_ms"] else ""
    cost = _charged(attempt) if attempt["cost_usd"] else ""
    return f"-> {attempt['fault']}{status} after {took}, to blame: {attempt['blame']} ({attempt['reason']}){wait}{cost}"


def _charged(attempt: dict[str, Any]) -> str:
    """Return what an attempt cost and for how many tokens; nothing for a call that its caller paid for."""
    counted = _tokens(attempt)
    if not counted and attempt["cost_usd"] is None:
        return ""
    cost = "cost unknown" if attempt["cost_usd"] is None else f"cost {_dollars(attempt['cost_usd'])}"
    return "".join(f", {part}" for part in (counted, cost) if part) + (
        " (estimated)" if attempt["cost_estimated"] else ""
    )


def _tokens(counts: dict[str, Any]) -> str:
    """Return how many tokens went in and came out, and which of those that went in a cache had to do with."""
    if counts["prompt_tokens"] is None and counts["completion_tokens"] is None:
        return ""
    cache = [f"{counts['cached_tokens']} from a cache"] if counts["cached_tokens"] else []
    if counts.get("cache_write_tokens"):
        cache.append(f"{counts['cache_write_tokens']} into it")
    aside = f" ({', '.join(cache)})" if cache else ""
    return f"{counts['prompt_tokens'] or 0}{aside} + {counts['completion_tokens'] or 0} tokens"


def _dollars(usd: float | None) -> str:
    return "unknown" if usd is None else f"${usd:.6f}"


def _ending(request: dict[str, Any]) -> str:
    words = [f"{request['outcome']}, status {request['status']}, in {request['latency_ms']:.0f} ms"]
    if request["served_by"]:
        words.append(f"served by {request['served_by']}")
    if request["degraded"]:
        words.append(f"degraded: {request['degraded']}")
    if counted := _tokens(request):
        words.append(counted)
    words.append("cost unknown" if request["cost_usd"] is None else f"cost {_dollars(request['cost_usd'])}")
    if request["best_usd"] is not None:
        words.append(f"{_dollars(request['best_usd'])} at the costliest target")
    return ", ".join(words)
