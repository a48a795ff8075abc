"""One booted system for all tests of a worker, and the service in it as each test wants to find it: fresh."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.rigs.box import Box, why_not
from tests.rigs.boxed_fairlead import environment, installed
from tests.rigs.service import Service


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Give a booted system with fairlead installed.

    Where none can be booted the test is skipped, unless $FAIRLEAD_REQUIRE_SYSTEMD says that here one has to be.
    """
    if reason := why_not():
        (pytest.fail if os.environ.get("FAIRLEAD_REQUIRE_SYSTEMD") else pytest.skip)(reason)
    opt = tmp_path_factory.mktemp("opt")
    machine = Box(tmp_path_factory.mktemp("box"), *environment(opt))
    try:
        machine.boot()
        installed(machine)
        yield machine
    finally:
        machine.stop()


@pytest.fixture
def service(box: Box) -> Service:
    """Give the service, not started, with the configuration of the lab and an empty history."""
    return Service(box)
