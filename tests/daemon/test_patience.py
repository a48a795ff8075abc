"""Deadlines, shared among the attempts that are left: pure arithmetic of monotonic seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.faces.patience import said_by_sdk
from daemon.relay.calls import ClientCall
from daemon.relay.patience import Whose, is_slow, limits_of
from daemon.routing.policy import Workload
from probes.policy import Timeouts
from probes.surfaces import Surface
from state.durations import Seconds
from state.targets import TargetName

TIMEOUTS = Timeouts(connect=Seconds(3), first_byte=Seconds(30), idle=Seconds(30), total=Seconds(600))


def _call(deadline: float = math.inf, patience_s: float = math.inf, own: float | None = None) -> ClientCall:
    workload = Workload(name="w", targets=(TargetName("a/m"),), deadline=None if own is None else Seconds(own))
    return ClientCall(
        request_id="r",
        surface=Surface.CHAT,
        workload=workload,
        model="w",
        streamed=False,
        headers=(),
        query="",
        body=b"{}",
        arrived_at=100.0,
        deadline=deadline,
        patience_s=patience_s,
    )


def test_without_any_deadline_the_providers_own_timeouts_hold() -> None:
    """Connect and first byte for the head, total for everything."""
    limits = limits_of(_call(), TIMEOUTS, 3, 100.0)
    assert (limits.headers_by, limits.content_by, limits.end) == (133.0, 700.0, 700.0)
    assert (limits.whose, limits.last) == (Whose.PROVIDER, False)


@given(
    left=st.floats(0.01, 1000),
    chances=st.integers(1, 6),
    own=st.one_of(st.none(), st.floats(0.01, 1000)),
    patience=st.one_of(st.just(math.inf), st.floats(0.01, 1000)),
)
def test_whoever_hangs_leaves_time_for_those_behind_it(
    left: float, chances: int, own: float | None, patience: float
) -> None:
    """Every attempt that uses its share up leaves the next one as much, and the last one ends in time."""
    call, now = _call(100.0 + left, patience, own), 100.0
    shares = []
    for chance in range(chances, 0, -1):
        limits = limits_of(call, TIMEOUTS, chance, now)
        shares.append(limits.content_by - now)
        assert limits.headers_by <= limits.content_by
        assert limits.last == (chance == 1)
        now = limits.content_by
    assert now <= min(call.deadline, 100.0 + (own or math.inf), 100.0 + patience) + 1e-6 or left >= 600
    assert max(shares) - min(shares) <= 1e-6 * max(1.0, left) + 600 * (left >= 600)


@pytest.mark.parametrize(("waited", "expected", "slow"), [(0.5, 0.1, False), (1.1, 0.1, True), (3.0, 1.0, False)])
def test_a_target_is_slow_by_its_own_measure(waited: float, expected: float, slow: bool) -> None:  # noqa: FBT001
    """Four times what it usually takes, and more than a second; an unknown one is never slow."""
    assert is_slow(waited, expected) is slow
    assert not is_slow(waited, None)


@pytest.mark.parametrize(
    "garbage", ["NOT_GIVEN", "-1", "nan", "inf", "1e9", "", "1,5", "0", "9" * 40, "\x1d600", "600\x1f"]
)
def test_what_sdks_send_is_never_parsed_blindly(garbage: str) -> None:
    """Some versions send words in place of numbers."""
    names = ("x-stainless-read-timeout", "x-stainless-timeout", "x-stainless-retry-count")
    said = said_by_sdk(dict.fromkeys(names, garbage))
    assert (said.read_s, said.whole_s) == (math.inf, math.inf)
    assert said.retry in {None, 0}


def test_what_sdks_say_of_themselves_is_read() -> None:
    """Seconds, and how often they tried before."""
    said = said_by_sdk(
        {"x-stainless-read-timeout": "600.5", "x-stainless-timeout": "5", "x-stainless-retry-count": "2"}
    )
    assert said == (600.5, 5.0, 2)
