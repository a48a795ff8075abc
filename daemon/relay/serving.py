"""Serving a client: its session, and what its workload wants done with the answer besides giving it."""

from __future__ import annotations

from functools import partial
from typing import Final

from daemon.relay.calls import Answer, Client, ClientCall
from daemon.relay.gear import Surroundings
from daemon.relay.review import Reviewed
from daemon.relay.session import Session
from daemon.relay.sorting import is_drawn
from daemon.routing.sorting.policy import Shadow
from daemon.shadow.copies import Copied
from daemon.shadow.overhearing import Overheard
from state.history.rows import RequestRow

__all__ = ["served"]

_COMPARED: Final = frozenset({"ok", "cut", "failed"})


async def served(call: ClientCall, client: Client, around: Surroundings) -> Answer | None:
    """Return the answer, or None where it was streamed to `client`. Raises ClientLeft."""
    session, shadow = Session(call, around), _shadow_of(call)
    reviewed = Reviewed(client, call) if call.workload.require_human_review and call.surface.generates else None
    heard = Overheard(reviewed or client, call.surface) if shadow is not None else None
    answer = None
    try:
        answer = await session.run(heard or reviewed or client)
        if reviewed is not None and answer is not None:
            answer = reviewed.marked(answer)
        return answer
    finally:
        if session.ending is not None:
            if reviewed is not None:
                _list(reviewed, session.ending, around)
            if shadow is not None and heard is not None:
                _hand_over(Copied(call, shadow, session.ending, partial(heard.said, answer)), around)


def _shadow_of(call: ClientCall) -> Shadow | None:
    """Return the candidate that is to be asked too, None where the request was not drawn for it."""
    shadow = call.workload.shadow
    if shadow is None or not call.surface.generates or not is_drawn(call, shadow.share, "shadow"):
        return None
    return shadow


def _list(reviewed: Reviewed, ending: RequestRow, around: Surroundings) -> None:
    row = reviewed.row(ending.served_by, around.gear.clock())
    if row is not None:
        around.witnesses.recorder.post(row)


def _hand_over(copied: Copied, around: Surroundings) -> None:
    """Hand a request on to be copied, now that nobody waits for its answer any more; not one that nobody was asked."""
    if around.shadows is None or copied.row.outcome not in _COMPARED or not copied.row.attempts:
        return
    if not around.shadows.post(copied):
        around.witnesses.metrics.shadowed(copied.row.workload, "dropped")
