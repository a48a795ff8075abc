"""A trace: the providers' conditions over time and the load, as a JSON file says them."""

from __future__ import annotations

import bisect
import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = ["Arrivals", "Burst", "Event", "Lengths", "Part", "Provider", "Scale", "Segment", "Trace", "TraceError"]
__all__ += ["at", "decode", "load"]

Chance = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Natural = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Mode = Literal["ok", "5xx", "refuse", "hang", "gray"]

_OF_A_MODE = ("p5xx", "probe_ok", "models_ok")
"""What describes a mode, and is inherited only from segments of the same mode."""
_GRAY_P5XX = 0.9


class TraceError(Exception):
    """A trace that cannot be used; the text names the file and what is wrong."""


class _Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a trace: an unknown key is an error."""


class Part(_Checked, frozen=True, kw_only=True):
    """One part of a mixture of lengths; `w` is its weight beside the others."""

    w: Positive
    median: Positive
    sigma: Natural = 0.7


class Lengths(_Checked, frozen=True, kw_only=True):
    """How many tokens requests have: lognormal, or a mixture of lognormals."""

    median: Positive | None = None
    sigma: Natural = 0.7
    mix: tuple[Part, ...] = ()

    def parts(self) -> tuple[Part, ...]:
        """Return the mixture; without one, its only part."""
        return self.mix or (Part(w=1, median=self.median or 1, sigma=self.sigma),)


class Burst(_Checked, frozen=True, kw_only=True):
    """Every `every` seconds `n` requests more, evenly drawn over `spread` seconds."""

    every: Positive
    n: Count
    spread: Natural


class Arrivals(_Checked, frozen=True, kw_only=True):
    """When requests come and what they ask for."""

    rps: Natural | None = None
    rates: tuple[tuple[Natural, Natural], ...] | None = None
    burst: Burst | None = None
    out: Lengths = Lengths(median=200, sigma=0.7)
    prompt: Lengths = Lengths(median=600, sigma=0.8)
    stream: Chance = 1.0
    p_max_tokens: Chance = 0.5

    def steps(self) -> tuple[tuple[float, float], ...]:
        """Return the request rates per second, each with the time from which it holds."""
        return self.rates or ((0.0, self.rps or 0.0),)


class Event(_Checked, frozen=True, kw_only=True):
    """A fault of provider `p` between `t0` and `t1`: only what detection and recovery are measured by."""

    p: Annotated[int, Meta(ge=0)]
    t0: Natural
    t1: Natural
    recover: bool = True


class Segment(_Checked, frozen=True, kw_only=True):
    """A provider's true conditions from `t` on; times in seconds, `tps` in tokens per second."""

    t: Natural
    ttft: Positive
    tps: Positive
    sigma: Natural = 0.25
    tail_p: Chance = 0.005
    tail_x: Positive = 8.0
    tps_sigma: Natural = 0.15
    mode: Mode = "ok"
    p5xx: Chance = 0.0
    phang: Chance = 0.0
    pmid: Chance = 0.0
    p_long: Chance = 0.0
    long_min: Natural = 0.0
    probe_ok: bool | None = None
    models_ok: bool | None = None
    ramp: bool = False


class Provider(_Checked, frozen=True, kw_only=True):
    """One provider: its limits, and its segments in order of time."""

    name: str
    segments: tuple[Segment, ...]
    conc: Count | None = None
    queue_max: Annotated[int, Meta(ge=0)] | None = None
    rpm: Positive | None = None
    burst: Annotated[float, Meta(ge=1)] | None = None
    limit_kind: Literal["bucket", "window"] = "bucket"
    headers: bool = False
    prefill_tps: Positive | None = None
    cold_idle: Natural | None = None
    cold_extra: Natural = 0.0
    start_cold: bool = False
    cost_per_mtok: Natural = 1.0


class Trace(_Checked, frozen=True, kw_only=True):
    """A scenario of `duration` seconds."""

    name: str
    duration: Positive
    providers: Annotated[tuple[Provider, ...], Meta(min_length=1)]
    arrivals: Arrivals
    events: tuple[Event, ...] = ()


class Scale(msgspec.Struct, frozen=True):
    """Factors that make a trace harder: on every `sigma`, on every `tail_x`, on the arrivals."""

    noise: float = 1.0
    tails: float = 1.0
    load: float = 1.0


