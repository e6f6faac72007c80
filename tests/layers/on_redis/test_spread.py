"""Several shards are one bus: the layer on them passes the suite; and what is their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.ends import Inbox
from channels_classic.layers.on_redis.plan import receipt
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Delivery, Envelope, Pulse, lane_of
from tests.acceptance.processes import wait_until
from tests.layers.on_redis.pairs import name_on, numbers, pair, put, take
from tests.layers.on_redis.several import SeveralTestCase

__all__ = ["pair"]


class TestConformance(SeveralTestCase):
    """On two databases of one server."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_server) -> None:
        self.url = redis_server.url

    def make(self, **options) -> RedisChannelLayer:
        return RedisChannelLayer(hosts=[f"{self.url}?db={n}" for n in (0, 1)], **options)

    def servers(self) -> list[redis.Redis]:
        return [redis.Redis.from_url(self.url)]


class Sender:
    """``deliver`` of a layer."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        self.layer = layer

    def deliver(self, *envelopes: Envelope) -> list[Envelope]:
        return self.layer.deliver(envelopes)


class AsyncSender(Sender):
    """``deliver_async`` of a layer."""

    def __init__(self, layer: RedisChannelLayer) -> None:
        super().__init__(layer)
        self.runner = asyncio.Runner()

    def deliver(self, *envelopes: Envelope) -> list[Envelope]:
        return self.runner.run(self.layer.deliver_async(envelopes))

    def close(self) -> None:
        self.runner.run(self.layer.close_async())
        self.runner.close()


@pytest.fixture
def layer(pair) -> RedisChannelLayer:
    return pair.layer(capacity=10)


@pytest.fixture(params=["thread", "loop"])
def sender(request, layer) -> Iterator[Sender]:
    """Both ways to send."""
    if request.param == "thread":
        yield Sender(layer)
        return
    sender = AsyncSender(layer)
    yield sender
    sender.close()


def lengths(layer: RedisChannelLayer, channel: str) -> list[int]:
    """How many messages of a plain channel each shard has."""
    return [shard.call(("XLEN", shard.keys.channel(channel)))[0] for shard in layer.shards]


def inbox(layer: RedisChannelLayer, process: str) -> int:
    """How many entries the inbox of a process has."""
    shard = layer.shard_of(process)
    length: int = shard.call(("XLEN", shard.keys.inbox(process)))[0]
    return length


# What goes where --------------------------------------------------------------------------


def test_plain_channels_take_the_shards_in_turn(layer, sender):
    for number in range(6):
        assert sender.deliver(layer.prepare("plain", {"number": number})) == []
    assert lengths(layer, "plain") == [3, 3]


def test_what_one_shard_has_no_room_for_goes_to_another(layer, sender, caplog):
    sends = [layer.prepare("plain", {"number": number}) for number in range(12)]
    assert sender.deliver(*sends) == sends[10:]
    assert lengths(layer, "plain") == [5, 5]
    assert layer.channel_statistics("plain")["channel_full_count"] == 2
    layer.shards[0].call(("DEL", layer.shards[0].keys.channel("plain")))
    assert sender.deliver(*sends[:6]) == sends[5:6]
    assert lengths(layer, "plain") == [5, 5]
    assert layer.channel_statistics("plain")["messages_count"] == 15
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["plain: 2 channel full (add workers, or raise capacity)"]
    assert layer.channel_statistics("plain")["channel_full_count"] == 3


def test_a_group_reaches_processes_on_all_shards_with_one_write_each(layer, sender):
    processes = [name_on(layer, shard) for shard in layer.shards]
    for process in processes:
        for local in "abc":
            layer.group_add("chat", process + local)
    before = [inbox(layer, process) for process in processes]
    assert sender.deliver(layer.prepare("chat", {"number": 1}, to_group=True)) == []
    assert [inbox(layer, process) for process in processes] == [each + 1 for each in before]
    for process in processes:
        found = [layer.receive([process]) for _ in range(3)]
        assert sorted(name for name, _ in found) == [process + local for local in "abc"]
        assert all(content == {"number": 1} for _, content in found)


def test_a_process_that_left_is_sent_to_no_more_wherever_the_group_is(layer):
    """Its beat says so to the shard of the group, unless somebody has joined meanwhile."""
    process = name_on(layer, layer.shards[0])
    groups = [name_on(layer, shard, "group") for shard in layer.shards]

    async def check() -> None:
        inbox = layer.inbox(process)
        for group in groups:
            await asyncio.to_thread(layer.group_add, group, process + "a")
            await asyncio.to_thread(layer.group_discard, group, process + "a")
        await inbox.read()
        await inbox.beat(ttl=10)
        for group in groups:
            assert await asyncio.to_thread(layer._spread.members, group) == []
        for group in groups:
            await asyncio.to_thread(layer.group_add, group, process + "a")
        await inbox.beat(ttl=10)
        for group in groups:
            assert await asyncio.to_thread(layer._spread.members, group) == [process]
        await inbox.close()
        await layer.close_async()

    asyncio.run(check())


# When a shard is away -----------------------------------------------------------------------


def test_plain_channels_go_on_when_a_shard_is_down(pair, layer, sender):
    pair.servers[0].kill()
    sends = [layer.prepare("plain", {"number": number}) for number in range(4)]
    for send in sends:
        assert sender.deliver(send) == []
    [length] = layer.shards[1].call(("XLEN", layer.shards[1].keys.channel("plain")))
    assert length == 4


def test_no_plain_message_minds_that_a_shard_is_down(pair):
    """Whatever a full channel does, and also those that are to wait."""
    layer = pair.layer(capacity=10, channel_overflow={"newest": "drop_oldest"})
    pair.servers[0].kill()
    for _ in range(4):
        assert layer.deliver([layer.prepare("newest", {})]) == []
        assert layer.deliver([layer.prepare("plain", {}, delay=60)]) == []
    shard = layer.shards[1]
    keys = shard.keys.channel("newest"), shard.keys.later("plain")
    assert shard.call(("XLEN", keys[0]), ("ZCARD", keys[1])) == [4, 4]


def test_what_is_for_a_shard_that_is_down_is_refused_and_all_else_goes(pair, layer, sender):
    away, there = (name_on(layer, shard) for shard in layer.shards)
    pair.servers[0].kill()
    lost = [layer.prepare(away + "a", {"number": number}) for number in range(2)]
    went = [layer.prepare(there + "a", {"number": 1}), layer.prepare("plain", {"number": 2})]
    assert sender.deliver(lost[0], went[0], went[1], lost[1]) == lost
    assert layer.receive([there]) == (there + "a", {"number": 1})
    with pytest.raises(LayerUnavailable) as caught:
        sender.deliver(*lost)
    assert not caught.value.in_doubt


def test_when_all_are_down_nothing_has_gone(pair, layer, sender):
    for server in pair.servers:
        server.kill()
    for send in (layer.prepare("plain", {}), layer.prepare("chat", {}, to_group=True)):
        with pytest.raises(LayerUnavailable) as caught:
            sender.deliver(send)
        assert not caught.value.in_doubt
    for server in pair.servers:
        server.start()

    def is_sent() -> bool:
        with suppress(LayerUnavailable):
            return sender.deliver(layer.prepare("plain", {})) == []
        return False

    assert wait_until(is_sent)


def test_a_shard_that_hangs_holds_nobody_up_twice(pair, layer, sender):
    process = name_on(layer, layer.shards[0])
    pair.hang(0)
    with pytest.raises(LayerUnavailable):
        sender.deliver(layer.prepare(process + "a", {}))
    began = time.monotonic()
    with pytest.raises(LayerUnavailable) as caught:
        sender.deliver(layer.prepare(process + "a", {}))
    assert not caught.value.in_doubt
    for _ in range(5):  # which the other shard has room for
        assert sender.deliver(layer.prepare("plain", {})) == []
    assert time.monotonic() - began < 2.5  # a connection has 3 s


def test_sends_in_doubt_are_counted_when_others_went(layer, sender, monkeypatch, caplog):
    """They are not sent again; but messages that are tried again are, and receipts."""
    processes = [name_on(layer, shard) for shard in layer.shards]
    broken = layer.shards[0]
    break_off(broken, monkeypatch)
    plain = layer.prepare(processes[0] + "a", {"number": 1})
    again = layer.prepare(processes[0] + "a", {"number": 2})._replace(attempts=1)
    told = receipt(lane_of(processes[0] + "a", 7))
    other = layer.prepare(processes[1] + "a", {"number": 3})
    assert sender.deliver(plain, again, *told, other) == [again]
    monkeypatch.undo()
    assert layer.channel_statistics(processes[0])["in_doubt_count"] == 1
    assert layer.receive([processes[1]]) == (processes[1] + "a", {"number": 3})
    assert "1 in doubt" in caplog.text
    assert inbox(layer, processes[0]) == 0
    wait_until(lambda: sender.deliver() == [] and inbox(layer, processes[0]))


def test_when_all_is_in_doubt_the_caller_is_told(layer, sender, monkeypatch):
    process = name_on(layer, layer.shards[0])
    break_off(layer.shards[0], monkeypatch)
    with pytest.raises(LayerUnavailable) as caught:
        sender.deliver(layer.prepare(process + "a", {"number": 1}))
    assert caught.value.in_doubt


def break_off(shard: Shard, monkeypatch) -> None:
    """Nobody knows what becomes of sends to this shard."""

    def deliver(envelopes) -> list[Envelope]:
        raise LayerUnavailable("broke off", in_doubt=True)

    writer = shard.writer

    class BrokenWriter:
        async def deliver(self, envelopes) -> list[Envelope]:
            return deliver(envelopes)

        async def call(self, commands) -> list[Any]:
            return await writer().call(commands)

    monkeypatch.setattr(shard, "deliver", deliver)
    monkeypatch.setattr(shard, "writer", BrokenWriter)


def test_a_group_send_that_some_miss_is_counted(pair, layer, sender):
    processes = [name_on(layer, shard) for shard in layer.shards]
    group = name_on(layer, layer.shards[1], "chat")
    for process in processes:
        layer.group_add(group, process + "a")
    pair.servers[0].kill()
    envelope = layer.prepare(group, {"number": 1}, to_group=True)
    assert sender.deliver(envelope) == []
    assert layer.receive([processes[1]]) == (processes[1] + "a", {"number": 1})
    pair.servers[0].start()

    def is_counted() -> bool:
        with suppress(LayerUnavailable):
            counts = layer.channel_statistics(processes[0])
            return counts["missed_count"] + counts["in_doubt_count"] == 1
        return False

    assert wait_until(is_counted)


def test_a_group_send_that_reaches_nobody_is_made_again(pair, layer, sender):
    process = name_on(layer, layer.shards[0])
    group = name_on(layer, layer.shards[1], "chat")
    layer.group_add(group, process + "a")
    pair.servers[0].kill()
    with suppress(LayerUnavailable):
        layer.send(process + "a", {})  # one finds out
    envelope = layer.prepare(group, {"number": 1}, to_group=True)
    other = layer.prepare("plain", {})
    assert sender.deliver(envelope, other) == [envelope]


def test_receipts_wait_for_their_shard(pair, layer):
    """A lane whose receipt was lost would wait for ever."""
    process = name_on(layer, layer.shards[0])
    pair.servers[0].kill()
    assert layer.deliver(receipt(lane_of(process + "a", 7))) == []
    pair.servers[0].start()
    wait_until(lambda: beaten(layer) and inbox(layer, process) == 1)
    assert not wait_until(lambda: beaten(layer)).lapsed
    assert inbox(layer, process) == 1


def beaten(layer: RedisChannelLayer) -> Pulse | None:
    with suppress(LayerUnavailable):
        return layer.beat("worker", ["plain"], ttl=6)
    return None


# Beats --------------------------------------------------------------------------------------


def test_a_beat_is_not_held_up_by_a_shard_that_hangs(pair, layer):
    assert layer.beat("worker", ["plain"], ttl=6) == Pulse([], None)
    pair.hang(0)
    began = time.monotonic()
    for _ in range(3):
        layer.beat("worker", ["plain"], ttl=6)
    assert time.monotonic() - began < 4  # a call has 5 s
    assert asyncio.run(has_worker(layer, "plain"))
    pair.go_on(0)
    shard = layer.shards[0]
    [_, score] = shard.call(("ZRANGE", shard.keys.workers("plain"), 0, -1, "WITHSCORES"))[0]

    def is_beaten() -> bool:
        layer.beat("worker", ["plain"], ttl=6)
        [now] = shard.call(("ZSCORE", shard.keys.workers("plain"), "worker"))
        return float(now) > float(score) + 1

    wait_until(is_beaten)


async def has_worker(layer: RedisChannelLayer, channel: str) -> bool:
    try:
        return await layer.has_worker(channel)
    finally:
        await layer.close_async()


def test_without_any_shard_there_is_no_beat(pair, layer):
    for server in pair.servers:
        server.kill()
    with pytest.raises(LayerUnavailable):
        layer.beat("worker", ["plain"], ttl=6)


def test_who_was_away_from_a_shard_recovers_nothing_there_at_first(pair, layer):
    """All others may seem dead there, who had the same trouble."""
    dead = layer.receiver(["plain"], worker="dead")
    for number in range(2):
        put(layer, number, "plain", {"number": number})
    assert numbers([*take(dead), *take(dead)]) == [0, 1]
    layer.beat("live", ["plain"], ttl=2, recover=False)
    pair.servers[1].ask("CLIENT", "PAUSE", 2000, "ALL")
    layer.beat("live", ["plain"], ttl=2, recover=False)  # late on one shard
    assert numbers(layer.beat("live", ["plain"], ttl=2).lapsed) == [0]
    lapsed: list[Delivery] = []

    def is_recovered() -> list[Delivery]:
        lapsed.extend(layer.beat("live", ["plain"], ttl=2).lapsed)
        return lapsed

    began = time.monotonic()
    assert numbers(wait_until(is_recovered)) == [1]
    assert time.monotonic() - began > 0.5
    dead.close()


# Memberships on other shards ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flush", "restart"])
def test_a_shard_that_lost_its_groups_gets_them_back(pair, layer, how):
    """From the servers, whose own shard is another one; and they hear of the loss."""
    process = name_on(layer, layer.shards[0])
    group = name_on(layer, layer.shards[1], "chat")

    async def check() -> None:
        inbox = layer.inbox(process)
        await asyncio.to_thread(layer.group_add, group, process + "a")
        await inbox.read()
        assert not await inbox.beat(ttl=10)
        if how == "flush":
            pair.servers[1].ask("FLUSHALL")
        else:
            pair.servers[1].kill()
            pair.servers[1].start()
        assert await asyncio.to_thread(layer.group_channels, group) == []
        await beat_until(inbox, lambda: layer.group_channels(group) == [process + "a"])
        await inbox.close()
        await layer.close_async()

    asyncio.run(check())


def test_who_joined_while_the_shard_of_a_group_was_away_is_enrolled_later(pair, layer):
    process = name_on(layer, layer.shards[0])
    group = name_on(layer, layer.shards[1], "chat")

    async def check() -> None:
        inbox = layer.inbox(process)
        await inbox.beat(ttl=10)
        pair.servers[1].kill()
        with pytest.raises(LayerUnavailable):
            await asyncio.to_thread(layer.group_add, group, process + "a")
        await inbox.read()
        await inbox.beat(ttl=10)
        pair.servers[1].start()
        await beat_until(inbox, lambda: layer.group_channels(group) == [process + "a"])
        await inbox.close()
        await layer.close_async()

    asyncio.run(check())


async def beat_until(inbox: Inbox, condition: Callable[[], bool]) -> None:
    """Beat until ``condition`` holds; the server has heard that something was lost by then."""
    has_lost = False
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(condition) or not has_lost:
            has_lost |= await inbox.beat(ttl=10)
