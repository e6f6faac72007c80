"""The routes: work that goes well, fails, takes its time; a socket; and the live page's."""

from __future__ import annotations

from bus import consumers

from channels_classic import include, route

channel_routing = [
    include("channels_classic.monitor.routing.channel_routing", path=r"^/monitor"),
    route("websocket.connect", consumers.accept, path=r"^/open/$"),
    route("work.well", consumers.well),
    route("work.failing", consumers.failing),
    route("work.slow", consumers.slow),
]
