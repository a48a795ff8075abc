"""The wire: HTTP/1.1 connections to providers, and the only folder that knows asyncio's transports."""

from __future__ import annotations

from probes.wire.reply import Reply
from probes.wire.wires import Wires

__all__ = ["Reply", "Wires"]
