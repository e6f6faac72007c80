"""B5: ``send_group`` costs the bus one write per server process, however many members it has."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from channels_classic.layers.ends import Inbox
from channels_classic.layers.names import random_letters
from channels_classic.layers.on_redis.wire import SEND_GROUP
from channels_classic.layers.redis import RedisChannelLayer
from tests.acceptance.bus import BusSite
from tests.acceptance.crowd import crowd, free_ports, until, wait_for_workers
from tests.acceptance.soak import figures
from tests.conftest import RedisServer

SENDS = 20
#: What adds to or changes what Redis holds for the members.
WRITES = {"xadd", "sadd", "hset", "hincrby", "zadd", "rpush", "lpush", "set", "publish"}


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[BusSite]:
    with BusSite(tmp_path, redis_server.url) as site:
        yield site


class Cost:
    """What ``SENDS`` sends to a group made Redis do, and how long the sender took for one."""

    def __init__(self, layer: RedisChannelLayer, url: str, group: str) -> None:
        self.commands: Counter[str] = Counter()
        client = redis.Redis.from_url(url)
        with client.monitor() as monitor:
            self.milliseconds = self._send(layer, group)
            client.echo(f"end of {group}")
            self._count(monitor, layer, group)
        client.close()

    def _send(self, layer: RedisChannelLayer, group: str) -> float:
        took = []
        for number in range(SENDS):
            began = time.perf_counter()
            layer.send_group(group, {"text": str(number)})
            took.append(time.perf_counter() - began)
        return statistics.median(took) * 1000

    def _count(self, monitor: redis.client.Monitor, layer: RedisChannelLayer, group: str) -> None:
        """The sends themselves and what their scripts call; others' commands come in between."""
        key = layer.shards[0].keys.group(group)
        ours = False
        while True:
            line = monitor.next_command()
            words = str(line["command"]).split()
            if line["client_type"] != "lua":
                if f"end of {group}" in line["command"]:
                    return
                ours = SEND_GROUP.digest in words and key in words
            if ours:
                self.commands[words[0].lower()] += 1

    @property
    def writes(self) -> int:
        """How many there were in one send."""
        number, rest = divmod(sum(self.commands[each] for each in WRITES), SENDS)
        assert rest == 0, self.commands
        return number


def test_ten_sockets_of_two_servers_cost_two_writes(
    site: BusSite, redis_server: RedisServer
) -> None:
    ports = free_ports(2)
    for port in ports:
        site.server(port=port)
    site.worker()
    wait_for_workers(site, 1)
    urls = [site.url("/groups/ten", port=port) for port in ports * 5]

    async def measure() -> Cost:
        async with crowd(urls) as members:
            cost = await asyncio.to_thread(Cost, site.layer, redis_server.url, "ten")
            expected = [str(number) for number in range(SENDS)]
            await until(lambda: all(len(m.texts) >= SENDS for m in members), 10, "all texts")
            assert all(member.texts == expected for member in members)
        return cost

    cost = asyncio.run(measure())
    assert cost.writes == 2, cost.commands
    assert cost.commands["xadd"] == 2 * SENDS
    figures("B5", f"10 sockets: {cost.writes} writes, {cost.milliseconds:.2f} ms")


async def got(inbox: Inbox, texts: int) -> list[tuple[int, str]]:
    """For each message to a group that came to ``inbox``: to how many, and what."""
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(20):
        while len(found) < texts:
            arrivals = [each for each in await inbox.read() if not each.direct]
            found += [(len(each.locals), each.content["text"]) for each in arrivals]
    return found


async def cost_of(layer: RedisChannelLayer, url: str, number: int) -> Cost:
    """What a group of ``number`` members of two processes costs; all of them get all."""
    group = f"of-{number}"
    inboxes = [layer.inbox(f"server.reply.{random_letters(12)}!") for _ in range(2)]
    try:
        for inbox in inboxes:
            await inbox.beat(ttl=60)
        for each in range(number):
            layer.group_add(group, f"{inboxes[each % 2].process}{each:x}")
        assert layer.group_count(group) == number
        cost = await asyncio.to_thread(Cost, layer, url, group)
        expected = [(number // 2, str(each)) for each in range(SENDS)]
        for inbox in inboxes:
            assert await got(inbox, SENDS) == expected
        return cost
    finally:
        for inbox in inboxes:
            await inbox.close()
        await layer.close_async()


def test_ten_thousand_members_cost_as_much_as_ten(
    redis_layer: RedisChannelLayer, redis_server: RedisServer
) -> None:
    costs = {
        number: asyncio.run(cost_of(redis_layer, redis_server.url, number))
        for number in (10, 1_000, 10_000)
    }
    assert [cost.writes for cost in costs.values()] == [2, 2, 2]
    ten, *others = [cost.commands for cost in costs.values()]
    assert all(commands == ten for commands in others)  # reads and all
    figures(
        "B5",
        *(
            f"{number:,} members: {cost.writes} writes, {cost.milliseconds:.2f} ms"
            for number, cost in costs.items()
        ),
    )
