"""A connection takes fewer large messages than small ones: who does not read fills no server."""

from __future__ import annotations

import pytest

from channels_classic.exceptions import ChannelFull
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer

OPTIONS = {"capacity": 50, "reply_window": 40_000, "max_message_size": 100_000}


@pytest.fixture(params=["memory", "redis", "encrypted"])
def layer(request):
    if request.param == "memory":
        yield InMemoryChannelLayer(**OPTIONS)
        return
    server = request.getfixturevalue("redis_server")
    keys = ["a key"] if request.param == "encrypted" else None
    options = {**OPTIONS, "symmetric_encryption_keys": keys}
    layer = RedisChannelLayer(hosts=[server.url], prefix=f"{random_letters(8)}:", **options)
    yield layer
    layer.close()


def taken(layer, channel: str, size: int) -> int:
    """How many messages of about ``size`` bytes it takes."""
    for number in range(100):
        try:
            layer.send(channel, {"bytes": b"x" * size})
        except ChannelFull:
            return number
    return 100


def test_of_small_messages_as_many_as_its_capacity(layer):
    assert taken(layer, "server!a", 10) == 50


def test_of_larger_ones_as_many_as_the_window_has_bytes_for(layer):
    number = taken(layer, "server!a", 4_000)
    assert 5 <= number <= 10
    assert number == layer.get_room("server!a", 40_000 // number)


def test_of_the_largest_two(layer):
    """So that one may be on its way while the other is read."""
    assert taken(layer, "server!a", 60_000) == 2


def test_a_small_one_finds_room_behind_large_ones(layer):
    taken(layer, "server!a", 60_000)
    layer.send("server!a", {"text": "small"})


def test_other_connections_and_plain_channels_have_room(layer):
    taken(layer, "server!a", 60_000)
    assert taken(layer, "server!b", 60_000) == 2
    assert taken(layer, "work", 60_000) == 50
