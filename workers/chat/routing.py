"""The messages of sockets at ``/chat/`` and ``/chat/<room>/``."""

from __future__ import annotations

from channels_classic import route
from chat.consumers import connect, connect_list, disconnect, receive

_ROOM = r"^/chat/(?P<slug>[-\w]+)/$"

channel_routing = [
    route("websocket.connect", connect_list, path=r"^/chat/$"),
    route("websocket.connect", connect, path=_ROOM),
    route("websocket.receive", receive, path=_ROOM),
    route("websocket.disconnect", disconnect, path=_ROOM),
]
