"""Simulated models in a process of their own: `python -m probes.simulated --listen 127.0.0.1:4010 --model fast`."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import msgspec

from probes.simulated.behaviour import Behaviour, behaviour_of
from probes.simulated.server import SimulatedServer
from state.durations import parse_duration

__all__ = ["main", "parse_model"]


def parse_model(text: str) -> tuple[str, Behaviour]:
    """Return the name and behaviour that `NAME[:latency=50ms,tps=100,tokens=20,fault.server_error=0.1]` spells.

    Raises ValueError on anything else.
    """
    name, _, settings = text.partition(":")
    changes: dict[str, object] = {}
    faults: dict[str, float] = {}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        if key.startswith("fault."):
            faults[key.removeprefix("fault.")] = float(value)
        elif key == "latency":
            changes["latency_ms"] = parse_duration(value) * 1e3
        elif key in {"tps", "spread"}:
            changes["tokens_per_second" if key == "tps" else key] = float(value)
        elif key == "tokens":
            changes[key] = int(value)
        else:
            raise ValueError(f"{key!r} is not one of latency, spread, tps, tokens, fault.KIND")
    if faults:
        changes["faults"] = faults
    base = msgspec.to_builtins(behaviour_of(name))
    return name, msgspec.convert({**base, **changes}, Behaviour)


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m probes.simulated", description=__doc__)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--listen", metavar="HOST:PORT")
    place.add_argument("--socket", metavar="PATH", type=Path)
    parser.add_argument("--model", metavar="NAME[:SETTINGS]", type=parse_model, action="append", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    anyio.run(_serve, options, backend_options={"use_uvloop": True})
    return 0


async def _serve(options: argparse.Namespace) -> None:
    server = SimulatedServer(dict(options.model), options.seed)
    async with AsyncExitStack() as stack:
        if options.socket:
            await stack.enter_async_context(server.at(options.socket))
            print(f"listening on {options.socket}", flush=True)  # noqa: T201
        else:
            host, _, port = options.listen.rpartition(":")
            bound = await stack.enter_async_context(server.on(host, int(port)))
            print(f"listening on {host}:{bound}", flush=True)  # noqa: T201
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return


if __name__ == "__main__":
    sys.exit(main())
