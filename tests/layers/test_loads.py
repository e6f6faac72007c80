"""The load of channels: what waits, what is done, and who does it."""

from __future__ import annotations

import asyncio
import time

import pytest

from channels_classic.exceptions import InvalidName, LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Load

NOTHING = Load(waiting=0, oldest=0, completed=0, workers=0)


@pytest.fixture
def layer(spread_layer):
    return spread_layer


def loads(layer, *channels):
    async def ask():
        try:
            return await layer.loads(channels)
        finally:
            await layer.close_async()

    return asyncio.run(ask())


def load(layer, channel="work"):
    return loads(layer, channel)[channel]


def test_a_channel_that_nobody_knows_has_no_load(layer):
    assert loads(layer, "work", "play") == {"work": NOTHING, "play": NOTHING}
    assert loads(layer) == {}


def test_what_nobody_has_taken_waits(layer, until):
    for number in range(4):
        layer.send("work", {"number": number})
    layer.send("play", {})
    assert loads(layer, "work", "play")["work"].waiting == 4
    until(lambda: load(layer).oldest > 0)


def test_what_a_worker_has_in_hand_does_not_wait(layer):
    layer.beat("w", ["work"], ttl=60, recover=False)
    receiver = layer.receiver(["work"], worker="w")
    layer.send("work", {"number": 1})
    layer.send("work", {"number": 2})
    taken = []
    while not taken:  # on several shards the first look may find nothing
        taken = receiver.exchange(done=[], sends=[], limit=1, timeout=1).deliveries
    held = len(taken)
    assert load(layer).waiting == 2 - held
    receiver.settle(taken, [])
    assert load(layer).waiting == 2 - held
    receiver.close()


def test_the_oldest_is_as_old_as_when_it_first_came(layer, until):
    layer.send("work", {})
    came = time.monotonic()  # or a little earlier
    receiver = layer.receiver(["work"], worker="w")
    taken = []
    while not taken:
        taken = receiver.exchange(done=[], sends=[], limit=1, timeout=1).deliveries
    until(lambda: time.monotonic() - came > 0.05)
    receiver.give_back(taken)
    receiver.close()
    assert load(layer).oldest >= 0.045
    assert load(layer).waiting == 1


def test_what_is_delayed_does_not_wait(layer):
    layer.deliver([layer.prepare("work", {}, delay=60)])
    assert load(layer) == NOTHING


def test_what_was_completed_is_counted(layer):
    layer.count("work", Counter.COMPLETED, 3)
    layer.count("work", Counter.COMPLETED)
    assert load(layer).completed == 4


def test_live_workers_are_counted(layer, until):
    for worker, seconds in (("a", 60), ("b", 60), ("c", 0.001)):
        layer.beat(worker, ["work"], ttl=seconds, recover=False)
    until(lambda: load(layer).workers < 3)
    assert loads(layer, "work", "play") == {"work": NOTHING._replace(workers=2), "play": NOTHING}


def test_what_waits_for_one_process_is_no_load_of_a_channel(layer):
    with pytest.raises(InvalidName):
        loads(layer, "process!")


def test_a_layer_that_cannot_tell_tells_nothing():
    assert loads(BaseChannelLayer(), "work") == {}


def test_keys_that_hold_something_else_are_no_load(make_redis, client):
    layer = make_redis()
    for kind in ("channel", "stats", "workers"):
        client.set(f"{layer.prefix}{kind}:{{work}}", "foreign")
    client.hset(f"{layer.prefix}stats:{{play}}", "completed_count", "many")
    assert loads(layer, "work", "play") == {"work": NOTHING, "play": NOTHING}


def test_a_redis_that_is_away_is_said():
    layer = RedisChannelLayer(hosts=["redis://127.0.0.1:1"])
    with pytest.raises(LayerUnavailable):
        loads(layer, "work")
