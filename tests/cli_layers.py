"""What commands are pointed at in tests: layers in this module, with what a test puts there."""

from __future__ import annotations

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.memory import InMemoryChannelLayer


class Shared(InMemoryChannelLayer):
    """It stands for a layer that several processes share, and can be away."""

    local_only = False

    def __init__(self):
        super().__init__()
        self.away = 0
        self.is_closed = False
        census = self.ledger.census

        def census_or_not(channels=()):
            if self.away:
                self.away -= 1
                raise LayerUnavailable("no Redis at localhost:6379")
            return census(channels)

        self.ledger.census = census_or_not

    def close(self):
        self.is_closed = True


def filled() -> Shared:
    """A layer with something to see."""
    layer = Shared()
    for number in range(3):
        layer.send("thumbnails", {"photo": number})
    layer.deliver([layer.prepare("mail", {"to": 1}, delay=500)])
    layer.ledger.report(
        "web-1",
        {"kind": "server", "host": "web", "pid": 7, "uptime": 90.0, "requests": 1200, "sockets": 4},
        ttl=60,
    )
    running = {"channel": "thumbnails", "consumer": "a.b", "seconds": 3.5, "request_id": "r1"}
    layer.ledger.report(
        "work-1",
        {
            "kind": "worker",
            "host": "work\x1b[2J",
            "pid": 8,
            "uptime": 60.0,
            "threads": 2,
            "channels": ["thumbnails"],
            "completed": {"thumbnails": 5},
            "progress": 1.0,
            "running": [running],
        },
        ttl=60,
    )
    return layer


layer: BaseChannelLayer | None = None
memory = InMemoryChannelLayer()
