"""The routes of the promises about groups, counters and faults."""

from __future__ import annotations

from channels_classic import route
from groups import consumers

PATH = r"^/groups/(?P<group>[\w.-]*)$"

channel_routing = [
    route("websocket.connect", consumers.connect, path=PATH),
    route("websocket.receive", consumers.receive, path=PATH),
    route("websocket.disconnect", consumers.disconnect, path=PATH),
    route("groups.task", consumers.task),
    route("groups.fails", consumers.fails),
    route("groups.hold", consumers.hold),
    route("groups.kills", consumers.kills),
    *(route(f"groups.{name}", consumers.plain) for name in ("narrow", "newest", "brief", "plain")),
    route("groups.picky", consumers.plain, wanted=r"^yes$"),
]
