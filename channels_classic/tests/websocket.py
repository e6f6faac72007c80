"""The old name of ``channels_classic.test.websocket``."""

from __future__ import annotations

from channels_classic.test.websocket import WSClient

__all__ = ["WSClient"]
