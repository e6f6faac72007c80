"""A server process's end of the Redis layer, while Redis is away."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter


def test_what_happened_while_redis_was_away_is_counted_by_the_next_beat(own_redis, make_redis):
    own_redis.start()
    layer = make_redis(hosts=[own_redis.url])

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=10)
        inbox.count("websocket.receive", Counter.LOST)
        await inbox.beat(ttl=10)
        own_redis.stop()
        for _ in range(2):
            inbox.count("websocket.receive", Counter.LOST)
        inbox.count("websocket.receive", Counter.IN_DOUBT, 3)
        with pytest.raises(LayerUnavailable):
            await inbox.beat(ttl=10)
        await asyncio.to_thread(own_redis.start)  # which has forgotten the first
        for _ in range(2):  # what is counted twice is counted once
            await inbox.beat(ttl=10)
        await layer.send_async("x", {})  # behind the counts
        await layer.close_async()

    asyncio.run(asyncio.wait_for(check(), 30))
    found = layer.channel_statistics("websocket.receive")
    assert (found["lost_count"], found["in_doubt_count"]) == (2, 3)


def test_who_left_while_redis_was_away_has_left_by_the_next_beat(make_redis, monkeypatch):
    """As when another has become the master, and the old one takes no writes any more."""
    layer = make_redis()

    async def away(commands):
        raise LayerUnavailable("it is no master")

    async def check():
        inbox = layer.inbox("p!")
        await inbox.beat(ttl=10)
        for local in ("a", "b"):
            layer.group_add("chat", f"p!{local}")
        await inbox.read()
        link = layer.shards[0].writer()._link
        with monkeypatch.context() as patched:
            patched.setattr(link, "call", away)
            inbox.forget("a")
            with pytest.raises(LayerUnavailable):
                await inbox.beat(ttl=10)
        assert layer.group_count("chat") == 2
        await inbox.beat(ttl=10)
        await layer.send_async("x", {})  # behind it
        assert layer.group_channels("chat") == ["p!b"]
        await inbox.close()
        await layer.close_async()

    asyncio.run(asyncio.wait_for(check(), 30))
