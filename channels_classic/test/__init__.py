"""What projects and channel layers are tested with."""

from __future__ import annotations

from channels_classic.test.base import (
    ChannelTestCase,
    Client,
    TransactionChannelTestCase,
    apply_routes,
)
from channels_classic.test.http import HttpClient
from channels_classic.test.liveserver import ChannelLiveServerTestCase
from channels_classic.test.websocket import WSClient

__all__ = [
    "ChannelLiveServerTestCase",
    "ChannelTestCase",
    "Client",
    "HttpClient",
    "TransactionChannelTestCase",
    "WSClient",
    "apply_routes",
]
