"""Simulated providers: real HTTP servers with a character, for demos, tests and benchmarks."""

from __future__ import annotations

from probes.simulated.behaviour import Behaviour, Outage, behaviour_of
from probes.simulated.server import SimulatedServer

__all__ = ["Behaviour", "Outage", "SimulatedServer", "behaviour_of"]
