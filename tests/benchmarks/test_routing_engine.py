"""The simulator's clock, luck and providers: what the comparison of policies stands on."""

from __future__ import annotations

import pytest

from benchmarks.routing.draws import Draw, key, lognormal, uniform
from benchmarks.routing.engine import Engine, Request
from tests.benchmarks.simulated import LENGTHS, STILL, Scripted, provider, run, trace

AT_ONCE = {"rps": 0, "burst": {"every": 10, "n": 5, "spread": 0}, **LENGTHS}
"""Five requests at 10 s, each of 100 tokens."""


def _at_once(**more: object) -> Scripted:
    return run(trace(provider(**more), duration=20, arrivals=AT_ONCE))


def _probed(at: float, *later: dict[str, object]) -> Scripted:
    """Return who has sent one probe at a time, and nothing else."""
    policy = Scripted(lambda *_: None)
    policy.at_start = lambda: policy.engine.at(at, lambda: policy.send(0, None))
    return run(trace(provider("a", *later)), policy)


def test_what_is_due_next_happens_next() -> None:
    """Law: time never goes back, and what is due at once comes in the order of asking."""
    engine = Engine(trace(provider()), 1, Scripted(lambda *_: None))
    seen: list[str] = []
    engine.policy.at_start = lambda: seen.append("start")  # type: ignore[attr-defined]
    for time, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.0, "never")):
        timer = engine.at(time, lambda time=time, name=name: seen.append(f"{name}{engine.now - time:g}"))
    timer.cancel()
    engine.run()
    assert seen == ["start", "a0", "b0", "c0"]


def test_luck_depends_on_nothing_but_what_it_is_for() -> None:
    """The same key draws the same; other tries, providers and seeds draw others; all are spread evenly."""
    assert uniform(key(1, 2, 3, 0), Draw.TTFT) == uniform(key(1, 2, 3, 0), Draw.TTFT)
    drawn = [
        uniform(key(seed, index, place, 0), Draw.TTFT) for seed in (1, 2) for index in range(999) for place in (0, 1)
    ]
    assert len(set(drawn)) == len(drawn)
    assert sum(drawn) / len(drawn) == pytest.approx(0.5, abs=0.02)
    factors = sorted(lognormal(key(1, index), Draw.TTFT, 0.5) for index in range(999))
    assert factors[499] == pytest.approx(1, rel=0.1)


def test_a_try_meets_the_same_luck_whatever_was_tried_before() -> None:
    """Common random numbers: whoever sends a request to b gets the same answer, first there or not."""

    def detour(policy: Scripted, request: Request) -> None:
        policy.send(0, request).cancel()
        policy.send(1, request)

    noisy = trace(provider("a"), {"name": "b", "segments": [{"t": 0, "ttft": 1, "tps": 50}]}, arrivals={"rps": 2})
    straight = run(noisy, Scripted(lambda policy, request: policy.send(1, request)))
    around = run(noisy, Scripted(detour))
    assert [reply.latency_s for _, reply in straight.replies] == [reply.latency_s for _, reply in around.replies]
    assert len({reply.first_s for _, reply in straight.replies}) > 100


def test_requests_are_the_same_for_every_policy_and_others_for_other_seeds() -> None:
    """A policy cannot change who arrives."""
    load = {"rates": [[0, 5], [50, 0]], "stream": 0.5}
    first, again = (Engine(trace(provider(), arrivals=load), 1, Scripted()).requests for _ in range(2))
    assert first == again != Engine(trace(provider(), arrivals=load), 2, Scripted()).requests
    assert len(first) == pytest.approx(250, rel=0.25)
    assert max(request.at for request in first) <= 50
    assert all(request.max_tokens is None or request.max_tokens > request.output_tokens for request in first)


def test_a_request_takes_its_first_token_and_its_tokens() -> None:
    """1 s to the first token, then 100 tokens at 100 a second."""
    policy = _at_once()
    assert [reply.latency_s for _, reply in policy.replies] == pytest.approx([2.0] * 5)
    assert policy.first_tokens == pytest.approx([11.0] * 5)
    assert {reply.tokens for _, reply in policy.replies} == {100}


def test_whoever_finds_all_slots_taken_waits_in_line() -> None:
    """Two are served at once, the others in the order of coming."""
    policy = _at_once(conc=2)
    assert [reply.latency_s for _, reply in policy.replies] == pytest.approx([2, 2, 4, 4, 6])


def test_a_full_line_turns_away_at_once() -> None:
    """Beyond two served and one waiting there is a 503."""
    policy = _at_once(conc=2, queue_max=1)
    assert policy.kinds() == ["error"] * 2 + ["ok"] * 3
    assert {reply.status for _, reply in policy.replies[:2]} == {503}


def test_giving_up_frees_the_slot() -> None:
    """A cancelled attempt is heard of no more, and the next in line is served at once."""

    def arrived(policy: Scripted, request: Request) -> None:
        attempt = policy.send(0, request)
        if request.index == 0:
            policy.engine.at(10.5, attempt.cancel)

    policy = run(trace(provider(conc=1), duration=20, arrivals=AT_ONCE), Scripted(arrived))
    assert [reply.latency_s for _, reply in policy.replies] == pytest.approx([2.5, 4.5, 6.5, 8.5])


