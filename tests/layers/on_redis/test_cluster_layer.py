"""The layer on a Redis Cluster passes the suite, and goes on where a slot has moved to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from channels_classic.layers.redis import RedisClusterChannelLayer
from tests.acceptance.processes import wait_until
from tests.layers.on_redis.pairs import numbers
from tests.layers.on_redis.several import SeveralTestCase
from tests.redis_topologies import HOST, PATIENT_MS, ClusterSite


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[ClusterSite]:
    """A Cluster whose slots the tests may move."""
    with ClusterSite(tmp_path_factory.mktemp("cluster"), down_after_ms=PATIENT_MS) as site:
        yield site


class TestConformance(SeveralTestCase):
    """Three shards on three servers."""

    @pytest.fixture(autouse=True)
    def _site(self, site) -> None:
        self.site = site

    def make(self, **options) -> RedisClusterChannelLayer:
        return RedisClusterChannelLayer(hosts=self.site.hosts[:1], shards=3, **options)

    def servers(self) -> list[redis.Redis]:
        return [redis.Redis(HOST, server.port) for server in self.site.servers]


# Slots that move ------------------------------------------------------------------------------


def test_what_is_sent_while_a_slot_moves_arrives_once(site):
    """The layer asks again by itself: neither senders nor workers see an error."""
    layer = RedisClusterChannelLayer(hosts=site.hosts[:1], shards=3)
    layer.flush()
    receiver = layer.receiver(["plain"], worker="worker")
    process = "process!"
    sent, taken = 0, []
    for shard in layer.shards:
        for _ in range(2):
            layer.send("plain", {"number": sent})
            layer.send(process + "a", {"number": sent})
            sent += 1
        slot = shard.node.slot
        owner = site.owner(slot)
        site.move(slot, next(server for server in site.servers if server is not owner))
    for _ in range(4):
        layer.send("plain", {"number": sent})
        layer.send(process + "a", {"number": sent})
        sent += 1

    def is_taken() -> bool:
        exchange = receiver.exchange(done=[], sends=[], limit=10, timeout=0.2)
        taken.extend(exchange.deliveries)
        return len(taken) >= sent

    wait_until(is_taken)
    assert numbers(taken) == list(range(sent))
    found = [layer.receive([process])[1] for _ in range(sent)]
    assert [content and content["number"] for content in found] == list(range(sent))
    receiver.settle(taken, [])
    receiver.close()
    layer.flush()
    layer.close()
