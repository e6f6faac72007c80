"""Two Redis servers that are the shards of one layer, and that a test may stop."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels_classic.layers.names import random_letters
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Delivery
from tests.redis_topologies import QUICK, Server


class Pair:
    """Two servers, and layers on both."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Server(folder, **QUICK) for _ in range(2)]
        self._layers: list[RedisChannelLayer] = []
        self._prefix = f"{random_letters(8)}:"

    def layer(self, **options) -> RedisChannelLayer:
        """One more layer on them; all share their keys."""
        places = [server.place for server in self.servers]
        self._layers.append(RedisChannelLayer(hosts=places, prefix=self._prefix, **options))
        return self._layers[-1]

    def hang(self, number: int) -> None:
        """A server does nothing any more, for now."""
        self.servers[number].process.send_signal(signal.SIGSTOP)

    def go_on(self, number: int) -> None:
        """It goes on where it was."""
        self.servers[number].process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End all."""
        for layer in self._layers:
            layer.close()
        for server in self.servers:
            server.kill()


@pytest.fixture
def pair(tmp_path) -> Iterator[Pair]:
    """Both up."""
    pair = Pair(tmp_path)
    try:
        for server in pair.servers:
            server.start()
        yield pair
    finally:
        pair.close()


def name_on(layer: RedisChannelLayer, shard: Shard, name: str = "p!") -> str:
    """A name like ``name`` that belongs to ``shard``."""
    base, end = name.rstrip("!?"), name[len(name.rstrip("!?")) :]
    names = (f"{base}{number}{end}" for number in itertools.count())
    return next(each for each in names if layer.shard_of(each) is shard)


def put(layer: RedisChannelLayer, number: int, channel: str, content: dict) -> None:
    """A message on a plain channel of the shard with this number."""
    shard = layer.shards[number]
    assert shard.deliver([layer.prepare(channel, content)]) == []


def take(receiver, limit: int = 10, **options) -> list[Delivery]:
    """What one exchange brings."""
    arguments = {"done": [], "sends": [], "limit": limit, "timeout": 0, **options}
    return receiver.exchange(**arguments).deliveries


def numbers(deliveries: list[Delivery]) -> list[int]:
    """Their numbers, sorted."""
    return sorted(delivery.content["number"] for delivery in deliveries)
