"""Consumers of WebSockets as classes, under the names that projects import."""

from __future__ import annotations

from channels_classic.generic.demultiplexer import WebsocketDemultiplexer
from channels_classic.generic.multiplexer import WebsocketMultiplexer
from channels_classic.generic.sockets import JsonWebsocketConsumer, WebsocketConsumer

__all__ = [
    "JsonWebsocketConsumer",
    "WebsocketConsumer",
    "WebsocketDemultiplexer",
    "WebsocketMultiplexer",
]
