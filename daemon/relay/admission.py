"""Letting a request in under its limits, and having money set aside for its attempts."""

from __future__ import annotations

from daemon.limits.accounts import Verdict
from daemon.limits.till import Asked
from daemon.relay.course import Course
from daemon.relay.gear import Surroundings
from daemon.relay.journal import Journal
from daemon.routing.leases import Lease

__all__ = ["let_in", "set_aside"]


def let_in(course: Course, journal: Journal, around: Surroundings) -> Verdict | None:
    """Return the limit that stands in the request's way, None where it is let in."""
    call = course.call
    asked = Asked(call.request_id, call.charged, course.tokens, call.max_tokens, call.choices)
    tab = around.till.admit(asked, around.prices)
    if isinstance(tab, Verdict):
        return tab
    journal.tab, course.frugal = tab, tab.frugal
    journal.story.budget = " ".join(warning.message for warning in tab.warnings)
    return None


async def set_aside(journal: Journal, lease: Lease) -> Verdict | None:
    """Set money aside for the next attempt, which has `lease`; return the limit that forbids it."""
    tab = journal.tab
    return None if tab is None else await tab.reserve(lease.ticket, lease.target, journal.story.attempts + 1)
