"""The policies that can be compared, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from benchmarks.routing.baselines import Average, Ordered, PeakEwma, Random, RoundRobin
from benchmarks.routing.engine import Policy
from benchmarks.routing.fairlead import Fairlead
from benchmarks.routing.oracle import Oracle

__all__ = ["POLICIES"]

POLICIES: dict[str, Callable[[int], Policy]] = {
    policy.name: policy for policy in (Fairlead, Oracle, Average, PeakEwma, Ordered, RoundRobin, Random)
}
"""Each makes a policy from the seed of a run."""

if importlib.util.find_spec("litellm"):
    from benchmarks.routing.litellm_latency import LiteLLM

    POLICIES[LiteLLM.name] = LiteLLM
