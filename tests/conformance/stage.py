"""What a conformance test plays on: providers at scripted peers, and workloads over them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.conformance.upstreams import Upstreams, upstreams
from tests.rigs.misbehaving import PARTS, Tongue, good
from tests.rigs.process import Daemon

__all__ = ["QUICK", "Stage", "stage"]

QUICK = 'timeouts = { connect = "150ms", first_byte = "300ms", idle = "300ms", total = "10s" }'
"""For upstreams that stall; those that answer well have the default timeouts, however busy the machine is."""
_HEAD = """version = 1

[health]
fall = 1000
min_samples = 100000
cooldown = { base = "30s", max = "60s" }
"""


class Stage:
    """Collects a configuration. Health stays out of it unless a provider says otherwise."""

    def __init__(self, house: Upstreams) -> None:
        """Have one good upstream, and a workload over it, for each part."""
        self.house = house
        self._sections = [_HEAD]
        self.good_peers = {part: house.open(good(part)) for part in PARTS}
        for part, one in self.good_peers.items():
            self.workload(f"good-{part}", [self.provider(f"good-{part}", part.tongue, one.base_url)])

    def provider(self, name: str, tongue: Tongue, url: str, *lines: str) -> str:
        """Add a provider of one model at `url`, with `lines` of TOML; return its target."""
        base = f"{url}/v1" if tongue is Tongue.OPENAI else url
        settings = [f'dialect = "{tongue}"', f'base_url = "{base}"', f'api_key = "key-of-{name}"']
        self._section(f"providers.{name}", *settings, 'models = ["m"]', 'probe = { kind = "none" }', *lines)
        return f"{name}/m"

    def workload(self, name: str, targets: list[str], *lines: str) -> str:
        """Add a workload that prefers its first target, unless `lines` name a strategy; return its name."""
        strategy = () if any(line.startswith("strategy") for line in lines) else ('strategy = "priority"',)
        self._section(f"workloads.{name}", f"targets = {json.dumps(targets)}", *strategy, *lines)
        return name

    def _section(self, name: str, *lines: str) -> None:
        self._sections.append("\n".join([f"[{name}]", *lines, ""]))

    @property
    def config(self) -> str:
        """The configuration so far."""
        return "\n".join(self._sections)

    def reload(self, daemon: Daemon) -> None:
        """Have the daemon take up what was added since."""
        daemon.config.write_text(self.config)
        answer = daemon.ask("POST", "/fairlead/v1/reload")
        assert answer.status == 200, answer.body


@contextmanager
def stage() -> Iterator[Stage]:
    """Give an empty stage."""
    with upstreams() as house:
        yield Stage(house)
