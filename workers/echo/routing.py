"""The messages of sockets at ``/echo/``."""

from __future__ import annotations

from channels_classic import route
from echo.consumers import connect, receive

channel_routing = [
    route("websocket.connect", connect, path=r"^/echo/$"),
    route("websocket.receive", receive, path=r"^/echo/$"),
]
