"""The comparison of policies: what a run is worth, and what the command says."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks.routing.__main__ import main
from benchmarks.routing.engine import Engine, Request
from benchmarks.routing.policies import POLICIES
from benchmarks.routing.scoring import compare, scores
from benchmarks.routing.trace import Scale, TraceError, decode
from tests.benchmarks.simulated import LENGTHS, Scripted, provider, trace

FIVE = [
    {"name": name, "segments": [{"t": 0, "ttft": ttft, "tps": tps}]}
    for name, ttft, tps in (("a", 0.35, 90), ("b", 0.45, 75), ("c", 0.7, 60), ("d", 0.6, 45), ("e", 1.2, 40))
]
KEYS = {"trace", "policy", "seed", "success", "regret", "p50_ratio", "p95_ratio", "p99_ratio", "attempts", "hedges"}
KEYS |= {"probe_usd", "detect_s", "recover_s"}


def _written(folder: Path, **more: object) -> Path:
    file = folder / "small.json"
    said = {"name": "small", "duration": 60, "providers": FIVE, "arrivals": {"rps": 2}, **more}
    file.write_text(json.dumps(said), encoding="utf-8")
    return file


def test_nobody_who_knows_less_does_better_than_the_oracle_on_steady_providers() -> None:
    """With nothing to learn the oracle is the bound; random is far from it."""
    found = {row.policy: row for row in compare(trace(*FIVE, duration=300), 1, list(POLICIES)).rows}
    assert found["oracle"].regret == 1
    assert found["random"].regret > 1.3
    assert all(row.regret > 0.99 for row in found.values())


def test_the_oracle_leaves_a_fault_with_the_first_request_and_returns_with_the_first() -> None:
    """Detection takes eight requests even of a clairvoyant; the first of them came at once."""
    faulty = {**FIVE[0], "segments": [*FIVE[0]["segments"], {"t": 100, "mode": "hang"}, {"t": 200, "mode": "ok"}]}
    steady = {"rps": 2, **LENGTHS}
    events = [{"p": 0, "t0": 100, "t1": 200}]
    row = compare(trace(faulty, *FIVE[1:], duration=300, arrivals=steady, events=events), 1, ["oracle"]).rows[0]
    assert row.detect_all_s == pytest.approx(4, abs=2.5)
    assert row.recover_all_s == pytest.approx(2.5, abs=2)
    assert row.detect_s is not None
    assert row.detect_s < 2 < row.detect_all_s
    assert row.success == 1


def test_a_policy_that_never_leaves_is_charged_the_whole_fault() -> None:
    """Ordered failover has no memory: its first choice stays the first."""
    faulty = {**FIVE[0], "segments": [*FIVE[0]["segments"], {"t": 20, "mode": "5xx"}, {"t": 50, "mode": "ok"}]}
    row = compare(trace(faulty, *FIVE[1:], events=[{"p": 0, "t0": 20, "t1": 50}]), 1, ["ordered"]).rows[0]
    assert (row.detect_s, row.recover_s) == (30, 0)
    assert row.attempts > 1.1


@pytest.mark.parametrize("name", list(POLICIES))
def test_a_cut_stream_fails_and_is_not_tried_again(name: str) -> None:
    """The client has a part of it already."""
    cutting = [provider(where, {"t": 0.001, "pmid": 1}) for where in "ab"]
    row = compare(trace(*cutting, duration=30), 1, [name]).rows[0]
    assert row.success == 0
    assert row.attempts <= 1


def test_a_lost_request_costs_a_minute_and_an_open_one_its_time() -> None:
    """Failing fast must not pay, and never answering even less."""

    def arrived(policy: Scripted, request: Request) -> None:
        if request.index:
            policy.engine.settle(request, served=False)

    engine = Engine(trace(provider(), duration=30), 1, Scripted(arrived))
    found = scores(engine.requests, engine.run(), 150)
    assert found[0] == 150 - engine.requests[0].at
    assert set(found[1:]) == {60}


def test_a_request_that_is_settled_twice_is_a_mistake() -> None:
    """A policy with such a fault must not get a score."""

    def arrived(policy: Scripted, request: Request) -> None:
        policy.engine.settle(request, served=True)
        policy.engine.settle(request, served=True)

    with pytest.raises(ValueError, match="twice"):
        Engine(trace(provider()), 1, Scripted(arrived)).run()


def test_the_command_prints_a_row_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read the rows; the picture is well-formed and has a lane for each policy."""
    picture = tmp_path / "choices.svg"
    file = _written(tmp_path, events=[{"p": 0, "t0": 20, "t1": 40}])
    asked = [str(file), "--json", "--seeds", "2", "--policy", "oracle", "--policy", "random", "--plot", str(picture)]
    assert main(asked) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) >= KEYS for row in rows)
    assert [(row["seed"], row["policy"]) for row in rows] == [(s, p) for s in (1, 2) for p in ("oracle", "random")]
    texts = [element.text for element in ET.fromstring(picture.read_text(encoding="utf-8")).iter()]  # noqa: S314 - ours
    assert {"oracle", "random", "small"} <= set(texts)


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People read means for each trace, and over all of them."""
    assert main([str(_written(tmp_path)), "--seeds", "1", "--policy", "round-robin"]) == 0
    out = capsys.readouterr().out
    assert out.count("round-robin") == 2
    assert "1 trace, geometric means" in out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"speed": 1}, "unknown field `speed`"),
        ({"duration": 0}, "$.duration"),
        ({"providers": []}, "$.providers"),
        ({"providers": [{"name": "a", "segments": [{"t": 1, "ttft": 1, "tps": 1}]}]}, "start at 0"),
        ({"providers": [{"name": "a", "segments": [{"t": 0, "tps": 1}]}]}, "ttft"),
        ({"arrivals": {}}, "`rps` or `rates`"),
        ({"events": [{"p": 5, "t0": 1, "t1": 2}]}, "events[0]"),
    ],
)
def test_a_wrong_trace_is_one_line_and_exit_2(
    wrong: dict[str, object], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the file and the place."""
    assert main([str(_written(tmp_path, **wrong))]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "small.json" in error
    assert told in error


@pytest.mark.parametrize("asked", [["--policy", "nobody"], ["--seeds", "0"], ["--noise", "-1"], ["--load", "much"]])
def test_a_wrong_argument_is_one_line_and_exit_2(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What argparse finds is told as shortly."""
    with pytest.raises(SystemExit, match="2"):
        main(asked)
    assert capsys.readouterr().err.count("\n") == 1


def test_what_describes_a_mode_is_inherited_within_the_mode() -> None:
    """A gray time's share of errors must not outlive it; everything else is inherited."""
    later = ({"t": 1, "mode": "gray", "p5xx": 0.5}, {"t": 2, "mode": "ok", "pmid": 0.1}, {"t": 3, "ttft": 2.0})
    segments = trace(provider("a", *later)).providers[0].segments
    assert [segment.p5xx for segment in segments] == [0, 0.5, 0, 0]
    assert [segment.pmid for segment in segments] == [0, 0, 0.1, 0.1]
    assert [segment.ttft for segment in segments] == [1, 1, 1, 2]


def test_a_trace_can_be_made_harder() -> None:
    """Each factor scales what it names."""
    text = json.dumps(
        {"name": "x", "duration": 1, "providers": [provider("a", {"t": 1, "sigma": 0.5})], "arrivals": {"rps": 1}}
    )
    harder = decode(text.encode(), Scale(noise=2, tails=3, load=4))
    assert [segment.sigma for segment in harder.providers[0].segments] == [0, 1]
    assert harder.providers[0].segments[0].tail_x == 24
    assert harder.arrivals.steps() == ((0, 4),)


def test_a_trace_that_is_no_object_is_refused() -> None:
    """Not a traceback."""
    with pytest.raises((TraceError, ValueError)):
        decode(b"[1]", Scale())
