"""`GET /fairlead/v1/route`: what a request that is only asked about would ask the dispatcher for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from daemon.control.operating import Problem, problem
from daemon.faces.refusals import RefusalKind
from daemon.relay.refusing import too_long
from daemon.routing.leases import RouteQuery
from daemon.routing.naming import UnknownModel, resolve
from daemon.routing.policy import Routes, Workload
from daemon.routing.sorting.again import unseen
from probes.dialects.needs import Needs
from probes.surfaces import Surface, speaks

__all__ = ["previewed"]

_NUMBER: Final = re.compile(r"[0-9]{1,15}")


def previewed(asked: Mapping[str, str], routes: Routes) -> RouteQuery:
    """Return the question of a request as `asked` describes it. Raises Problem where there could be none like it.

    `prompt_tokens` and `max_tokens`, those that it may have for an answer, are what a context window must hold.
    """
    name = asked.get("workload", "auto")
    workload = resolve(name, routes)
    if isinstance(workload, UnknownModel):
        raise problem(RefusalKind.WORKLOAD_UNKNOWN, _unknown(workload, routes))
    prompt_tokens, max_tokens = _tokens(asked, "prompt_tokens"), _tokens(asked, "max_tokens")
    if (refusal := too_long(workload, prompt_tokens)) is not None:
        raise Problem(refusal)
    return RouteQuery(
        request_id="",
        workload=workload,
        surface=_surface(asked.get("surface"), workload, routes),
        fallback_on=workload.fallback_on,
        needs=Needs(prompt_tokens + max_tokens),
        more_than=_over(workload, prompt_tokens),
        preference=unseen(workload),
    )


def _over(workload: Workload, prompt_tokens: int) -> int:
    most = workload.max_input_tokens
    return prompt_tokens if most is not None and prompt_tokens > most else 0


def _unknown(model: UnknownModel, routes: Routes) -> str:
    near = f" Did you mean {' or '.join(model.nearest)}?" if model.nearest else ""
    return f"No workload is called {model.name!r}; there are {', '.join(routes.workloads)}.{near}"


def _tokens(asked: Mapping[str, str], name: str) -> int:
    text = asked.get(name, "0")
    if not _NUMBER.fullmatch(text):
        raise problem(RefusalKind.INVALID_REQUEST, f"{name} is {text[:20]!r}; give a whole number, 0 or more.")
    return int(text)


def _surface(asked: str | None, workload: Workload, routes: Routes) -> Surface:
    """Return the call that a route is asked for: the one named, else the chat call of a dialect that it speaks."""
    if asked is not None:
        if asked not in set(Surface):
            raise problem(RefusalKind.INVALID_REQUEST, f"surface is {asked!r}; give one of {', '.join(Surface)}.")
        return Surface(asked)
    places = [routes.places[target] for target in workload.targets]
    openai = any(speaks(place.dialect, Surface.CHAT) for place in places)
    return Surface.CHAT if openai else Surface.MESSAGES