def test_a_bucket_takes_its_burst_and_then_what_drips_in() -> None:
    """60 a minute with a burst of 2: two at once, the rest is refused with what the headers tell."""
    policy = _at_once(rpm=60, burst=2, headers=True)
    assert policy.kinds() == ["rate_limited"] * 3 + ["ok"] * 2
    limited = policy.replies[0][1]
    assert (limited.status, limited.remaining, limited.retry_after_s) == (429, 0, 1)
    assert limited.reset_s == pytest.approx(0.95, abs=0.02)
    assert [reply.remaining for _, reply in policy.replies[3:]] == [2, 2]


def test_a_window_is_refilled_at_the_full_minute() -> None:
    """6 a minute without headers: 6 in each minute, and no word about it."""
    policy = run(trace(provider(rpm=6, limit_kind="window"), duration=120, arrivals={"rps": 1, **LENGTHS}))
    served = [attempt.started_at // 60 for attempt, reply in policy.replies if reply.kind == "ok"]
    assert served == [0] * 6 + [1] * 6
    assert {(reply.remaining, reply.retry_after_s, reply.reset_s) for _, reply in policy.replies} == {(None,) * 3}


def test_a_cut_stream_ends_early_with_a_part_of_its_tokens() -> None:
    """It began, so that nothing can take its place."""
    policy = run(trace(provider("a", {"t": 0.001, "pmid": 1}), duration=20, arrivals=AT_ONCE))
    assert policy.kinds() == ["cut"] * 5
    assert len(policy.first_tokens) == 5
    assert all(reply.tokens is not None and 0 < reply.tokens <= 100 for _, reply in policy.replies)


@pytest.mark.parametrize(
    ("fault", "live", "probe"),
    [
        ({"mode": "5xx"}, "error", "error"),
        ({"mode": "refuse"}, "refused", "refused"),
        ({"mode": "hang"}, None, None),
        ({"mode": "gray", "p5xx": 1}, "error", "ok"),
        ({"mode": "5xx", "probe_ok": True}, "error", "ok"),
        ({"probe_ok": False}, "ok", "error"),
        ({"phang": 1}, None, None),
    ],
)
def test_a_fault_is_seen_by_requests_and_probes_as_its_mode_says(
    fault: dict[str, object], live: str | None, probe: str | None
) -> None:
    """Gray: probes are fine, requests are not."""
    served = run(trace(provider("a", {"t": 5, **fault}), duration=20, arrivals=AT_ONCE))
    assert served.kinds() == ([live] * 5 if live else [])
    assert _probed(10, {"t": 5, **fault}).kinds() == ([probe] if probe else [])


def test_a_listing_succeeds_where_it_is_said_to() -> None:
    """It is free, and a provider that hangs costs five seconds."""
    policy = Scripted(lambda *_: None)
    heard: list[tuple[float, bool]] = []

    def ask(at: float) -> None:
        policy.engine.at(
            at, lambda: policy.engine.listing(0, lambda fine: heard.append((policy.engine.now - at, fine)))
        )

    policy.at_start = lambda: [ask(at) for at in (1, 11, 21, 31)]
    later = ({"t": 10, "mode": "5xx"}, {"t": 20, "models_ok": True}, {"t": 30, "mode": "hang"})
    run(trace(provider("a", *later)), policy)
    assert [fine for _, fine in heard] == [True, False, True, False]
    assert [round(wait, 3) for wait, _ in heard] == [0.1, 0.1, 0.1, 5.0]


def test_a_cold_provider_takes_longer_once() -> None:
    """After 30 s without a request the next first token takes 4 s more; the one after it does not."""
    load = {"rps": 0, "burst": {"every": 40, "n": 1, "spread": 0}, **LENGTHS}
    policy = run(trace(provider(cold_idle=30, cold_extra=4, conc=1), duration=100, arrivals=load))
    assert [reply.first_s for _, reply in policy.replies] == pytest.approx([5, 5])
    started_cold = _at_once(start_cold=True, cold_extra=4)
    assert sorted(started_cold.first_tokens) == pytest.approx([11, 11, 11, 11, 15])


def test_probes_are_counted_and_paid_for() -> None:
    """12 tokens there and 8 back."""
    policy = _probed(1)
    assert policy.engine.tally.probes == 1
    assert policy.engine.tally.probe_usd == pytest.approx(20e-6)
    assert policy.engine.tally.sends == 0


def test_a_ramp_goes_evenly_in_factors() -> None:
    """Half way between 1 s and 4 s lies 2 s."""
    later = ({"t": 5, "ramp": True}, {"t": 15, "ttft": 4.0, **STILL})
    policy = run(trace(provider("a", *later), duration=20, arrivals=AT_ONCE))
    assert policy.replies[0][1].first_s == pytest.approx(2)
