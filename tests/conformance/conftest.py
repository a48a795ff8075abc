"""What the scenarios share: one daemon, whose configuration grows by what each of them needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.asking import clients
from tests.conformance.scenario import Scenario
from tests.conformance.stage import stage
from tests.rigs.process import running


@pytest.fixture(scope="package")
def troupe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Give a daemon in front of good upstreams only, to which a scenario adds its own."""
    with stage() as play:
        folder = tmp_path_factory.mktemp("d")
        with running(folder, play.config) as daemon, clients(daemon) as both:
            yield Scenario(play, daemon, both)
