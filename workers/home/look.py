"""A look at this very site: its server and worker processes, and what each has done."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from channels_classic import Channel
from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.monitor.snapshot import snapshot

#: The sockets of everybody who looks at the start page, and the channel that has them told.
GROUP, CHANNEL = "home", "home.look"
#: Seconds between two looks: a little less than those between two beats, so that none is missed.
PAUSE = 0.9
#: Processes of each kind that are shown; the others are counted.
MOST = 12
_SERVER = ("name", "host", "pid", "uptime", "requests", "sockets", "streams", "received")
_WORKER = ("name", "host", "pid", "uptime", "threads", "completed")


def ask_for_a_look(*, layer: Any, **kwargs: Any) -> None:
    """Receiver of ``worker_beat``: if it is time and somebody is there, some worker looks.

    This one only asks, as it must not hold up the beat.
    """
    raw_layer: BaseChannelLayer = layer.channel_layer
    with suppress(ChannelFull, LayerUnavailable):  # the next beat is a second away
        if raw_layer.ledger.claim(CHANNEL, PAUSE) and raw_layer.group_count(GROUP):
            Channel(CHANNEL, channel_layer=layer).send({}, immediately=True)


def look(layer: BaseChannelLayer) -> dict[str, Any]:
    """The processes, the oldest first, as the start page shows them."""
    found = snapshot(layer)
    return {
        "servers": [_part(server, _SERVER) for server in found["servers"][:MOST]],
        "workers": [
            {**_part(worker, _WORKER), "running": _running(worker)}
            for worker in found["workers"][:MOST]
        ],
        "others": sum(max(0, len(found[kind]) - MOST) for kind in ("servers", "workers")),
    }


def _part(report: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: report.get(name) for name in names}


def _running(worker: dict[str, Any]) -> list[str]:
    """The consumers at work, without that of the look itself."""
    running = worker.get("running", [])
    return [each["consumer"] for each in running if each["channel"] != CHANNEL]
