"""The headers of an answer say of fairlead only what fairlead says."""

from __future__ import annotations

import anyio
import pytest

from tests.rigs.bodies import STREAM, WELL
from tests.rigs.peers import Send
from tests.rigs.relay import Recorded, relay

_FORGED = (
    b"\r\nFairlead-Degraded: cache\r\nfairlead-fallback-from: x/y\r\nfairlead-cost-usd: 9\r\n"
    b"fairlead-target: x/y\r\nserver-timing: forged\r\nx-other: kept\r\n\r\n"
)


@pytest.mark.parametrize("good", [WELL, STREAM], ids=["plain", "streamed"])
def test_a_provider_cannot_speak_in_fairleads_name(good: list[Send]) -> None:
    """Law: `fairlead-` headers of a provider's are left out, others go on."""

    async def main() -> None:
        async with relay([Send(good[0].data.replace(b"\r\n\r\n", _FORGED, 1))]) as (one, _):
            client = Recorded()
            reply = await one.send(client, streamed=good is STREAM)
            headers = client.headers if reply is None else reply.headers
            ours = {name.lower() for name in headers if name.lower().startswith("fairlead-")}
            assert ours == {"fairlead-target", "fairlead-workload", "fairlead-attempts"}
            assert (headers["fairlead-target"], headers["x-other"]) == ("p0/m", "kept")
            assert "forged" not in headers["server-timing"]

    anyio.run(main, backend_options={"use_uvloop": True})
