"""What holds for every test: a law is not broken by a slow machine, or by the luck of a large example."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fairlead", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("fairlead")
