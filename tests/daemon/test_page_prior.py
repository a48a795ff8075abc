"""A status page as a weak prior: what it moves, what it never overrules, where it is told and how it is configured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cli import status
from daemon.config.load import load
from daemon.control.picture import target_picture
from daemon.routing.leases import Choice, DispatcherView, RouteQuery
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.selection import Load, choose
from probes.policy import Dialect
from probes.surfaces import Surface
from state.errors import ConfigError
from state.latency.estimator import Estimator
from state.latency.level import Level
from state.latency.reliability import Reliability
from state.pages import PageReport
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

_NOW = 1000.0
A, B = TargetName("a/m"), TargetName("b/m")
_FRESH = (_NOW - 1.0,) * 5
_BAD = PageReport(0.5, "down", _NOW)


def _healthy(target: TargetName, first_s: float = 1.0, **more: object) -> TargetHealth:
    first = Level(math.log(first_s), variance=0.0, tail=1.0, at=_NOW, count=9)
    estimator = Estimator(first=first, pace=Level(math.log(1e-9), variance=0.0, at=_NOW, count=9))
    return TargetHealth(**{"target": target, "standing": Standing.HEALTHY, "estimator": estimator, **more})


def _routes(*targets: TargetName) -> Routes:
    places = {
        target: TargetPlace(provider=provider_of(target), dialect=Dialect.OPENAI, max_in_flight=2) for target in targets
    }
    return Routes(workloads={}, places=places)


def _choose(*healths: TargetHealth) -> Choice:
    targets = tuple(health.target for health in healths)
    query = RouteQuery(request_id="r", workload=Workload(name="w", targets=targets), surface=Surface.CHAT)
    snapshot = HealthSnapshot(targets={health.target: health for health in healths})
    return choose(query, _routes(*targets), snapshot, Load({}, {}), _NOW)


def _score(health: TargetHealth) -> float:
    """Return the score of a target beside another that takes a second."""
    scores = {each.target: each.score for each in _choose(health, _healthy(B)).candidates}
    return scores[health.target] or 0.0


def test_a_bad_page_alone_moves_an_idle_tie() -> None:
    """Law: of two that nothing else tells apart, the one whose provider has no trouble is asked."""
    assert _choose(_healthy(A), _healthy(B)).chosen == A
    choice = _choose(_healthy(A, page=_BAD), _healthy(B, page=PageReport(0.0, "fine", _NOW)))
    assert choice.chosen == B
    terms = {each.target: each.terms for each in choice.candidates}
    assert terms[A]["page"] == terms[A]["errors"] == 0.5
    assert "page" not in terms[B]


def test_a_page_that_has_faded_moves_nothing() -> None:
    """Law: news of three minutes ago are none."""
    old = PageReport(0.5, "down", _NOW - 180.0)
    assert _choose(_healthy(A, page=old), _healthy(B)).chosen == A


def test_a_bad_page_never_overrules_fresh_evidence_of_its_own() -> None:
    """Law: who answers clearly faster, or fails clearly less often, is asked whatever a page says."""
    answers = _healthy(A, 0.7, page=_BAD, heard=_FRESH, reliability=Reliability(0.0, 50.0, at=_NOW))
    assert _choose(answers, _healthy(B, reliability=Reliability(0.0, 50.0, at=_NOW))).chosen == A
    fails = _healthy(B, reliability=Reliability(25.0, 50.0, at=_NOW))
    answers = _healthy(A, page=_BAD, heard=_FRESH, reliability=Reliability(0.0, 50.0, at=_NOW))
    assert _choose(fails, answers).chosen == A


def test_a_good_page_excuses_no_failures() -> None:
    """Law: own failures weigh the same whether or not the page has heard of them."""
    failing = Reliability(10.0, 20.0, at=_NOW)
    for level in (0.0, 0.05):
        told = _healthy(A, reliability=failing, page=PageReport(level, "fine", _NOW))
        assert _score(told) == _score(_healthy(A, reliability=failing))


_LEVELS = st.floats(0.0, 0.5)


@settings(deadline=None)
@given(_LEVELS, _LEVELS, st.integers(0, 9), st.floats(0.05, 30.0), st.floats(0.0, 20.0))
def test_worse_news_never_make_a_target_look_better(
    one: float, other: float, fresh: int, first_s: float, failed: float
) -> None:
    """Law: the score grows with the level, and shrinks with every fresh outcome; no page is as good as a good one."""

    def score(level: float, heard: int) -> float:
        page = PageReport(level, "", _NOW)
        reliability = Reliability(failed, 20.0, at=_NOW)
        return _score(_healthy(A, first_s, page=page, heard=_FRESH[:1] * heard, reliability=reliability))

    low, high = sorted((one, other))
    assert score(low, fresh) <= score(high, fresh)
    assert score(high, fresh + 1) <= score(high, fresh)
    assert score(0.0, fresh) == _score(_healthy(A, first_s, reliability=Reliability(failed, 20.0, at=_NOW)))


@settings(deadline=None)
@given(_LEVELS, st.sampled_from(list(Standing)))
def test_a_page_blocks_nobody(level: float, standing: Standing) -> None:
    """Law: who may be asked without a page may be asked with one: a page scores, and skips nobody."""
    bare, told = (TargetHealth(target=A, standing=standing, page=page) for page in (None, PageReport(level, "", _NOW)))
    assert _choose(told).chosen == _choose(bare).chosen
    assert [each.skipped for each in _choose(told).candidates] == [each.skipped for each in _choose(bare).candidates]


def _view(health: TargetHealth) -> DispatcherView:
    snapshot = HealthSnapshot(targets={health.target: health})
    return DispatcherView(snapshot=snapshot, routes=_routes(health.target), in_flight={}, waiting={})


def test_status_tells_what_a_page_says_while_it_holds() -> None:
    """Law: `page` is what routing still believes, with its age."""
    told = _healthy(A, page=PageReport(0.2, "Outage", _NOW - 20.0))
    assert target_picture(told, _view(told), _NOW)["page"] == {"level": 0.2, "text": "Outage", "age_s": 20.0}
    assert target_picture(told, _view(told), _NOW + 160.0)["page"] is None


def test_status_has_one_line_for_each_provider_with_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    """Law: what is fine needs no line, and a provider with two models needs but one."""
    down = PageReport(0.2, "Outage", _NOW - 20.0)
    healths = [
        _healthy(TargetName("a/m"), page=down),
        _healthy(TargetName("a/n"), page=down),
        _healthy(B, page=PageReport(0.0, "All Systems Operational", _NOW)),
        _healthy(TargetName("c/m")),
    ]
    targets = [target_picture(health, _view(health), _NOW) for health in healths]
    lists: dict[str, Any] = {"problems": [], "rehearsals": [], "canaries": [], "workloads": []}
    status._print_status({**lists, "targets": targets, "history": {"path": "h.sqlite", "bytes": 0}})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("~")]
    assert lines == ["~ a says on its status page, read 20s ago: Outage"]


_BASE = """version = 1
[providers.one]
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["m"]
{}
[workloads.chat]
targets = ["one/m"]
"""


def _loaded(tmp_path: Path, keys: str) -> tuple[str, str]:
    file = tmp_path / "fairlead.toml"
    file.write_text(_BASE.format(keys), encoding="utf-8")
    provider = load((file,), {}).providers["one"]
    return provider.status_page, provider.status_component


def test_a_status_page_is_configured_by_provider(tmp_path: Path) -> None:
    """Law: both keys are optional, and none is read unless it is named."""
    page = "https://status.openai.com/api/v2/summary.json"
    assert _loaded(tmp_path, "") == ("", "")
    assert _loaded(tmp_path, f'status_page = "{page}"\nstatus_component = "API"') == (page, "API")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('status_page = "status.openai.com"', "status_page must be an http:// or https:// URL without credentials"),
        ('status_page = "https://me:secret@host/x"', "status_page must be an http:// or https:// URL"),
        ('status_page = "https://host:99999/x"', "status_page cannot be used"),
        ('status_component = "API"', "status_component picks from a status_page, and there is none"),
    ],
)
def test_a_status_page_that_cannot_be_read_is_a_problem_of_its_line(tmp_path: Path, keys: str, said: str) -> None:
    """Law: a mistake is told with its line, and without the URL."""
    with pytest.raises(ConfigError) as caught:
        _loaded(tmp_path, keys)
    assert any(":6: " in line and said in line for line in caught.value.problems)
    assert "secret" not in str(caught.value.problems)
