"""What Prometheus reads at `/metrics`: counts kept as requests end, and the state of things at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from daemon.routing.leases import DispatcherView
from state.history.rows import FallbackRow, RequestRow
from state.outcome import Outcome, Usage
from state.standing import Standing
from state.targets import TargetName

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25)


class Metrics:
    """The daemon's metrics. Labels are bounded by the configuration: workloads, targets, faults, never users."""

    def __init__(self, version: str) -> None:
        """Count from zero."""
        self._registry = registry = CollectorRegistry()
        requests = Counter("fairlead_requests", "Client requests ended.", ["workload", "outcome"], registry=registry)
        duration = _seconds("fairlead_request_duration", "From a request's arrival to its last byte.", "workload")
        attempts = Counter("fairlead_attempts", "Tries of requests at targets.", ["target", "outcome"], registry=None)
        first_byte = _seconds("fairlead_first_byte", "From sending an attempt to its first content byte.", "target")
        self._overhead = Histogram(
            "fairlead_overhead_seconds",
            "What fairlead itself added to a request, queueing apart.",
            buckets=_OVERHEAD_SECONDS,
            registry=registry,
        )
        self._fallbacks = Counter(
            "fairlead_fallbacks",
            "Steps from one target to the next.",
            ["workload", "from_target", "to_target", "fault"],
            registry=registry,
        )
        self._count_money(registry)
        self._count_connections(registry)
        self._count_second_asks(registry)
        self._shadows = Counter("fairlead_shadows", "Copies of requests.", ["workload", "outcome"], registry=registry)
        self._degraded = Counter(
            "fairlead_degraded", "Requests given a text in place of an answer.", ["workload", "kind"], registry=registry
        )
        self._reload = Gauge(
            "fairlead_config_last_reload_successful", "1 if the newest configuration is in force.", registry=registry
        )
        self._reload.set(1)
        Gauge("fairlead_build_info", "Always 1.", ["version"], registry=registry).labels(version).set(1)
        for metric in (duration, attempts, first_byte):
            registry.register(metric)
        self._request_child = lru_cache(1024)(requests.labels)
        self._duration_child = lru_cache(1024)(duration.labels)
        self._attempt_child = lru_cache(1024)(attempts.labels)
        self._first_byte_child = lru_cache(1024)(first_byte.labels)

    def _count_second_asks(self, registry: CollectorRegistry) -> None:
        self._escalations = Counter(
            "fairlead_escalations",
            "Answers that did not do, and whom a better one was asked of.",
            ["workload", "from_target", "to_target"],
            registry=registry,
        )
        self._hedges = Counter(
            "fairlead_hedges",
            "Second targets asked beside a silent first, or wanted and refused.",
            ["workload", "outcome"],
            registry=registry,
        )

    def _count_connections(self, registry: CollectorRegistry) -> None:
        self._connections = Gauge("fairlead_connections", "Clients' open connections.", registry=registry)
        self._refused = Counter(
            "fairlead_connections_refused",
            "Connections that were refused, or ended by us.",
            ["reason"],
            registry=registry,
        )

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Ask `count` at each scrape how many connections are open."""
        self._connections.set_function(count)

    def turned_away(self, reason: str) -> None:
        """Count a connection that was refused, or ended by us."""
        self._refused.labels(reason).inc()

    def _count_money(self, registry: CollectorRegistry) -> None:
        cost = Counter(
            "fairlead_cost_usd", "Dollars that attempts cost, where that is known.", ["target"], registry=registry
        )
        tokens = Counter(
            "fairlead_tokens", "Tokens as providers count them.", ["target", "direction"], registry=registry
        )
        self._unpriced = Counter(
            "fairlead_unpriced_attempts", "Attempts whose cost is unknown.", ["target"], registry=registry
        )
        self._limits = Counter(
            "fairlead_limits", "Requests that met a limit, and what it did.", ["limit", "outcome"], registry=registry
        )
        self._cost_child, self._token_child = lru_cache(1024)(cost.labels), lru_cache(1024)(tokens.labels)

    def attempted(self, target: TargetName, outcome: Outcome) -> None:
        """Count an attempt."""
        self._attempt_child(target, outcome.fault.value if outcome.fault else "ok").inc()
        if outcome.first_byte_s is not None:
            self._first_byte_child(target).observe(outcome.first_byte_s)

    def charged(self, target: TargetName, usage: Usage, cost_usd: float | None) -> None:
        """Count what an attempt used and cost; an unknown cost is counted as such, never as nothing."""
        if usage.prompt_tokens:
            self._token_child(target, "input").inc(usage.prompt_tokens)
        if usage.completion_tokens:
            self._token_child(target, "output").inc(usage.completion_tokens)
        if cost_usd is None:
            self._unpriced.labels(target).inc()
        elif cost_usd:
            self._cost_child(target).inc(cost_usd)

    def limited(self, name: str, outcome: str) -> None:
        """Count a request that met a limit: `refused`, `warned`, or `shadow` where nothing was enforced."""
        self._limits.labels(name, outcome).inc()

    def fell_back(self, row: FallbackRow) -> None:
        """Count a fallback."""
        fault = row.fault.value if row.fault else "unavailable"
        self._fallbacks.labels(row.workload, row.from_target, row.to_target, fault).inc()

    def escalated(self, workload: str, origin: TargetName, onto: TargetName) -> None:
        """Count an escalation."""
        self._escalations.labels(workload, origin, onto).inc()

    def hedged(self, workload: str, outcome: str) -> None:
        """Count a hedge: `won` where its answer was given, `lost` where it was sent for nothing, or `refused`."""
        self._hedges.labels(workload, outcome).inc()

    def shadowed(self, workload: str, outcome: str) -> None:
        """Count a copy of a request: how it ended, or `dropped` where it was never sent."""
        self._shadows.labels(workload, outcome).inc()

    def ended(self, row: RequestRow, overhead_s: float) -> None:
        """Count a request of a client's; what fairlead asks for itself is told by its attempts."""
        if row.purpose != "client":
            return
        self._request_child(row.workload, row.outcome).inc()
        self._duration_child(row.workload).observe(row.latency_s)
        if row.degraded in {"static", "cache"}:
            self._degraded.labels(row.workload, row.degraded).inc()
        self._overhead.observe(overhead_s)

    def reload_succeeded(self) -> None:
        """Say that the newest configuration is in force."""
        self._reload.set(1)

    def reload_failed(self) -> None:
        """Say that the configuration on disk is invalid and an older one is in force."""
        self._reload.set(0)

    def exposition(self, view: DispatcherView, history: Iterable[tuple[str, str, float]]) -> bytes:
        """Return everything as Prometheus text; `history` is (name, help, value) of the recorder's gauges."""
        scrape = CollectorRegistry()
        scrape.register(_Snapshot([*_state(view), *_gauges(history)]))
        return generate_latest(self._registry) + generate_latest(scrape)


