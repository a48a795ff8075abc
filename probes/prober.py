"""The prober: checks providers when nobody asks, and at once when somebody does; every finding goes to the registry."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from typing import assert_never

import anyio
import anyio.abc
import msgspec

from probes.calls import UpstreamReply, UpstreamRequest
from probes.canaries import QUIET_S, Canaries, Sight, Spent
from probes.checks import Finding, canary_surface, is_billed, judge, request_of
from probes.dialects.streams import StreamReader
from probes.pages import PageReader, PageSchedule
from probes.policy import ProbePolicy, ProbeSetting, Provider
from probes.schedule import Errand, Schedule
from state.errors import WireError
from state.faults import Fault
from state.mailbox import Address, Mailbox, Reply
from state.messages import PageRead, ProbeCompleted, RegistryMessage
from state.outcome import Outcome, ProbeKind
from state.targets import TargetName, split_target

__all__ = ["LOOK_S", "ProbeRequested", "Prober", "ProberMessage", "ProvidersReplaced", "Traffic"]

_MOST_BYTES = 8 * 1024 * 1024
_AT_ONCE = 8
LOOK_S = 1.0
"""Seconds between two looks at what canaries could be good for."""
_Open = Callable[[Provider, UpstreamRequest], Awaitable[UpstreamReply]]
_Answers = list[tuple[TargetName, Reply[Outcome | None]]]


class Traffic(msgspec.Struct, frozen=True):
    """What the prober knows of the traffic."""

    sight: Callable[[], Sight | None] = lambda: None
    """What goes on now; None while nobody knows."""
    spent: tuple[Spent, ...] = ()
    """What canaries have cost before this process began."""


_UNSEEN = Traffic()


class ProvidersReplaced(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration came into force: check these."""

    providers: tuple[Provider, ...]


class ProbeRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody wants a target checked now. The reply is None where the target does not exist."""

    target: TargetName
    kind: ProbeKind
    by: str
    reply: Reply[Outcome | None]


ProberMessage = ProvidersReplaced | ProbeRequested


class Prober:
    """Owns the schedule and the probes under way: one that is under way is shared, never doubled."""

    def __init__(
        self,
        mailbox: Mailbox[ProberMessage],
        registry: Address[RegistryMessage],
        open_call: _Open,
        luck: random.Random,
        traffic: Traffic = _UNSEEN,
    ) -> None:
        """Check with `open_call`, which raises WireError; report to `registry`; see by `traffic` which canary pays."""
        self._mailbox = mailbox
        self._registry = registry
        self._open = open_call
        self._schedule = Schedule(luck)
        self._page_schedule = PageSchedule(luck)
        self._pages = PageReader(open_call)
        self._traffic = traffic
        self._canaries = Canaries(traffic.spent)
        self._costly: dict[TargetName, ProbePolicy] = {}
        self._look_at = math.inf
        self._providers: dict[str, Provider] = {}
        self._under_way: dict[Errand, _Answers] = {}
        self._slots = anyio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Check what is due and what is asked for, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                due = [at for at in (self._schedule.next_due(), self._page_schedule.next_due()) if at is not None]
                with anyio.CancelScope(deadline=min([self._look_at, *due])):
                    await self._mailbox.arrival()
                now = anyio.current_time()
                for message in self._mailbox.take_all():
                    self._handle(message, now, tasks)
                if (errand := self._schedule.take(now, self._under_way)) is not None:
                    self._set_out(errand, [], tasks)
                if now >= self._look_at:
                    self._send_canaries(now, tasks)
                self._read_pages(now, tasks)

    def spent_usd(self, provider: str) -> float:
        """Return what the canaries at `provider` have cost within the last 24 hours, in dollars."""
        return self._canaries.usd(provider, anyio.current_time())

    def _send_canaries(self, now: float, tasks: anyio.abc.TaskGroup) -> None:
        """Send the canaries that pay now, and look again soon, or later where nothing is going on."""
        sight = self._traffic.sight()
        if sight is None:
            self._look_at = now + LOOK_S
            return
        while (target := self._canaries.due(self._costly, sight, now)) is not None:
            provider, model = split_target(target)
            errand = Errand(provider, ProbeKind.CANARY, model)
            self._canaries.sent(target, self._costly[target], now)
            if errand not in self._under_way:
                self._set_out(errand, [], tasks)
        self._look_at = now + (LOOK_S if now - sight.asked_at <= QUIET_S else LOOK_S * 10)

    def _read_pages(self, now: float, tasks: anyio.abc.TaskGroup) -> None:
        due = self._page_schedule.next_due()
        if due is None or due > now:
            return
        sight = self._traffic.sight()
        for provider in self._page_schedule.take(-math.inf if sight is None else sight.asked_at, now):
            tasks.start_soon(self._read_page, provider)

    async def _read_page(self, provider: Provider) -> None:
        report = await self._pages.read(provider)
        if report is not None and self._page_schedule.reads(provider):
            self._registry.post(PageRead(provider=provider.name, level=report.level, text=report.text, at=report.at))

    def _handle(self, message: ProberMessage, now: float, tasks: anyio.abc.TaskGroup) -> None:
        match message:
            case ProvidersReplaced(providers=providers):
                self._providers = {provider.name: provider for provider in providers}
                self._schedule.follow(providers, now)
                for name in self._page_schedule.follow(providers, now):
                    self._registry.post(PageRead(provider=name, level=0.0, text="", at=-math.inf))
                self._costly = {
                    target: provider.probe
                    for provider in providers
                    for target in provider.targets
                    if provider.probe.kind is ProbeSetting.CANARY
                }
                self._look_at = now if self._costly else math.inf
            case ProbeRequested():
                self._asked(message, tasks)
            case _:
                assert_never(message)

    def _asked(self, message: ProbeRequested, tasks: anyio.abc.TaskGroup) -> None:
        name, model = split_target(message.target)
        provider = self._providers.get(name)
        if provider is None or model not in provider.models:
            message.reply.send(None)
            return
        errand = Errand(name, message.kind, model if message.kind is ProbeKind.CANARY else None)
        answer = (message.target, message.reply)
        if errand in self._under_way:
            self._under_way[errand].append(answer)
        else:
            if message.kind is ProbeKind.CANARY:
                self._canaries.sent(message.target, provider.probe, anyio.current_time())
            self._set_out(errand, [answer], tasks)

    def _set_out(self, errand: Errand, answers: _Answers, tasks: anyio.abc.TaskGroup) -> None:
        self._under_way[errand] = answers
        tasks.start_soon(self._run_errand, errand, self._providers[errand.provider])

    async def _run_errand(self, errand: Errand, provider: Provider) -> None:
        async with self._slots:
            started_at = anyio.current_time()
            found = await self._look(errand, provider, started_at)
        at = anyio.current_time()
        answers = self._under_way.pop(errand)
        for target in errand.targets(provider):
            outcome = found if isinstance(found, Outcome) else judge(errand, provider, split_target(target)[1], found)
            paid = errand.kind is ProbeKind.CANARY and is_billed(outcome)
            cost_usd = provider.probe.canary_usd if paid else None
            if errand.kind is ProbeKind.CANARY:
                self._canaries.ended(target, cost_usd or 0.0)
            seen = ProbeCompleted(
                target=target, kind=errand.kind, outcome=outcome, started_at=started_at, at=at, cost_usd=cost_usd
            )
            self._registry.post(seen)
            for asked, reply in answers:
                if asked == target:
                    reply.send(outcome)
        for _, reply in answers:
            if not reply.sent:  # a reload renamed the target while its provider was being checked
                reply.send(None)

    async def _look(self, errand: Errand, provider: Provider, started_at: float) -> Finding | Outcome:
        timeout = provider.probe.timeout
        with anyio.move_on_after(timeout):
            try:
                return await self._exchange(errand, provider, started_at)
            except WireError as error:
                fault = getattr(error, "fault", Fault.UNREACHABLE)
                fault = Fault.BAD_REPLY if fault is Fault.CUT else fault
                return Outcome(fault=fault, reason=str(error), latency_s=anyio.current_time() - started_at)
        return Outcome(fault=Fault.TIMEOUT, reason=f"no answer within {timeout:g}s", latency_s=float(timeout))

    async def _exchange(self, errand: Errand, provider: Provider, started_at: float) -> Finding:
        reply = await self._open(provider, request_of(errand, provider))
        try:
            body, first_s = bytearray(), None
            listener = StreamReader(canary_surface(provider)) if errand.kind is ProbeKind.CANARY else None
            while (piece := await reply.read()) and len(body) < _MOST_BYTES:
                body += piece
                if listener is not None and first_s is None:
                    listener.feed(piece)
                    first_s = anyio.current_time() - started_at if listener.said else None
        finally:
            await reply.aclose()
        headers = dict(reply.headers)
        latency_s = anyio.current_time() - started_at
        return Finding(reply.status, headers.get("content-type", ""), headers, bytes(body), latency_s, first_s)
