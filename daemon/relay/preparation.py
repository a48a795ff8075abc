"""Getting an attempt ready: what is sent to whom, until when, and who hears of its first token."""

from __future__ import annotations

from functools import partial

import msgspec

from daemon.relay.course import Course
from daemon.relay.envelope import with_model, with_usage
from daemon.relay.escalation import Escalation
from daemon.relay.exchange import Exchange
from daemon.relay.gear import Surroundings, Terms
from daemon.relay.journal import Journal
from daemon.relay.patience import limits_of
from daemon.routing.leases import Lease
from probes.calls import UpstreamRequest
from probes.dialects.continuing import Splice
from probes.dialects.texts import TextSoFar
from probes.policy import Provider
from state.faults import Blame
from state.outcome import Outcome
from state.targets import split_target

__all__ = ["Preparation"]


class Preparation:
    """Makes the exchanges of one request, as its course wants them."""

    def __init__(
        self, around: Surroundings, course: Course, journal: Journal, text: TextSoFar | None, escalation: Escalation
    ) -> None:
        """Prepare for `course`; `text` collects what the client gets, and `escalation` judges it, where it's wanted."""
        self._around = around
        self._escalation = escalation
        self._course = course
        self._journal = journal
        self._text = text

    def exchange(self, lease: Lease) -> tuple[Exchange, UpstreamRequest]:
        """Return the exchange of an attempt, whose time starts now, and what it is to send."""
        provider_name, model = split_target(lease.target)
        provider = self._around.providers[provider_name]
        terms = self._terms(lease, provider)
        body = self._course.call.body if terms.splice is None else self._course.continued
        if model != self._course.call.model:
            body = with_model(body, model)
        form = self._around.forms[provider_name]
        if self._course.call.streamed and form.counts(self._course.call.surface, model):
            terms, body = _counted(terms, body)
        request = form.upstream(self._course.call.surface, self._course.call.headers, body, self._course.call.query)
        return Exchange(self._course.call, provider, self._around.gear, terms), request

    def unfinished(self, exchange: Exchange) -> Outcome:
        """Return the outcome of an attempt that was ended here: by the client, or with the daemon."""
        outcome = exchange.abandoned()
        if not self._around.curfew.fallen:
            return outcome
        return msgspec.structs.replace(outcome, reason="fairlead stopped", at_fault=Blame.OURSELVES)

    def _terms(self, lease: Lease, provider: Provider) -> Terms:
        scored = [candidate for candidate in lease.choice.candidates if candidate.score is not None]
        own = next((candidate for candidate in scored if candidate.target == lease.target), None)
        chances, now = self._course.chances(len(scored)), self._around.gear.clock()
        return Terms(
            limits=limits_of(self._course.call, provider.timeouts, chances, now, own.terms if own else None),
            expected_s=own.terms.get("expected_s") if own else None,
            splice=Splice(self._course.call.surface) if self._course.continued else None,
            text=self._text,
            audition=self._escalation.audition(lease),
            began=partial(self._began, lease) if self._course.call.streamed else None,
        )

    def _began(self, lease: Lease, outcome: Outcome) -> None:
        self._around.desk.answered(lease)
        self._journal.began(lease, outcome)


def _counted(terms: Terms, body: bytes) -> tuple[Terms, bytes]:
    """Return both for a stream that is to tell its usage, as they were where the client has asked for that."""
    asking = with_usage(body)
    return (terms, body) if asking is None else (msgspec.structs.replace(terms, unasked=body), asking)
