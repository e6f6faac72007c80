"""The old name of ``channels_classic.test.http``."""

from __future__ import annotations

from channels_classic.test.http import HttpClient, WSClient

__all__ = ["HttpClient", "WSClient"]
