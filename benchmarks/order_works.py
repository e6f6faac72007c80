"""What order costs: the same echo through a server with lanes and through one without."""

from __future__ import annotations

import uvloop

from benchmarks import load
from benchmarks.contestants import Contestant
from benchmarks.site import WebSite
from benchmarks.work import WRONG, Figures, Metric, Scale, Work


def one(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Each socket waits for its echo: what receipts cost where there is nothing to order."""
    found = uvloop.run(
        load.echo(site.port, contestant.echo, sockets=scale.sockets, seconds=scale.seconds)
    )
    return {
        "order one": found.per_second,
        "order one p99": found.p99_ms,
        WRONG: found.wrong + found.lost + found.inverted,
    }


def window(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Each socket sends ahead: some of its messages wait in the lane for those before them."""
    found = uvloop.run(
        load.echo(
            site.port,
            contestant.echo,
            sockets=scale.sockets,
            seconds=scale.seconds,
            window=scale.window,
        )
    )
    return {
        "order window": found.per_second,
        "order inverted": 100 * found.inverted / max(found.count, 1),
        WRONG: found.wrong + found.lost,
    }


WHO = ("unordered", "ours2")

WORKS = (
    Work(
        "order",
        WHO,
        (
            Metric("order one", "WebSocket echo, {sockets} sockets, 1 text in flight", "/s"),
            Metric("order one p99", "- p99", "ms"),
        ),
        one,
    ),
    Work(
        "order",
        WHO,
        (
            Metric("order window", "- {window} texts in flight", "/s"),
            Metric("order inverted", "- out of order", "%"),
        ),
        window,
    ),
)
