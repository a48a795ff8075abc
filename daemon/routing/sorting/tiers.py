"""By how hard a request is: its tier's targets first, then the tiers above, then those below."""

from __future__ import annotations

from typing import Final

from daemon.routing.complexity.tiers import Classified, Tier
from daemon.routing.leases import Preference
from daemon.routing.sorting.policy import Tiers
from state.targets import TargetName

__all__ = ["by_tier", "tier_groups", "unseen_tier"]

_ORDER: Final = (Tier.SIMPLE, Tier.MODERATE, Tier.COMPLEX)


def by_tier(tiers: Tiers, classified: Classified) -> Preference:
    """Return the preference for a request that was taken for `classified`."""
    why = f"{classified.tier.value} ({', '.join(classified.reasons) or 'nothing speaks for another'})"
    return Preference(groups=tier_groups(tiers, classified.tier), label=classified.tier.value, why=why)


def unseen_tier(tiers: Tiers) -> Preference:
    """Return the preference for a request of which nothing is known."""
    tier = Tier.MODERATE
    why = f"{tier.value} (without a prompt to look at)"
    return Preference(groups=tier_groups(tiers, tier), label=tier.value, why=why)


def tier_groups(tiers: Tiers, tier: Tier) -> tuple[tuple[TargetName, ...], ...]:
    """Return the tiers that have targets: who is too weak for a request comes after all who are too strong."""
    place = _ORDER.index(tier)
    order = (*_ORDER[place:], *reversed(_ORDER[:place]))
    return tuple(targets for each in order if (targets := getattr(tiers, each.value)))
