"""The routes of the rooms, with that of presence."""

from __future__ import annotations

from channels_classic import include, route
from rooms import consumers

PATH = r"^/rooms/(?P<room>[a-z]+)/(?P<user>\d+)$"

channel_routing = [
    include("channels_classic.presence.routing"),
    route("websocket.connect", consumers.connect, path=PATH),
    route("websocket.receive", consumers.receive, path=PATH),
    route("websocket.disconnect", consumers.disconnect, path=PATH),
]
