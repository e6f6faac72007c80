"""The classic receive on several shards: it waits on all of them, and takes nothing by waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.redis import RedisChannelLayer
from tests.acceptance.processes import wait_until
from tests.layers.on_redis.pairs import Pair, name_on, pair, put

__all__ = ["pair"]


@pytest.fixture
def layer(pair) -> RedisChannelLayer:
    return pair.layer()


def blocked(pair: Pair) -> bool:
    """Whether somebody waits on each of the servers."""
    return all(int(s.info("clients")["blocked_clients"]) for s in pair.servers)


class Receiving(threading.Thread):
    """A thread in a blocking receive."""

    def __init__(self, layer: RedisChannelLayer, names: list[str]) -> None:
        super().__init__(daemon=True)
        self.layer = layer
        self.names = names
        self.received: tuple = ()
        self.ended = 0.0
        self.start()

    def run(self) -> None:
        self.received = self.layer.receive(self.names, block=True)
        self.ended = time.monotonic()


@pytest.mark.parametrize("number", [0, 1])
def test_a_blocking_receive_wakes_up_for_any_shard_at_once(pair, layer, number):
    delays = []
    for _ in range(5):
        receiving = Receiving(layer, ["plain"])
        wait_until(lambda: blocked(pair))
        sent = time.monotonic()
        put(layer, number, "plain", {"number": number})
        receiving.join(10)
        delays.append(receiving.ended - sent)
        assert receiving.received == ("plain", {"number": number})
    assert sorted(delays)[2] < 1


def test_a_blocking_receive_wakes_up_for_a_process_on_another_shard(pair, layer):
    names = [name_on(layer, shard) for shard in layer.shards]
    for process in names:
        receiving = Receiving(layer, names)
        wait_until(lambda: blocked(pair))
        layer.send(process + "a", {})
        receiving.join(10)
        assert receiving.received == (process + "a", {})


def test_waiting_leaves_no_connections_behind(pair, layer):
    def connections() -> int:
        return sum(int(server.info("clients")["connected_clients"]) for server in pair.servers)

    put(layer, 0, "plain", {})
    layer.receive(["plain"])
    before = connections()
    for _ in range(20):
        receiving = Receiving(layer, ["plain"])
        wait_until(lambda: blocked(pair))
        put(layer, 0, "plain", {})
        receiving.join(10)
    wait_until(lambda: connections() <= before + 4)


def test_a_blocking_receive_works_beside_an_event_loop(layer):
    put(layer, 1, "plain", {"number": 1})

    async def receive() -> tuple:
        threading.Timer(0.1, put, (layer, 1, "other", {"number": 2})).start()
        return layer.receive(["other"], block=True)

    assert asyncio.run(receive()) == ("other", {"number": 2})


def test_to_cancel_an_async_receive_loses_nothing(pair, layer):
    count = 40

    async def check() -> list[int]:
        taken: list[int] = []
        task = asyncio.create_task(layer.receive_async(["plain"]))
        for number in range(count):
            put(layer, number % 2, "plain", {"number": number})
            await asyncio.sleep(0)
            if number % 3 == 0:
                task.cancel()
            with suppress(asyncio.CancelledError):
                _, content = await task
                taken.append(content["number"])
            task = asyncio.create_task(layer.receive_async(["plain"]))
        while len(taken) < count:
            _, content = await task
            taken.append(content["number"])
            task = asyncio.create_task(layer.receive_async(["plain"]))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await layer.close_async()
        return taken

    assert sorted(asyncio.run(asyncio.wait_for(check(), 30))) == list(range(count))


def test_the_others_are_received_from_when_a_shard_is_down(pair, layer):
    pair.servers[0].kill()
    put(layer, 1, "plain", {"number": 1})

    def receive() -> tuple | None:
        with suppress(LayerUnavailable):
            return layer.receive(["plain"])
        return None

    assert wait_until(receive, 2) == ("plain", {"number": 1})
    with pytest.raises(LayerUnavailable):
        layer.receive([name_on(layer, layer.shards[0])])
    pair.servers[0].start()
    put(layer, 0, "plain", {"number": 0})
    wait_until(lambda: receive() == ("plain", {"number": 0}))
