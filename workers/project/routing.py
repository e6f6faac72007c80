"""Which consumer gets which message; pages need no entry, Django's views answer them."""

from __future__ import annotations

from channels_classic import include

channel_routing = [
    include("channels_classic.presence.routing"),
    include("home.routing.channel_routing"),
    include("chat.routing.channel_routing"),
    include("echo.routing.channel_routing"),
    include("counter.routing.channel_routing"),
    include("dashboard.routing.channel_routing"),
    include("notifications.routing.channel_routing"),
    include("headlines.routing.channel_routing"),
    include("thumbnailer.routing.channel_routing"),
    include("channels_classic.monitor.routing.channel_routing", path=r"^/monitor"),
]
