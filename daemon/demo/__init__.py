"""`fairlead demo`: simulated providers, a real daemon, an outage, and the history it leaves, told on a terminal."""

from __future__ import annotations

from daemon.demo.story import Afterwards, run

__all__ = ["Afterwards", "run"]