def load(file: Path, scale: Scale | None = None) -> Trace:
    """Return the trace in `file`; TraceError where there is none or it is wrong."""
    try:
        return decode(file.read_bytes(), scale or Scale())
    except OSError as error:
        raise TraceError(f"{file}: {error.strerror}") from None
    except (msgspec.DecodeError, TraceError, UnicodeDecodeError) as error:
        raise TraceError(f"{file}: {error}") from None


def decode(text: bytes, scale: Scale) -> Trace:
    """Return the trace that `text` says, made harder by `scale`."""
    raw = msgspec.json.decode(text)
    providers = raw.get("providers") if isinstance(raw, dict) else None
    for number, provider in enumerate(providers if isinstance(providers, list) else ()):
        if isinstance(provider, dict) and isinstance(provider.get("segments"), list):
            provider["segments"] = _inherited(provider["segments"], f"$.providers[{number}].segments")
    trace = msgspec.convert(raw, Trace)
    _check(trace)
    return _scaled(trace, scale)


def at(provider: Provider, time: float) -> Segment:
    """Return the provider's conditions at `time`, a ramp interpolated towards the next segment."""
    segments = provider.segments
    place = bisect.bisect_right(segments, time, key=lambda segment: segment.t) - 1
    here = segments[max(place, 0)]
    if not here.ramp or place + 1 >= len(segments):
        return here
    there = segments[place + 1]
    share = (time - here.t) / (there.t - here.t)
    ttft = here.ttft * (there.ttft / here.ttft) ** share
    return msgspec.structs.replace(here, ttft=ttft, tps=here.tps * (there.tps / here.tps) ** share)


def _inherited(segments: list[Any], where: str) -> list[dict[str, Any]]:
    """Return the segments with what they omit filled in from those before."""
    whole: dict[str, Any] = {}
    of_mode: dict[Any, dict[str, Any]] = {"gray": {"p5xx": _GRAY_P5XX}}
    filled = []
    for number, stated in enumerate(segments):
        if not isinstance(stated, dict):
            raise TraceError(f"Expected `object` - at `{where}[{number}]`")
        whole |= {name: value for name, value in stated.items() if name not in {*_OF_A_MODE, "ramp"}}
        mode = of_mode.setdefault(str(whole.get("mode", "ok")), {})
        mode |= {name: stated[name] for name in _OF_A_MODE if name in stated}
        filled.append({**whole, **mode, "ramp": stated.get("ramp", False)})
        if number == 0:
            filled[0].setdefault("t", 0)
    return filled


def _check(trace: Trace) -> None:
    for number, provider in enumerate(trace.providers):
        times = [segment.t for segment in provider.segments]
        if not times or times[0] != 0:
            raise TraceError(f"providers[{number}]: the first segment must start at 0")
        if any(later <= earlier for earlier, later in itertools.pairwise(times)):
            raise TraceError(f"providers[{number}]: segments must be in order of `t`")
    if len({provider.name for provider in trace.providers}) < len(trace.providers):
        raise TraceError("two providers have the same name")
    for number, event in enumerate(trace.events):
        if event.p >= len(trace.providers) or event.t1 <= event.t0:
            raise TraceError(f"events[{number}]: `p` must be a provider's place and `t1` after `t0`")
    _check_arrivals(trace.arrivals)


def _check_arrivals(arrivals: Arrivals) -> None:
    if (arrivals.rps is None) == (not arrivals.rates):
        raise TraceError("arrivals: state either `rps` or `rates`")
    times = [time for time, _ in arrivals.rates or ()]
    if times != sorted(set(times)):
        raise TraceError("arrivals: `rates` must be in order of time")
    for name, lengths in (("out", arrivals.out), ("prompt", arrivals.prompt)):
        if bool(lengths.mix) == (lengths.median is not None):
            raise TraceError(f"arrivals.{name}: state either `median` or `mix`")


def _scaled(trace: Trace, scale: Scale) -> Trace:
    replace = msgspec.structs.replace
    arrivals = trace.arrivals
    burst = arrivals.burst and replace(arrivals.burst, n=max(1, round(arrivals.burst.n * scale.load)))
    rates = tuple((time, rate * scale.load) for time, rate in arrivals.steps())
    providers = []
    for provider in trace.providers:
        segments = [
            replace(segment, sigma=segment.sigma * scale.noise, tail_x=segment.tail_x * scale.tails)
            for segment in provider.segments
        ]
        providers.append(replace(provider, segments=tuple(segments)))
    arrivals = replace(arrivals, rps=None, rates=rates, burst=burst)
    return replace(trace, arrivals=arrivals, providers=tuple(providers))
