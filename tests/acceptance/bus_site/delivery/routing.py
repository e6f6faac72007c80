"""The routes of the promises about single messages."""

from __future__ import annotations

from channels_classic import route, route_class
from delivery import fairness, memory, order, recovery, streams, tasks

_SOCKET = ["websocket.connect", "websocket.receive", "websocket.disconnect"]

channel_routing = [
    route("bus.count", tasks.count),
    route("bus.plain", recovery.plain),
    route("bus.lasting", recovery.lasting),
    route("bus.lasting-once", recovery.lasting_once),
    route("bus.precious", recovery.precious),
    route("bus.risky", recovery.risky),
    route("bus.failing", recovery.failing),
    route("bus.mixed", fairness.mixed),
    route("bus.busy", fairness.busy),
    route("bus.quiet", fairness.quiet),
    route(_SOCKET, order.step, path=r"^/order/$"),
    route("websocket.receive", order.stubborn, path=r"^/stubborn/$"),
    route("websocket.receive", recovery.talk, path=r"^/talk/$"),
    route("lines.receive", recovery.talk),
    route("websocket.receive", recovery.safe_talk, path=r"^/safe-talk/$"),
    route("websocket.connect", memory.join, path=r"^/group/$"),
    route("websocket.receive", memory.slow, path=r"^/flood/$"),
    route("bus.event", streams.publish),
    route_class(streams.News, path=r"^/news/(?P<topic>\w+)/$"),
]
