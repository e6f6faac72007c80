"""How the cost grows: echo with the number of sockets, a send with the size of its group."""

from __future__ import annotations

import asyncio
import resource
from contextlib import closing
from statistics import median

import uvloop

from benchmarks import load
from benchmarks.contestants import Contestant
from benchmarks.counting import Counting
from benchmarks.group_load import Room
from benchmarks.site import WebSite
from benchmarks.work import WRONG, Figures, Metric, Scale, Work

#: Descriptors that a process needs beside those of its sockets.
SPARE = 500
#: Seconds between a send that has arrived everywhere and the next one.
REST = 0.05


def sockets(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Echo on more and more sockets of one server."""
    figures: Figures = {}
    wrong = 0
    for number, count in enumerate((scale.sockets, scale.more_sockets, scale.many_sockets)):
        found = uvloop.run(
            load.echo(site.port, contestant.echo, sockets=count, seconds=scale.seconds)
        )
        figures[f"grown {number}"] = found.per_second
        wrong += found.wrong + found.lost + found.inverted
    return {**figures, WRONG: wrong}


def groups(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Sends to larger and larger groups: what the sender pays, and what Redis writes."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if max(scale.crowds) + SPARE > descriptors:
        raise RuntimeError(f"{max(scale.crowds)} sockets: allow more files with ulimit -n")
    return uvloop.run(_groups(site, scale))


async def _groups(site: WebSite, scale: Scale) -> Figures:
    figures: Figures = {}
    lost = wrong = 0.0
    for number, members in enumerate(scale.crowds):
        found = await _group(site, members, sends=scale.crowd_sends)
        figures |= {f"{key} {number}": found[key] for key in ("crowd cost", "crowd writes")}
        lost, wrong = max(lost, found["lost"]), wrong + found[WRONG]
    return {**figures, "crowd lost": lost, WRONG: wrong}


async def _group(site: WebSite, members: int, *, sends: int) -> Figures:
    """One send after the other, each when the last has arrived at all members."""
    assert site.send, "this contestant has no sender"
    assert site.redis, "this contestant has no Redis"
    with closing(Counting(site.send, site.redis)) as send:
        async with Room(site.port, f"crowd{members}", members, send) as room:
            found = []
            for _ in range(sends):
                found.append(await room.paced(1, 0))
                await asyncio.sleep(REST)
        return {
            "crowd cost": median(each.cost_ms for each in found),
            "crowd writes": send.writes(),
            "lost": sum(each.lost_percent for each in found) / sends,
            WRONG: sum(each.wrong for each in found),
        }


WORKS = (
    Work(
        "growth",
        ("ours2", "async"),
        (
            Metric("grown 0", "WebSocket echo, {sockets} sockets", "/s"),
            Metric("grown 1", "- {more_sockets} sockets", "/s"),
            Metric("grown 2", "- {many_sockets} sockets", "/s"),
        ),
        sockets,
        fresh=True,
    ),
    Work(
        "growth",
        ("ours2",),
        (
            Metric("crowd cost 0", "group send, cost to the sender, {crowds[0]} members", "ms"),
            Metric("crowd cost 1", "- {crowds[1]} members", "ms"),
            Metric("crowd cost 2", "- {crowds[2]} members", "ms"),
            Metric("crowd cost 3", "- {crowds[3]} members", "ms"),
            Metric("crowd writes 0", "group send, writes in Redis, {crowds[0]} members", "writes"),
            Metric("crowd writes 1", "- {crowds[1]} members", "writes"),
            Metric("crowd writes 2", "- {crowds[2]} members", "writes"),
            Metric("crowd writes 3", "- {crowds[3]} members", "writes"),
            Metric("crowd lost", "- lost", "%"),
        ),
        groups,
        fresh=True,
    ),
)
