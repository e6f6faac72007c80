"""The routes of all parts of the site."""

from __future__ import annotations

from channels_classic import include

channel_routing = [
    include("delivery.routing.channel_routing"),
    include("groups.routing.channel_routing"),
    include("rooms.routing.channel_routing"),
]
