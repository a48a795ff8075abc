"""LiteLLM's own lowest-latency strategy on the virtual clock; only where `litellm` is installed.

Its class chooses and keeps the latencies; times are handed to it, so that only the label of the minute, which no limit
uses here, is real. The cooldown rule is that of `litellm/router_utils/cooldown_handlers.py` with its defaults, written
again on the virtual clock, because there it reads the real one.
"""

from __future__ import annotations

import functools
import importlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio

from benchmarks.routing.engine import Attempt, Engine, Reply, Request
from benchmarks.routing.sequential import SequentialPolicy

__all__ = ["LiteLLM"]

_GROUP: Final = "simulated"
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_COOLDOWN_S: Final = 5.0
_MOST_FAILED: Final = 0.5
_LEAST_SEEN: Final = 5
"""DEFAULT_COOLDOWN_TIME_SECONDS, DEFAULT_FAILURE_THRESHOLD_PERCENT and _MINIMUM_REQUESTS of litellm/constants.py."""


class LiteLLM(SequentialPolicy):
    """The `latency-based-routing` of its router, with three attempts; what is tried again is not excluded there."""

    name = "litellm"

    def __init__(self, seed: int) -> None:
        """Seed the module-wide luck that the strategy draws from."""
        random.seed(seed)

    def begin(self, engine: Engine) -> None:
        """Make the strategy, with an empty cache."""
        super().begin(engine)
        self._litellm: Any = importlib.import_module("litellm")
        strategy: Any = importlib.import_module("litellm.router_strategy.lowest_latency")
        caching: Any = importlib.import_module("litellm.caching.caching")
        self._deployments = [
            {"model_name": _GROUP, "litellm_params": {"model": name}, "model_info": {"id": str(place)}}
            for place, name in enumerate(engine.providers)
        ]
        arguments = {"router_cache": caching.DualCache(), "model_list": self._deployments}
        try:
            self._strategy = strategy.LowestLatencyLoggingHandler(**arguments)
        except TypeError:  # newer ones take no list of models
            self._strategy = strategy.LowestLatencyLoggingHandler(router_cache=arguments["router_cache"])
        self._cool_until = [0.0] * len(engine.providers)
        self._minutes: dict[tuple[int, int], list[int]] = {}

    def choose(self, request: Request, _tried: tuple[int, ...]) -> int | None:
        """Return what the strategy picks of those that are not cooling; None, to be asked again, where all are."""
        now = self.engine.now
        healthy = [one for one, until in zip(self._deployments, self._cool_until, strict=True) if until <= now]
        picked = self._strategy.get_available_deployments(
            model_group=_GROUP,
            healthy_deployments=healthy,
            messages=[],
            request_kwargs={"stream": request.streamed, "metadata": {}},
        )
        return int(picked["model_info"]["id"]) if picked else None

    def heard(self, attempt: Attempt, reply: Reply | None) -> None:
        """Tell the strategy of a success or a timeout, and cool who fails too often."""
        served = reply is not None and reply.kind == "ok"
        minute = self._minutes.setdefault((attempt.provider, int(self.engine.now // 60)), [0, 0])
        minute[served] += 1
        if reply is None:
            told = functools.partial(self._strategy.async_log_failure_event, **self._told(attempt, None))
            anyio.run(told)
        elif served:
            self._strategy.log_success_event(**self._told(attempt, reply))
            return
        elif reply.kind == "refused":
            return  # a connection error never cools a deployment
        failed, succeeded = minute
        seen = failed + succeeded
        limited = reply is not None and reply.kind == "rate_limited"
        if limited or (seen >= _LEAST_SEEN and failed / seen > _MOST_FAILED):
            self._cool_until[attempt.provider] = self.engine.now + _COOLDOWN_S

    def _told(self, attempt: Attempt, reply: Reply | None) -> dict[str, Any]:
        """Return what the strategy is told of an attempt."""
        began = _EPOCH + timedelta(seconds=attempt.started_at)
        call: dict[str, Any] = {
            "litellm_params": {"metadata": {"model_group": _GROUP}, "model_info": {"id": str(attempt.provider)}},
            "stream": attempt.streamed,
        }
        answer = None
        if reply is None:
            call["exception"] = self._litellm.Timeout("simulated", model=_GROUP, llm_provider="simulated")
        else:
            if reply.first_s is not None:
                call["completion_start_time"] = began + timedelta(seconds=reply.first_s)
            usage = self._litellm.Usage(prompt_tokens=attempt.prompt_tokens, completion_tokens=reply.tokens)
            answer = self._litellm.ModelResponse(usage=usage)
        ended = _EPOCH + timedelta(seconds=self.engine.now)
        return {"kwargs": call, "response_obj": answer, "start_time": began, "end_time": ended}
