"""The dispatcher: grants leases on targets, keeps those who must wait in line, and refuses what cannot be served."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, assert_never

import anyio
from msgspec.structs import replace

from daemon.line import Line, Waiter
from daemon.replay.setting import setting_of
from daemon.routing.hedging import HedgeBudget, candidate_of, hedge_helps, hedge_time
from daemon.routing.leases import (
    Choice,
    DispatcherMessage,
    DispatcherView,
    Lease,
    LeaseReleased,
    LeaseRequested,
    NoLease,
    NoLeaseReason,
    RoutePreviewRequested,
    RouteQuery,
    RoutesReplaced,
    UnderWay,
    ViewRequested,
)
from daemon.routing.policy import Routes, Strategy
from daemon.routing.selection import choose, earliest_ready
from daemon.routing.strategies.strategy import Turn
from daemon.routing.traffic import Traffic
from probes.canaries import Sight
from probes.surfaces import speaks
from state.mailbox import Mailbox, Reply
from state.messages import HealthPublished
from state.standing import HealthSnapshot
from state.targets import TargetName

__all__ = ["RETRY_RESERVE", "RETRY_SHARE", "Dispatcher"]

RETRY_SHARE: Final = 0.2
"""Retries at the same target for each request: enough for what passes, too few to feed an outage (as in Finagle)."""
RETRY_RESERVE: Final = 10.0
"""Retries that a quiet daemon may make at once."""
_NOTHING_KNOWN = HealthSnapshot()
_NO_TURN = Turn()


class Dispatcher:
    """Owns the leases, the line and the newest snapshot; everything it decides is `choose`'s decision."""

    def __init__(self, mailbox: Mailbox[DispatcherMessage], routes: Routes, seed: int) -> None:
        """Choose among `routes`; `seed` begins the sequence of draws."""
        self._mailbox = mailbox
        self._routes = routes
        self._seed = seed
        self._snapshot: HealthSnapshot | None = None
        self._traffic = Traffic()
        self._turns: dict[str, int] = {}
        self._retries = RETRY_RESERVE
        self._hedges = HedgeBudget()
        self._line = Line()
        self._looked_at = 0.0
        self._curious: list[Reply[DispatcherView]] = []

    async def run(self) -> None:
        """Serve the mailbox until cancelled."""
        while True:
            if self._line:
                with anyio.CancelScope(deadline=self._next_wake()):
                    await self._mailbox.arrival()
            else:
                await self._mailbox.arrival()
            now = self._looked_at = anyio.current_time()
            for message in self._mailbox.take_all():
                self._handle(message, now)
            if self._line:
                self._serve_line(now)

    def grant(self, ticket: int, query: RouteQuery, now: float) -> Lease | NoLease | None:
        """Return a lease at once where a target is available and nobody waits for what the query may take, else None.

        A hedge is refused at once where it is not granted.
        Called by a session on its own turn; the state stays the dispatcher's, and only its methods touch it.
        """
        self._looked_at = now
        if query.hedges is not None:
            return self._hedge(ticket, query, query.hedges, now)
        if self._snapshot is None or self._line.stands_before(query):
            return None
        choice = self._choose(query, now)
        return None if choice.chosen is None else self._lease(ticket, query, choice, choice.chosen, 0.0)

    def take_back(self, ticket: int, now: float) -> bool:
        """Take a lease back at once; False where somebody waits and the line must be served."""
        self._looked_at = now
        if self._line or ticket not in self._traffic:
            return False
        self._released(ticket)
        return True

    def answered(self, ticket: int) -> None:
        """Take note of a first token. Called by a session on its own turn, as `grant` is."""
        self._traffic.answered(ticket)

    def forgive(self, ticket: int) -> None:
        """Hold a silence against nobody: the client left. Called by a session on its own turn, as `grant` is."""
        self._traffic.forgive(ticket)

    def sight(self) -> Sight | None:
        """Return what the prober may see of the traffic; None before the registry has spoken."""
        if self._snapshot is None:
            return None
        return Sight(
            snapshot=self._snapshot, in_flight=dict(self._traffic.tally.targets), asked_at=self._traffic.asked_at
        )

    def _handle(self, message: DispatcherMessage, now: float) -> None:
        match message:
            case LeaseRequested():
                self._requested(message, now)
            case LeaseReleased(ticket=ticket):
                self._released(ticket)
            case HealthPublished(snapshot=snapshot):
                self._snapshot = snapshot
                self._satisfy()
            case RoutesReplaced(routes=routes):
                self._routes = routes
            case RoutePreviewRequested(query=query, reply=reply):
                reply.send(replace(self._choose(query, now), setting=None))
            case ViewRequested(reply=reply):
                self._curious.append(reply)
                self._satisfy()
            case _:
                assert_never(message)

    def _requested(self, request: LeaseRequested, now: float) -> None:
        if (under_way := request.query.hedges) is not None:
            request.reply.send(self._hedge(request.ticket, request.query, under_way, now))
            return
        query, workload = request.query, request.query.workload
        choice = self._choose(query, now)
        behind = self._line.stands_before(query)
        if behind and choice.chosen is not None and self._line.length(workload.name) >= workload.max_waiting:
            # Nobody is refused for a full line while a target is free, and nobody overtakes: so those in line first.
            self._serve_line(now)
            choice, behind = self._choose(query, now), False
        if choice.chosen is not None and not behind:
            self._grant(request, choice, choice.chosen, 0.0)
            return
        waiter = Waiter(request, now, min(query.deadline, now + workload.max_wait))
        if not self._may_wait(waiter, now):
            self._refuse(waiter, choice, self._why_not(query), now)
        elif self._line.length(workload.name) >= workload.max_waiting:
            self._refuse(waiter, choice, NoLeaseReason.QUEUE_FULL, now)
        else:
            self._line.join(waiter)

    def _hedge(self, ticket: int, query: RouteQuery, under_way: UnderWay, now: float) -> Lease | NoLease:
        """Grant a second attempt beside `under_way` where it helps, is paid for, and goes before nobody who waits."""
        choice = self._choose(query, now)
        target, budget = choice.chosen, self._hedges.after_hedge()
        helps = hedge_helps(under_way.own, candidate_of(choice, target), now - under_way.since)
        if target is None or budget is None or not helps or self._line.stands_before(query):
            return NoLease(reason=NoLeaseReason.NO_HEDGE, choice=choice)
        self._hedges = budget
        return self._lease(ticket, query, choice, target, 0.0)

    def _released(self, ticket: int) -> None:
        if not self._traffic.end(ticket, self._looked_at):
            self._line.leave(ticket)

    def _serve_line(self, now: float) -> None:
        """Grant what can be granted, oldest first over all workloads, and refuse whose time is over.

        A waiter who asks for the same as one who just got nothing is passed over without asking again; nobody is
        refused without having been looked at.
        """
        hopeless: set[Hashable] = set()
        for waiter in self._line.oldest_first():
            query, over = waiter.request.query, self._must_go(waiter, now)
            kind = query.kind
            if kind in hopeless and not over:
                continue
            choice = self._choose(query, now)
            if choice.chosen is not None:
                self._line.leave(waiter.request.ticket)
                self._grant(waiter.request, choice, choice.chosen, now - waiter.since)
                continue
            hopeless.add(kind)
            if over:
                self._line.leave(waiter.request.ticket)
                self._refuse(waiter, choice, self._why_not(query), now)

    def _choose(self, query: RouteQuery, now: float) -> Choice:
        turn = Turn(self._turns.get(query.workload.name, 0), self._seed)
        query, load = self._affordable(query), self._traffic.load(turn, now, query.instead_of)
        choice = choose(query, self._routes, self._known, load, now)
        return replace(choice, setting=setting_of(query, self._routes, self._known, load, now))

    def _earliest_ready(self, query: RouteQuery, now: float) -> float | None:
        load = self._traffic.load(_NO_TURN, now, query.instead_of)
        return earliest_ready(self._affordable(query), self._routes, self._known, load, now)

    def _affordable(self, query: RouteQuery) -> RouteQuery:
        """Return what is left of the query where the budget for retries is spent: all but the retry."""
        if query.last_resort is None or self._retries >= 1.0:
            return query
        return replace(query, tried=(*query.tried, query.last_resort), last_resort=None)

    @property
    def _known(self) -> HealthSnapshot:
        return self._snapshot or _NOTHING_KNOWN

    def _grant(self, request: LeaseRequested, choice: Choice, target: TargetName, waited_s: float) -> None:
        request.reply.send(self._lease(request.ticket, request.query, choice, target, waited_s))

    def _lease(self, ticket: int, query: RouteQuery, choice: Choice, target: TargetName, waited_s: float) -> Lease:
        held, departure = self._traffic.depart(ticket, choice, query, self._known.targets[target], self._looked_at)
        self._seed += 1
        if query.number == 1:
            self._retries = min(RETRY_RESERVE, self._retries + RETRY_SHARE)
            if query.workload.strategy == Strategy.ROUND_ROBIN and not query.preference.groups:
                # A turn is a first attempt of a request without preferences: all else may have other targets.
                self._turns[query.workload.name] = query.workload.targets.index(target) + 1
        elif target == query.last_resort:
            self._retries -= 1.0
        after_s = self._hedge_after(query, choice) if query.may_hedge else None
        return Lease(
            ticket=ticket,
            target=target,
            choice=choice,
            waited_s=waited_s,
            ordinal=held.ordinal,
            tokens_sent=held.tokens_sent,
            tokens=query.tokens,
            trial=held.trial,
            departure=departure,
            hedge_after_s=after_s,
        )

    def _hedge_after(self, query: RouteQuery, choice: Choice) -> float | None:
        """Return after how long a request is worth a hedge; each that could be hedged earns its share of one."""
        self._hedges = self._hedges.after_request()
        return hedge_time(choice, query)

    def _refuse(self, waiter: Waiter, choice: Choice, reason: NoLeaseReason, now: float) -> None:
        if reason is NoLeaseReason.NO_TARGET and self._snapshot is not None:
            last = self._choose(replace(waiter.request.query, desperate=True), now)
            if last.chosen is not None:
                self._grant(waiter.request, last, last.chosen, now - waiter.since)
                return
        ready_at = self._earliest_ready(waiter.request.query, now)
        retry_after_s = None if ready_at is None else ready_at - now
        waiter.request.reply.send(
            NoLease(reason=reason, choice=choice, retry_after_s=retry_after_s, waited_s=now - waiter.since)
        )

    def _may_wait(self, waiter: Waiter, now: float) -> bool:
        """Whether some target may become available before the waiter's time is over."""
        if self._snapshot is None:
            return True
        ready_at = self._earliest_ready(waiter.request.query, now)
        return ready_at is not None and ready_at < waiter.deadline

    def _must_go(self, waiter: Waiter, now: float) -> bool:
        """Whether waiting is over: the time is, or it was for a retry that others have used the budget up for."""
        query = waiter.request.query
        return now >= waiter.deadline or (self._affordable(query) is not query and not self._may_wait(waiter, now))

    def _why_not(self, query: RouteQuery) -> NoLeaseReason:
        query = self._affordable(query)
        places = [self._routes.places[target] for target in query.workload.targets if target in self._routes.places]
        if not any(speaks(place.dialect, query.surface) for place in places):
            return NoLeaseReason.INCOMPATIBLE
        nowhere = query.last_resort is None and not query.elsewhere
        if nowhere or set(query.workload.targets) <= set(query.tried):
            return NoLeaseReason.EXHAUSTED
        if query.more_than and not any((place.abilities.context_window or 0) > query.more_than for place in places):
            return NoLeaseReason.TOO_LONG
        return NoLeaseReason.NO_TARGET

    def _next_wake(self) -> float:
        """When the first waiter's time is over, or a block or a limit that stands in somebody's way ends."""
        deadlines = [waiter.deadline for waiter in self._line.oldest_first()]
        openings = [at for health in self._known.targets.values() for at in self._traffic.openings(health)]
        return min([*deadlines, *(at for at in openings if at > self._looked_at)])

    def _satisfy(self) -> None:
        """Show the view to those who asked, once there is something to show."""
        if self._snapshot is None:
            return
        for reply in self._curious:
            reply.send(self._traffic.view(self._snapshot, self._routes, self._line.lengths))
        self._curious.clear()
