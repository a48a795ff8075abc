"""Settings: what a choice was made from, and what becomes of it on its way through the file."""

from __future__ import annotations

import ast
from importlib import resources
from math import inf, isnan, nan

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.dispatcher import Dispatcher
from daemon.replay.fingerprint import DECIDES, fingerprint
from daemon.replay.setting import SettingUnreadable, replayed, setting_of, unpacked
from daemon.routing.leases import RoutePreviewRequested, RouteQuery
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.selection import Load, choose
from daemon.version import VERSION
from probes.policy import Dialect
from probes.surfaces import Surface
from state.mailbox import Mailbox, Reply
from state.messages import HealthPublished
from state.standing import HealthSnapshot, TargetHealth
from tests.rigs.fleets import TARGETS, Known, known_to_choose
from tests.rigs.virtual_time import run_virtual

_A = TARGETS[0]
_WORKLOAD = Workload(name="w", targets=(_A,))
_ROUTES = Routes(
    workloads={"w": _WORKLOAD}, places={_A: TargetPlace(provider="a", dialect=Dialect.OPENAI, max_in_flight=2)}
)
_QUERY = RouteQuery(request_id="r", workload=_WORKLOAD, surface=Surface.CHAT)


def _snapshot(**more: object) -> HealthSnapshot:
    return HealthSnapshot(targets={_A: TargetHealth(**{"target": _A, **more})})


@given(known_to_choose(st.floats(allow_nan=False)))
def test_a_setting_comes_back_as_it_went(known: Known) -> None:
    """Law: every field of everything in it, infinities too, is the same after packing and unpacking."""
    setting = setting_of(*known).cut()
    assert unpacked(setting.packed() or b"") == setting


@given(known_to_choose(st.floats()))
def test_the_same_choice_is_made_from_what_was_packed(known: Known) -> None:
    """Law: to the last reason and term, whatever the numbers, and from the workload's own targets alone."""
    assert repr(replayed(unpacked(setting_of(*known).packed() or b""))) == repr(choose(*known))


@given(known_to_choose(st.floats()))
def test_a_setting_holds_only_what_concerns_its_workload(known: Known) -> None:
    """Law: a fleet of hundreds does not make a row larger."""
    setting, targets = setting_of(*known).cut(), set(known[0].workload.targets)
    assert set(setting.routes.places) | set(setting.snapshot.targets) | set(setting.load.targets) <= targets
    assert set(setting.load.providers) <= {target.partition("/")[0] for target in targets}


def test_infinity_and_nan_survive() -> None:
    """Law: what JSON has no word for is still itself."""
    setting = setting_of(replace(_QUERY, deadline=-inf), _ROUTES, _snapshot(expected_s=nan), Load({}, {}), inf)
    back = unpacked(setting.packed() or b"")
    assert (back.query.deadline, back.now) == (-inf, inf)
    assert isnan(back.snapshot.targets[_A].expected_s or 0.0)


def test_what_is_counted_later_does_not_change_a_setting() -> None:
    """Law: the dispatcher goes on counting in the same counters while the row waits to be written."""
    in_flight = {_A: 1}
    setting = setting_of(_QUERY, _ROUTES, _snapshot(), Load(in_flight, {}), 0.0)
    in_flight[_A] = 2
    assert setting.load.targets == {_A: 1}


@pytest.mark.parametrize("more", [{"request_id": "\ud800"}, {"more_than": 10**30}])
def test_what_no_file_could_keep_leaves_the_choice_without_a_setting(more: dict[str, object]) -> None:
    """Law: no client and no provider can stop the recorder by what it says."""
    assert setting_of(replace(_QUERY, **more), _ROUTES, _snapshot(), Load({}, {}), 0.0).packed() is None


@pytest.mark.parametrize("packed", [b"", "text", 1.5, b"x\x9cnonsense", unpacked.__name__.encode()])
def test_bytes_that_are_no_setting_are_refused(packed: bytes) -> None:
    """Law: a damaged row is told as such."""
    with pytest.raises(SettingUnreadable):
        unpacked(packed)


def test_a_lease_carries_its_setting_and_a_preview_none() -> None:
    """Law: what is recorded can be made again; what is only asked costs nothing."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            box: Mailbox[object] = Mailbox()
            dispatcher = Dispatcher(box, _ROUTES, 1)
            tasks.start_soon(dispatcher.run)
            preview: Reply[object] = Reply()
            box.put(HealthPublished(snapshot=_snapshot()))
            box.put(RoutePreviewRequested(query=_QUERY, reply=preview))
            seen = await preview.wait()
            lease = dispatcher.grant(1, _QUERY, 5.0)
            assert seen.setting is None
            assert replace(lease.choice, setting=None) == replayed(lease.choice.setting) == seen
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_the_fingerprint_covers_all_that_choosing_imports() -> None:
    """Law: whatever is changed in what decides, rows say that other code made them."""
    decides = {f"{package}.{name.removesuffix('.py')}" for package, names in DECIDES.items() for name in names}
    deciding = ("estimated.py", "known.py", "plain.py", "strategy.py")
    places = (("daemon.routing", "selection.py"), *(("daemon.routing.strategies", name) for name in deciding))
    for package, name in places:
        tree = ast.parse(resources.files(package).joinpath(name).read_text())
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {module for module in modules if module and module.split(".")[0] in {"daemon", "probes", "state"}}
        assert ours <= decides
    assert fingerprint().startswith(f"{VERSION}+")
