"""`GET /fairlead/v1/explain/…`: everything that the history knows of one request."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import msgspec

from daemon.control.operating import problem
from daemon.faces.refusals import RefusalKind
from state.errors import HistoryError
from state.history.inspection import ResultTable, query

__all__ = ["explained"]

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LAST: Final = "SELECT request_id FROM request WHERE purpose = 'client' ORDER BY id DESC LIMIT 1"
_PARTS: Final = {
    "request": "SELECT at, request_id, workload, primary_target, served_by, attempts, outcome, fault, status, "
    "degraded, streamed, first_byte_ms, latency_ms, prompt_tokens, completion_tokens, cached_tokens, cost_usd, "
    "best_usd, team, user, purpose, label, client_retry FROM request WHERE request_id = '{}' LIMIT 1",
    "decisions": "SELECT number, chosen, strategy, reason, candidates, sampled_of FROM decision "
    "WHERE request_id = '{}' ORDER BY id",
    "attempts": "SELECT at, number, target, outcome, fault, blame, status, reason, first_byte_ms, latency_ms, "
    "retry_after_ms, hedge, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, cost_usd, "
    "cost_estimated FROM attempt WHERE request_id = '{}' ORDER BY id",
    "fallbacks": "SELECT at, from_target, to_target, fault, status, reason, after_ms, cost_usd FROM fallback "
    "WHERE request_id = '{}' ORDER BY id",
    "comparisons": "SELECT shadow_request_id, shadow_target, shadow_outcome, latency_ms, shadow_latency_ms, cost_usd, "
    "shadow_cost_usd, length, shadow_length, refused, shadow_refused FROM comparison "
    "WHERE request_id = '{}' ORDER BY id",
    "reviews": "SELECT review.at, sha256, verdict, verdict.at AS decided_at, by, reason "
    "FROM review LEFT JOIN verdict USING (request_id) WHERE request_id = '{}'",
}


async def explained(path: Callable[[], Path], request_id: str) -> dict[str, Any]:
    """Return a request's row, decisions, attempts and fallbacks. Raises Problem where the history has none of it."""
    if not _ID.fullmatch(request_id):
        raise problem(RefusalKind.INVALID_REQUEST, f"{request_id[:80]!r} is no request's id; see x-request-id.")
    try:
        return await anyio.to_thread.run_sync(_explained, path(), request_id)
    except HistoryError as error:
        raise problem(RefusalKind.HISTORY, f"The history cannot tell: {error}.") from error


def _explained(path: Path, request_id: str) -> dict[str, Any]:
    if request_id == "last":
        found = query(path, _LAST).rows
        if not found:
            raise problem(RefusalKind.NOT_FOUND, "No request has ended yet.")
        request_id = str(found[0][0])
    parts = {name: _dicts(query(path, sql.format(request_id))) for name, sql in _PARTS.items()}
    if not parts["request"] and not parts["attempts"]:
        message = f"The history knows no request {request_id}: it is still under way, or older than `keep_rows`."
        raise problem(RefusalKind.NOT_FOUND, message)
    for decision in parts["decisions"]:
        decision["candidates"] = msgspec.json.decode(decision["candidates"])
    request = parts["request"][0] if parts["request"] else None
    return {**parts, "request": request}


def _dicts(table: ResultTable) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]
