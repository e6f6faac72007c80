"""The works of web sites: pages, WebSockets and groups."""

from __future__ import annotations

import uvloop

from benchmarks import http_load, load
from benchmarks.contestants import Contestant
from benchmarks.group_load import Room
from benchmarks.site import WebSite
from benchmarks.work import WRONG, Figures, Metric, Scale, Work


def hello_many(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """The hello page, many connections."""
    found = http_load.ask(
        site.port, http_load.HELLO, connections=scale.connections, seconds=scale.seconds
    )
    return {
        "hello": found.per_second,
        "hello p50": found.p50,
        "hello p99": found.p99,
        WRONG: found.wrong,
    }


def hello_one(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """The hello page, one connection."""
    found = http_load.ask(site.port, http_load.HELLO, connections=1, seconds=scale.seconds / 2)
    return {"hello one p50": found.p50, WRONG: found.wrong}


def post(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Uploads."""
    found = http_load.ask(
        site.port, http_load.POST, connections=scale.connections, seconds=scale.seconds
    )
    return {"post": found.per_second, WRONG: found.wrong}


def mebibyte(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Long answers."""
    found = http_load.ask(
        site.port, http_load.MEBIBYTE, connections=scale.connections, seconds=scale.seconds
    )
    return {"mebibyte": found.per_second, WRONG: found.wrong}


def echo(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Echo on some sockets."""
    found = uvloop.run(
        load.echo(site.port, contestant.echo, sockets=scale.sockets, seconds=scale.seconds)
    )
    return {
        "echo": found.per_second,
        "echo p50": found.p50_ms,
        "echo p99": found.p99_ms,
        WRONG: found.wrong + found.lost + found.inverted,
    }


def connects(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Handshakes."""
    found = uvloop.run(
        load.connect(site.port, contestant.echo, at_once=scale.sockets // 2, seconds=scale.seconds)
    )
    return {"connects": found.per_second, "connects p99": found.p99_ms, WRONG: found.refused}


def idle(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Memory of sockets that do nothing."""
    return {
        "idle": uvloop.run(
            load.kib_per_socket(
                site.port, contestant.echo, pid=site.pid, sockets=scale.idle_sockets
            )
        )
    }


def group(contestant: Contestant, site: WebSite, scale: Scale) -> Figures:
    """Sends to a large and a small group."""
    return uvloop.run(_group(site, scale))


async def _group(site: WebSite, scale: Scale) -> Figures:
    assert site.send, "this contestant has no sender"
    async with Room(site.port, "few", scale.few_members, site.send) as room:
        few = await room.paced(scale.paced, scale.gap)
    async with Room(site.port, "many", scale.members, site.send) as room:
        await room.paced(2, scale.gap)
        many = await room.paced(scale.paced, scale.gap)
        burst = await room.burst(scale.burst)
    return {
        "burst": burst.per_second,
        "burst lost": burst.lost_percent,
        "paced p50": many.p50_ms,
        "paced p99": many.p99_ms,
        "paced lost": many.lost_percent,
        "cost few": few.cost_ms,
        "cost many": many.cost_ms,
        WRONG: burst.wrong + many.wrong + few.wrong,
    }


HTTP = ("ours1", "ours2", "gunicorn", "uvicorn")
ECHO = ("ours1", "ours2", "async", "sync")
GROUP = ("ours1", "ours2", "core", "pubsub")

WORKS = (
    Work(
        "http",
        HTTP,
        (
            Metric("hello", "HTTP hello, {connections} connections", "/s"),
            Metric("hello p50", "- p50", "ms"),
            Metric("hello p99", "- p99", "ms"),
        ),
        hello_many,
    ),
    Work(
        "http", HTTP, (Metric("hello one p50", "HTTP hello, 1 connection: p50", "ms"),), hello_one
    ),
    Work("http", HTTP, (Metric("post", "POST 64 KiB", "/s"),), post),
    Work("http", HTTP, (Metric("mebibyte", "1 MiB answer", "/s"),), mebibyte),
    Work(
        "echo",
        ECHO,
        (
            Metric("echo", "WebSocket echo, {sockets} sockets", "/s"),
            Metric("echo p50", "- p50", "ms"),
            Metric("echo p99", "- p99", "ms"),
        ),
        echo,
    ),
    Work(
        "echo",
        ECHO[:3],
        (Metric("connects", "WebSocket connects", "/s"), Metric("connects p99", "- p99", "ms")),
        connects,
    ),
    Work("echo", ECHO[:3], (Metric("idle", "memory per idle socket", "KiB"),), idle, fresh=True),
    Work(
        "group",
        GROUP,
        (
            Metric("burst", "group, {members} sockets, {burst} sends at once", "/s"),
            Metric("burst lost", "- lost", "%"),
            Metric("paced p50", "group, {members} sockets, paced: p50", "ms"),
            Metric("paced p99", "- p99", "ms"),
            Metric("paced lost", "- lost", "%"),
            Metric("cost few", "cost to the sender, {few_members} members", "ms"),
            Metric("cost many", "cost to the sender, {members} members", "ms"),
        ),
        group,
    ),
)
