"""Who a request is counted for."""

from __future__ import annotations

import msgspec

from state.history.charges import Charged

__all__ = ["Caller"]


class Caller(msgspec.Struct, frozen=True):
    """Who asks, as far as somebody trustworthy says so; empty names are nobody in particular, all counted together."""

    user: str = ""
    team: str = ""
    uid: int | None = None
    """The peer's user number on a Unix socket; None over TCP."""

    def charged(self, workload: str) -> Charged:
        """Return who pays for a request to `workload`."""
        return Charged(workload=workload, team=self.team, user=self.user)
