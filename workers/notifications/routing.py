"""The messages of sockets at ``/notifications/``, which every page of a signed-in user opens."""

from __future__ import annotations

from channels_classic import route
from notifications.consumers import connect, receive

channel_routing = [
    route("websocket.connect", connect, path=r"^/notifications/$"),
    route("websocket.receive", receive, path=r"^/notifications/$"),
]
