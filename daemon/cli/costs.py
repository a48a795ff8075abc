"""Show what requests cost, by team, user, workload, target or day, and what routing saved. See docs/costs.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from daemon.cli.client import print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.reading import Found, configure_reading, insist_on_version_4, read_history
from daemon.cli.tables import Dollars, render_table
from state.durations import parse_duration

__all__ = ["configure", "run"]

_WHO: Final[Mapping[str, tuple[str, str]]] = {
    "workload": ("workload", "workload"),
    "team": ("team", "team"),
    "user": ("user", "NULL"),
    "target": ("target", "NULL"),
    "day": ("date(quarter_ms / 1000, 'unixepoch')", "date(quarter_ms / 1000, 'unixepoch')"),
}
"""By what costs are told apart, and savings: those are a request's, which may have gone to several targets."""
_SUMS: Final = (
    "sum(n), sum(prompt_tokens), sum(completion_tokens), iif(sum(unpriced) < sum(n), sum(usd), NULL), sum(unpriced)"
)
_QUERY: Final = """
WITH
  clock (from_ms) AS (SELECT (CAST(strftime('%s', 'now') AS INTEGER) - {seconds}) * 1000 / 900000 * 900000),
  spent AS MATERIALIZED (SELECT {spender} AS who, * FROM _spend CROSS JOIN clock WHERE quarter_ms >= from_ms),
  saved AS MATERIALIZED (SELECT {saver} AS who, * FROM _saving CROSS JOIN clock WHERE quarter_ms >= from_ms),
  savings (who, requests, paid, best) AS (SELECT who, sum(n), sum(usd), sum(best_usd) FROM saved GROUP BY who),
  groups AS (SELECT 'row', who, {sums} FROM spent GROUP BY who)
SELECT 'since', strftime('%Y-%m-%dT%H:%M:%SZ', from_ms / 1000, 'unixepoch'), 0, 0, 0, 0.0, 0, 0, 0.0, 0.0 FROM clock
UNION ALL
SELECT 'total', NULL, {sums},
  (SELECT sum(n) FROM saved), (SELECT sum(usd) FROM saved), (SELECT sum(best_usd) FROM saved) FROM spent
UNION ALL SELECT 'purpose', purpose, {sums}, NULL, NULL, NULL FROM spent GROUP BY purpose
UNION ALL
SELECT * FROM (
  SELECT 'unpriced', target, {sums}, NULL, NULL, NULL FROM spent GROUP BY target HAVING sum(unpriced) ORDER BY target)
UNION ALL
SELECT * FROM (
  SELECT groups.*, requests, paid, best FROM groups LEFT JOIN savings ON savings.who = groups.who
  ORDER BY {order})"""
