"""The old name of ``channels_classic.test``: deprecated."""

from __future__ import annotations

import warnings

from channels_classic.test import (
    ChannelLiveServerTestCase,
    ChannelTestCase,
    Client,
    HttpClient,
    TransactionChannelTestCase,
    WSClient,
    apply_routes,
)

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]

warnings.warn(
    "channels_classic.tests is now channels_classic.test", DeprecationWarning, stacklevel=2
)
