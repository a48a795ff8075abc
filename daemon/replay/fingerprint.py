"""Which code makes a choice: told apart by what it is, not only by its version."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

from daemon.version import VERSION

__all__ = ["DECIDES", "fingerprint"]

DECIDES: Final = {
    "daemon.routing": ("latency.py", "leases.py", "obstacles.py", "policy.py", "selection.py"),
    "daemon.routing.strategies": ("estimated.py", "known.py", "plain.py", "strategy.py"),
    "probes": ("policy.py", "surfaces.py"),
    "probes.dialects": ("needs.py",),
    "state.latency": ("cold.py", "estimator.py", "forecast.py", "knee.py", "lengths.py", "level.py", "reliability.py"),
    "state": ("errors.py", "faults.py", "pages.py", "prices.py", "standing.py", "targets.py"),
}
"""By package, the files that a choice is made by: what `selection.py` is, and what it reads its words from."""
_DIGITS: Final = 12


@cache
def fingerprint() -> str:
    """Return the version and a hash of the source that decides, such as `0.1.0+3f2a9c1d04be`.

    Read once, so that it is the code which the process began with. Without its source, the version alone.
    """
    digest = sha256()
    try:
        for package, names in DECIDES.items():
            for name in names:
                digest.update(resources.files(package).joinpath(name).read_bytes())
    except OSError:
        return VERSION
    return f"{VERSION}+{digest.hexdigest()[:_DIGITS]}"
