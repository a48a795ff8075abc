"""What is said of budgets that stand in a request's way, or nearly do. Pure."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from msgspec.structs import replace

from daemon.limits.accounts import SETTLED, SOON_S, Account, Purse, Verdict
from daemon.limits.calendar import when
from state.targets import TargetName, split_target

__all__ = ["Held", "lacking", "running_out"]

Held = tuple[Purse, float]
"""The dollars of a period, and how many may be spent in it."""

_SMALL_USD: Final = 0.1


def running_out(account: Account, held: Held, unix: float, zone: tzinfo) -> Verdict | None:
    """Return what is to be said of a budget at the Unix time `unix`, None while most of it is left."""
    purse, most = held
    if purse.committed < most * account.policy.warn_at:
        return None
    stands = _stands(held)
    if purse.spent >= most:
        return account.verdict(f"{stands} is used up ({_usd(purse.spent)})", *_at_its_end(purse, unix, zone))
    if purse.committed >= most:
        what = f"{stands} is used up ({_usd(purse.spent)} spent, {_usd(purse.reserved)} set aside)"
        return account.verdict(what, SOON_S, SETTLED)
    nearly = account.verdict(f"{stands} is nearly used up ({_usd(purse.spent)})", *_at_its_end(purse, unix, zone))
    return replace(nearly, reached=False)


def lacking(account: Account, held: Held, attempt: tuple[TargetName, float | None], zone: tzinfo) -> Verdict:
    """Return why there is no money for an attempt at a target that may cost so many dollars, None for unknown."""
    (purse, most), (target, usd) = held, attempt
    if usd is None:
        provider, model = split_target(target)
        what = (
            f"{_stands(held)} cannot be kept at {target}, whose price is unknown; set it in the configuration: "
            f'[providers.{provider}.prices."{model}"]'
        )
        return account.verdict(what, None)
    what = f"{_stands(held)} leaves ${max(0.0, most - purse.committed):.4f}, and {target} may cost ${usd:.4f}"
    if purse.spent + usd <= most:
        return account.verdict(what, SOON_S, SETTLED)
    return account.verdict(what, None, f"at {when(purse.to_unix, zone)}")


def _at_its_end(purse: Purse, unix: float, zone: tzinfo) -> tuple[float, str]:
    return purse.to_unix - unix, f"at {when(purse.to_unix, zone)}"


def _stands(held: Held) -> str:
    purse, most = held
    return f"usd_per_{purse.period.value} = {_usd(most)}"


def _usd(amount: float) -> str:
    """Return dollars to the cent, and small amounts to the hundredth of one."""
    return f"{amount:.2f}" if amount >= _SMALL_USD or not amount else f"{amount:.4f}"
