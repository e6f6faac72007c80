"""The socket of the start page, and the channel that has all who look told."""

from __future__ import annotations

from channels_classic import route
from home.consumers import connect, look
from home.look import CHANNEL

channel_routing = [
    route("websocket.connect", connect, path=r"^/$"),
    route(CHANNEL, look),
]