def _seconds(name: str, text: str, label: str) -> Histogram:
    return Histogram(f"{name}_seconds", text, [label], buckets=_SECONDS, registry=None)


class _Snapshot:
    """A collector of metrics that are already there."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _state(view: DispatcherView) -> Iterator[Metric]:
    standing = GaugeMetricFamily(
        "fairlead_target_standing", "1 for the standing that a target has.", labels=["target", "standing"]
    )
    drained = GaugeMetricFamily("fairlead_target_drained", "1 while an operator has drained it.", labels=["target"])
    expected = GaugeMetricFamily(
        "fairlead_target_expected_latency_seconds", "What the dispatcher expects of it.", labels=["target"]
    )
    in_flight = GaugeMetricFamily("fairlead_target_in_flight", "Attempts under way.", labels=["target"])
    for target, health in view.snapshot.targets.items():
        for one in Standing:
            standing.add_metric([target, one.value], float(health.standing is one))
        drained.add_metric([target], float(health.drained))
        if health.expected_s is not None:
            expected.add_metric([target], health.expected_s)
        in_flight.add_metric([target], view.in_flight.get(target, 0))
    waiting = GaugeMetricFamily("fairlead_workload_waiting", "Requests waiting for a target.", labels=["workload"])
    for workload in view.routes.workloads:
        waiting.add_metric([workload], view.waiting.get(workload, 0))
    yield from (standing, drained, expected, in_flight, waiting)


def _gauges(values: Iterable[tuple[str, str, float]]) -> Iterator[Metric]:
    for name, text, value in values:
        yield GaugeMetricFamily(name, text, value=value)
