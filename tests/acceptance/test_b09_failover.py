"""B9: the master under Redis Sentinel dies or hangs: all go on with the next one by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.redis import RedisSentinelChannelLayer
from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import crowd, wait_for_workers
from tests.acceptance.processes import wait_until
from tests.acceptance.soak import figures, size
from tests.acceptance.test_b09_redis_may_go_and_come_back import (
    LANE,
    PROMISED,
    Load,
    all_go_on,
)
from tests.redis_topologies import SentinelSite, Server

SOCKETS = size(short=20, full=200)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[SentinelSite]:
    """One master with a replica, and three Sentinels."""
    with SentinelSite(tmp_path) as redis:
        yield redis


@pytest.fixture
def site(tmp_path: Path, redis: SentinelSite) -> Iterator[BusSite]:
    """A server and two workers."""
    with BusSite(
        tmp_path,
        backend=RedisSentinelChannelLayer,
        hosts=redis.hosts,
        services=redis.services,
    ) as site:
        site.server()
        site.workers(2)
        wait_for_workers(site, 2)
        yield site


def kill(redis: SentinelSite, master: Server) -> None:
    master.kill()


def hang(redis: SentinelSite, master: Server) -> None:
    master.process.send_signal(signal.SIGSTOP)


def switch(redis: SentinelSite, master: Server) -> None:
    """As people do before they mend the old one; that one goes on answering for a while."""
    redis.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster")


def members_of(site: BusSite) -> int:
    """How many the group has; -1 while the old master says good-bye."""
    with contextlib.suppress(LayerUnavailable):
        return site.layer.group_count("all")
    return -1


@pytest.mark.parametrize("fault", [kill, hang, switch])
def test_all_go_on_with_the_next_master(
    site: BusSite, redis: SentinelSite, fault: Callable[[SentinelSite, Server], None]
) -> None:
    async def check() -> None:
        async with crowd([site.url("/groups/all")] * SOCKETS) as members:
            load = Load(site, members)
            async with load.running():
                await load.goes()
                old = redis.master()
                fault(redis, old)
                await asyncio.to_thread(redis.wait_for_failover, old)
                took = await all_go_on(load, time.monotonic())
            figures("B9", fault.__name__, *(f"{k} after {v:.1f} s" for k, v in took.items()))
            assert max(after for what, after in took.items() if what != "echo") < PROMISED, took
            assert took["echo"] < LANE, took
            assert [member.code for member in members] == [None] * SOCKETS
            wait_until(lambda: members_of(site) == SOCKETS, 15, "all to be members")

    asyncio.run(check())
    for process in site.processes:
        assert process.popen is not None
        assert process.popen.poll() is None, process.report()
    wait_until(lambda: members_of(site) == 0, 15, "no members once all are closed")