_ORDER: Final = {"day": "2 DESC"}
_COSTLIEST_FIRST: Final = "6 DESC, 3 DESC, 2"
_NAMES: Final = (
    *("attempts", "prompt_tokens", "completion_tokens", "usd", "unpriced"),
    *("requests_compared", "compared_usd", "best_usd"),
)
_LONGEST_S: Final = 3652.5 * 86_400
_TITLES: Final = ("ATTEMPTS", "TOKENS IN", "TOKENS OUT", "USD", "UNPRICED", "SAVED", "SAVED %")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--by", choices=tuple(_WHO), default="workload", help="what costs are told apart by [workload]")
    parser.add_argument("--since", metavar="7d", default="7d", help="the costs of the last 7d, 24h, 1h … [7d]")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_reading(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the costs; that there were none is an answer too."""
    costs = _Costs(_read(options), options)
    if options.json:
        print_json("costs", costs.members())
    else:
        print("\n".join(costs.lines()))
    if costs.truncated:
        print("fairlead costs: only the costliest rows are shown; the total is of all", file=sys.stderr)
    return Exit.FINE


def _read(options: argparse.Namespace) -> Found:
    try:
        seconds = parse_duration(options.since)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--since: {error}") from error
    if seconds > _LONGEST_S:
        raise VerbFailed(Exit.USAGE, f"--since: {options.since} is too long; no history is older than ten years")
    spender, saver = _WHO[options.by]
    order = _ORDER.get(options.by, _COSTLIEST_FIRST)
    sql = _QUERY.format(seconds=round(seconds), spender=spender, saver=saver, sums=_SUMS, order=order)
    try:
        return read_history(options, sql)
    except VerbFailed as failure:
        raise insist_on_version_4(failure) from failure


class _Costs:
    """What the history says of costs."""

    def __init__(self, found: Found, options: argparse.Namespace) -> None:
        """Take apart what was found: every row begins with what it is, and whose."""
        self._by, self._asked = options.by, options.since
        self.truncated = found.truncated
        self._parts: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for kind, who, *sums in found.rows:
            self._parts.setdefault(kind, []).append((who or "", _account(sums)))

    @property
    def _since(self) -> str:
        return self._parts["since"][0][0]

    @property
    def _total(self) -> dict[str, Any]:
        return self._parts["total"][0][1]

    def members(self) -> dict[str, Any]:
        """Return it as the members of a JSON object."""
        return {
            "by": self._by,
            "since": self._asked,
            "from": self._since,
            "rows": [{self._by: who or None, **account} for who, account in self._parts.get("row", [])],
            "total": self._total,
            "purposes": dict(self._parts.get("purpose", [])),
            "unpriced": {target: account["unpriced"] for target, account in self._parts.get("unpriced", [])},
            "truncated": self.truncated,
        }

    def lines(self) -> Iterator[str]:
        """Yield it in lines for people."""
        if not self._total["attempts"]:
            yield f"no attempt since {self._since}"
            return
        yield f"since {self._since}, in dollars"
        rows = [(who, *_cells(account)) for who, account in self._parts.get("row", [])]
        yield render_table((self._by.upper(), *_TITLES), [*rows, ("total", *_cells(self._total))])
        yield from self._notes()

    def _notes(self) -> Iterator[str]:
        total = self._total
        apart = [(name, account) for name, account in self._parts.get("purpose", []) if name != "client"]
        if apart or total["saved_usd"] is not None or total["unpriced"]:
            yield ""
        for name, account in apart:
            what = _PURPOSES.get(name, name)
            yield f"of it for {what}: {_dollars(account['usd'])} in {_attempts(account['attempts'])}"
        if total["saved_usd"] is not None:
            yield (
                f"saved {_dollars(total['saved_usd'])} against the costliest target of each workload, over "
                f"{total['requests_compared']} requests of which both costs are known"
            )
        for target, account in self._parts.get("unpriced", []):
            yield _unpriced(target, account["unpriced"])


_PURPOSES: Final = {
    "shadow": "copies that were only compared (shadow)",
    "classify": "fairlead's own questions (classify)",
}


def _account(sums: Sequence[Any]) -> dict[str, Any]:
    """Return the sums by name, with what was saved; None for what is not known."""
    account = dict(zip(_NAMES, sums, strict=True))
    for name in ("attempts", "prompt_tokens", "completion_tokens", "unpriced"):
        account[name] = account[name] or 0
    paid, best = account["compared_usd"], account["best_usd"]
    saved = None if paid is None or best is None else best - paid
    share = round(100.0 * saved / best, 2) if saved is not None and best else None
    nothing = {} if account["attempts"] else {"usd": 0.0}
    return {**account, **nothing, "saved_usd": saved, "saved_percent": share}


def _cells(account: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        account["attempts"],
        account["prompt_tokens"],
        account["completion_tokens"],
        _amount(account["usd"]),
        account["unpriced"] or None,
        _amount(account["saved_usd"]),
        account["saved_percent"],
    )


def _amount(usd: float | None) -> Dollars | None:
    return None if usd is None else Dollars(usd)


def _dollars(usd: float | None) -> str:
    if usd is None:
        return "an unknown sum"
    return f"-${-usd:.6f}" if usd < 0 else f"${usd:.6f}"


def _unpriced(target: str, count: int) -> str:
    provider = target.partition("/")[0]
    have = "has" if count == 1 else "have"
    return f"{_attempts(count)} at {target} {have} no known price: set providers.{provider}.prices"


def _attempts(count: int) -> str:
    return f"{count} attempt{'' if count == 1 else 's'}"
