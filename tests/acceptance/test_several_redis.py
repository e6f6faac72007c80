"""Several Redis servers, as shards or as a Cluster: one goes, the site goes on; it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.on_redis.links import TIMEOUT
from channels_classic.layers.redis import RedisClusterChannelLayer
from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import crowd, until, wait_for_workers
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.acceptance.test_b09_redis_may_go_and_come_back import (
    LANE,
    PROMISED,
    Load,
    all_go_on,
    work_everywhere,
)
from tests.redis_topologies import QUICK, ClusterSite, Server

SOCKETS = size(short=20, full=200)
HANG = size(short=3.0, full=10.0)

pytestmark = pytest.mark.timeout(300)


@contextlib.contextmanager
def busy_site(folder: Path, **options: Any) -> Iterator[BusSite]:
    """A server and two workers; all are to be alive in the end."""
    with BusSite(folder, **options) as site:
        site.server()
        site.workers(2)
        wait_for_workers(site, 2)
        yield site
        for process in site.processes:
            assert process.popen is not None
            assert process.popen.poll() is None, process.report()


async def go_on(load: Load, since: float, what: str) -> None:
    """All is well again, in time."""
    took = await all_go_on(load, since)
    figures("several Redis", what, *(f"{k} after {v:.1f} s" for k, v in took.items()))
    assert max(after for each, after in took.items() if each != "echo") < PROMISED, took
    assert took["echo"] < LANE, took
    assert [member.code for member in load.members] == [None] * SOCKETS
    await until(lambda: load.site.layer.group_count("all") == SOCKETS, PROMISED, "all are members")


def run(site: BusSite, check: Callable[[Load], Awaitable[None]]) -> None:
    """``check`` under load; then nothing is left of it."""

    async def under_load() -> None:
        async with crowd([site.url("/groups/all")] * SOCKETS) as members:
            load = Load(site, members)
            async with load.running():
                await load.goes()
                await check(load)

    asyncio.run(under_load())
    wait_until(lambda: site.layer.group_count("all") == 0, 15, "no members once all are closed")


# Two shards -------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[list[Server]]:
    """Two servers that know nothing of each other."""
    with Server(tmp_path, **QUICK) as one, Server(tmp_path, **QUICK) as two:
        yield [one, two]


@pytest.fixture
def site(tmp_path: Path, shards: list[Server]) -> Iterator[BusSite]:
    """On both of them."""
    with busy_site(tmp_path, hosts=[shard.place for shard in shards]) as site:
        yield site


def test_both_shards_are_used(site: BusSite) -> None:
    """Sockets and groups work, and messages are run once, whichever shard they take."""

    async def check(load: Load) -> None:
        await go_on(load, time.monotonic(), "two shards")

    run(site, check)
    for shard in site.layer.shards:
        [sent] = shard.call(("HGET", shard.keys.stats("websocket.receive"), "messages_count"))
        assert int(sent) >= SOCKETS // 2  # each socket has got an echo
    notes = [note.who for note in site.journal.notes("groups.task")]
    assert len(notes) == len(set(notes)) > 0
    statistics = site.layer.global_statistics()
    lost = {key: statistics[key] for key in ("lost_count", "dropped_count", "missed_count")}
    assert set(lost.values()) == {0}, lost


def kill(server: Server) -> None:
    server.kill()


def hang(server: Server) -> None:
    server.process.send_signal(signal.SIGSTOP)


def start(server: Server) -> None:
    server.start()


def wake(server: Server) -> None:
    server.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("end", "begin"), [(kill, start), (hang, wake)])
def test_all_go_on_when_a_shard_goes_and_comes_back(
    site: BusSite,
    shards: list[Server],
    end: Callable[[Server], None],
    begin: Callable[[Server], None],
) -> None:
    """Each in turn: the one that the server has its inbox on, and the other one."""

    async def check(load: Load) -> None:
        for number, server in enumerate(shards):
            end(server)
            gone = time.monotonic()
            await work_everywhere(site, gone)  # tasks go on over the other shard
            patience = PROMISED + (TIMEOUT if end is hang else 0)  # one call may wait in vain
            assert time.monotonic() - gone < patience
            if end is hang:
                await until(lambda: time.monotonic() - gone > HANG, 2 * HANG, "it hung")  # noqa: B023
            await asyncio.to_thread(begin, server)
            await go_on(load, time.monotonic(), f"{end.__name__} of shard {number}")
            await load.goes()

    run(site, check)


# Cluster ------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterSite]:
    """Three masters."""
    with ClusterSite(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def cluster_site(tmp_path: Path, cluster: ClusterSite) -> Iterator[BusSite]:
    """On the Cluster, of which it is told two servers."""
    with busy_site(
        tmp_path, backend=RedisClusterChannelLayer, hosts=cluster.hosts[1:], shards=3
    ) as site:
        yield site


def slots(site: BusSite) -> list[int]:
    """The slots that the shards are in."""
    return [node.slot for node in (shard.node for shard in site.layer.shards)]


def test_a_cluster_is_one_bus_and_slots_may_move(
    cluster_site: BusSite, cluster: ClusterSite
) -> None:
    async def check(load: Load) -> None:
        await go_on(load, time.monotonic(), "three servers in a Cluster")
        for slot in slots(cluster_site):
            owner = cluster.owner(slot)
            target = next(server for server in cluster.servers if server is not owner)
            await asyncio.to_thread(cluster.move, slot, target)
            await go_on(load, time.monotonic(), f"slot {slot} moved")

    run(cluster_site, check)
    lost = cluster_site.layer.global_statistics()["lost_count"]
    assert lost == 0


@pytest.mark.parametrize("end", [kill, hang])
def test_a_replica_takes_the_place_of_its_master(
    cluster_site: BusSite, cluster: ClusterSite, end: Callable[[Server], None]
) -> None:
    [slot, *_] = slots(cluster_site)
    master = cluster.owner(slot)
    replica = cluster.add_replica(master)

    async def check(load: Load) -> None:
        end(master)
        await asyncio.to_thread(cluster.promote, replica)
        await go_on(load, time.monotonic(), f"{end.__name__} of a master in a Cluster")

    run(cluster_site, check)


# What people are told -----------------------------------------------------------------------------


def test_a_send_to_a_shard_that_is_down_is_refused_at_once(
    site: BusSite, shards: list[Server]
) -> None:
    """A view that sends to a reply channel hears of it; plain channels go on."""
    layer = site.layer
    shards[0].kill()
    for number in range(20):
        with contextlib.suppress(ChannelFull):
            layer.send("groups.task", {"number": number})
    names = [f"process{number}!" for number in range(20)]
    away = next(name for name in names if layer.shard_of(name) is layer.shards[0])
    with pytest.raises(LayerUnavailable):
        layer.send(away + "a", {})
    site.wait_for_notes(20, "groups.task")
