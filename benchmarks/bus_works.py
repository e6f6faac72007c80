"""The bus alone: messages from one process to another, with no server and no worker."""

from __future__ import annotations

import json

from benchmarks.contestants import Contestant
from benchmarks.site import BusSite
from benchmarks.work import WRONG, Figures, Metric, Scale, Work


def send_and_receive(contestant: Contestant, site: BusSite, scale: Scale) -> Figures:
    """Send for some time while the other process receives, until all has come."""
    site.receiver.tell("receive")
    site.sender.tell(json.dumps({"channel": site.channel, "seconds": scale.seconds}))
    sent = json.loads(site.sender.hear())
    found = json.loads(site.receiver.hear())
    return {
        "bus": found["count"] / max(found["ended"] - sent["began"], 1) * 1e9,
        WRONG: found["wrong"] + abs(sent["sent"] - found["count"]),
    }


WORKS = (
    Work(
        "bus",
        ("single", "layer", "redis-py", "core-bus", "pubsub-bus"),
        (Metric("bus", "messages sent and received, 2 processes", "/s"),),
        send_and_receive,
    ),
)
