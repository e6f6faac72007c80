"""A worker thread's end of several shards: all are read at once, and none is waited for in vain."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Delivery
from tests.acceptance.processes import wait_until
from tests.layers.on_redis.pairs import Pair, name_on, numbers, pair, put, take

__all__ = ["pair"]


@pytest.fixture
def layer(pair) -> RedisChannelLayer:
    return pair.layer()


@pytest.fixture
def receiver(layer) -> Iterator:
    receiver = layer.receiver(["plain", "other"], worker="worker")
    yield receiver
    receiver.close()


def pending(layer: RedisChannelLayer, channel: str = "plain") -> list[int]:
    """How many messages are in hand on each shard."""
    return [
        shard.call(("XPENDING", shard.keys.channel(channel), "workers"))[0][0]
        for shard in layer.shards
    ]


def all_taken(receiver, count: int, *, timeout: float = 30) -> list[int]:
    """The numbers of the next ``count`` messages, sorted; each is acknowledged."""
    taken: list[Delivery] = []
    done: list[Delivery] = []

    def is_enough() -> bool:
        nonlocal done
        with suppress(LayerUnavailable):
            done = take(receiver, done=done, timeout=0.2)
            taken.extend(done)
        return len(taken) >= count

    wait_until(is_enough, timeout, f"{count} messages")
    receiver.settle(done, [])
    return numbers(taken)


class Waiting(threading.Thread):
    """A thread that waits in one exchange."""

    def __init__(self, receiver, **options) -> None:
        super().__init__(daemon=True)
        self.receiver = receiver
        self.options = options
        self.deliveries: list[Delivery] = []
        self.ended = 0.0
        self.start()

    def run(self) -> None:
        self.deliveries = take(self.receiver, **self.options)
        self.ended = time.monotonic()


def blocked(pair: Pair) -> bool:
    """Whether somebody waits on each of the servers."""
    return all(int(s.info("clients")["blocked_clients"]) for s in pair.servers)


# Reading all at once -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_an_idle_worker_gets_a_message_of_any_shard_at_once(pair, layer, receiver, number):
    delays = []
    for _ in range(5):
        waiting = Waiting(receiver, timeout=5)
        wait_until(lambda: blocked(pair))
        sent = time.monotonic()
        put(layer, number, "plain", {"number": 1})
        waiting.join(10)
        delays.append(waiting.ended - sent)
        receiver.settle(waiting.deliveries, [])
        assert numbers(waiting.deliveries) == [1]
    assert sorted(delays)[2] < 1


def test_what_a_thread_took_while_it_waited_it_knows_of(pair, layer, receiver):
    """Nothing is in its hands that it does not see, as it may be busy for long."""
    for _ in range(10):
        waiting = Waiting(receiver, timeout=5)
        wait_until(lambda: blocked(pair))
        for number in (0, 1):
            put(layer, number, "plain", {"number": number})
        waiting.join(10)
        assert waiting.deliveries
        assert sum(pending(layer)) == len(waiting.deliveries)
        rest = take(receiver, done=waiting.deliveries)
        assert numbers([*waiting.deliveries, *rest]) == [0, 1]
        receiver.settle(rest, [])


def test_a_thread_that_is_busy_holds_no_message(layer, receiver):
    """What comes while it runs a consumer goes to others, from all shards."""
    put(layer, 0, "plain", {"number": 0})
    [busy] = take(receiver, timeout=5)
    other = layer.receiver(["plain"], worker="other")
    for number in range(1, 7):
        put(layer, number % 2, "plain", {"number": number})
    assert all_taken(other, 6) == [1, 2, 3, 4, 5, 6]
    receiver.settle([busy], [])
    other.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
def test_no_more_than_the_limit_of_a_channel_comes(layer, receiver, limit):
    for number in range(12):
        for channel in ("plain", "other"):
            put(layer, number % 2, channel, {"number": number})
    found: list[Delivery] = []
    while more := take(receiver, limit):
        for channel in ("plain", "other"):
            assert len([d for d in more if d.channel == channel]) <= limit
        found += more
    assert numbers(found) == sorted([*range(12)] * 2)


def test_with_a_limit_of_one_no_shard_has_to_wait_for_the_others(layer, receiver):
    for _ in range(20):
        put(layer, 0, "plain", {"number": 0})
    put(layer, 1, "plain", {"number": 1})
    assert 1 in [number for _ in range(3) for number in numbers(take(receiver, 1))]


def test_nothing_takes_no_longer_than_the_timeout(receiver):
    took = []
    for _ in range(3):
        began = time.monotonic()
        assert take(receiver, timeout=0.5) == []
        took.append(time.monotonic() - began)
    assert 0.4 < sorted(took)[1] < 1


# Acknowledging --------------------------------------------------------------------------------


def test_what_was_dealt_with_is_off_the_bus_with_the_next_exchange(layer, receiver):
    for number in (0, 1):
        put(layer, number, "plain", {"number": number})
    done = [*take(receiver), *take(receiver)]
    assert pending(layer) == [1, 1]
    take(receiver, done=done)
    assert pending(layer) == [0, 0]


def test_what_was_dealt_with_is_off_the_bus_when_settled(layer, receiver):
    for number in (0, 1):
        put(layer, number, "plain", {"number": number})
    receiver.settle([*take(receiver), *take(receiver)], [])
    assert pending(layer) == [0, 0]


def test_an_event_loop_settles_beside_the_thread(layer, receiver):
    put(layer, 1, "plain", {"number": 1})
    [done] = take(receiver)
    process = name_on(layer, layer.shards[0])
    send = layer.prepare(process + "a", {"number": 2})

    async def settle() -> None:
        assert await receiver.settle_async(done, [send]) == []
        await layer.close_async()

    asyncio.run(settle())
    assert pending(layer) == [0, 0]
    assert layer.receive([process]) == (process + "a", {"number": 2})


# When a shard is away ---------------------------------------------------------------------------


def test_the_others_go_on_when_a_shard_is_down_and_it_comes_back_by_itself(pair, layer, receiver):
    put(layer, 1, "plain", {"number": 0})
    assert all_taken(receiver, 1) == [0]
    pair.servers[0].kill()
    for number in range(5):
        put(layer, 1, "plain", {"number": number})
    began = time.monotonic()
    assert all_taken(receiver, 5) == [0, 1, 2, 3, 4]
    assert time.monotonic() - began < 4  # a call has 5 s
    pair.servers[0].start()
    put(layer, 0, "plain", {"number": 9})
    assert all_taken(receiver, 1) == [9]


def test_the_others_go_on_when_a_shard_hangs_and_what_it_has_comes_once(pair, layer, receiver):
    for number in (0, 1):
        put(layer, number, "plain", {"number": number})
    assert all_taken(receiver, 2) == [0, 1]
    put(layer, 0, "plain", {"number": 2})
    pair.hang(0)
    for number in range(3, 6):
        put(layer, 1, "plain", {"number": number})
    began = time.monotonic()
    assert all_taken(receiver, 3) == [3, 4, 5]
    assert time.monotonic() - began < 4  # a call has 5 s
    pair.go_on(0)
    assert all_taken(receiver, 1) == [2]
    assert take(receiver, timeout=0.2) == []
    assert pending(layer) == [0, 0]


def test_what_was_dealt_with_is_acknowledged_when_its_shard_is_back(pair, layer, receiver):
    for number in (0, 1):
        put(layer, number, "plain", {"number": number})
    done = [*take(receiver), *take(receiver)]
    pair.hang(0)
    send = layer.prepare(name_on(layer, layer.shards[1]) + "a", {})
    assert receiver.settle([], [send]) == []
    assert take(receiver, done=done) == []
    pair.go_on(0)
    wait_until(lambda: take(receiver) == [] and pending(layer) == [0, 0])


def test_what_has_gone_is_not_sent_again_when_a_shard_is_down(pair, layer, receiver):
    """The worker hears which sends to make again; to raise would make it send them all again."""
    away, there = (name_on(layer, shard) for shard in layer.shards)
    put(layer, 1, "plain", {"number": 1})
    [done] = take(receiver, timeout=2)
    pair.servers[0].kill()
    lost, went = layer.prepare(away + "a", {}), layer.prepare(there + "a", {})
    exchange = receiver.exchange(done=[done], sends=[lost, went], limit=8, timeout=0)
    assert exchange.refused == [lost]
    put(layer, 1, "plain", {"number": 2})
    exchange = receiver.exchange(done=[], sends=[lost], limit=8, timeout=1)
    assert exchange.refused == [lost]
    assert numbers(exchange.deliveries) == [2]  # the worker need not wait for the other shard
    assert receiver.settle(exchange.deliveries, [lost]) == [lost]
    pair.servers[0].start()
    wait_until(lambda: receiver.settle([], [lost]) == [])
    assert layer.receive([away]) == (away + "a", {})
    assert layer.receive([there]) == (there + "a", {})
    assert layer.receive([away, there]) == (None, None)


def test_without_any_shard_the_caller_is_told_to_ask_for_all_once_more(pair, layer, receiver):
    put(layer, 1, "plain", {"number": 1})
    done, send = take(receiver), layer.prepare("other", {})
    for server in pair.servers:
        server.kill()
    for timeout in (0, 1):
        with pytest.raises(LayerUnavailable) as caught:
            receiver.exchange(done=done, sends=[send], limit=8, timeout=timeout)
        assert not caught.value.in_doubt
    for server in pair.servers:
        server.start()

    def is_back() -> bool:
        with suppress(LayerUnavailable):
            return take(receiver) == []
        return False

    wait_until(is_back)


def test_nothing_is_lost_or_comes_twice_when_connections_are_cut(pair, layer):
    """Again and again, while threads wait on all shards and messages come."""
    count, taken = 200, []
    stop = threading.Event()

    def work(name: str) -> None:
        receiver = layer.receiver(["plain"], worker=name)
        done: list[Delivery] = []
        while not stop.is_set():
            with suppress(LayerUnavailable):
                done = take(receiver, done=done, timeout=0.2)
                taken.extend(delivery.content["number"] for delivery in done)
        receiver.settle(done, [])
        receiver.close()

    workers = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for worker in workers:
        worker.start()
    sender = pair.layer(capacity=1000)
    for number in range(count):
        put(sender, number % 2, "plain", {"number": number})
        if number % 20 == 0:
            for server in pair.servers:
                server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            sender.close()  # its own connections are not what this is about
    wait_until(lambda: len(taken) >= count, 20, f"{count} messages")
    stop.set()
    for worker in workers:
        worker.join(10)
    assert sorted(taken) == list(range(count))
    assert pending(layer) == [0, 0]


def test_what_could_not_be_given_back_is_given_back_later(pair, layer, receiver, monkeypatch):
    """Else it is in the hands of a worker that knows nothing of it, for as long as that runs."""
    shard = layer.shards[0]
    end, tried = receiver._ends[shard], []
    give_back = end.give_back

    def fails_once(deliveries) -> None:
        tried.append(len(deliveries))
        if len(tried) == 1:
            raise LayerUnavailable("Redis does not answer")
        give_back(deliveries)

    monkeypatch.setattr(end, "give_back", fails_once)
    assert take(receiver) == []
    put(layer, 0, "plain", {"number": 0})
    pair.hang(0)
    assert take(receiver) == []
    pair.go_on(0)
    wait_until(lambda: tried)
    assert all_taken(receiver, 1) == [0]
    assert pending(layer) == [0, 0]


def test_a_receiver_without_a_worker_leaves_no_trace(layer):
    receiver = layer.receiver(["plain"])
    take(receiver)
    receiver.close()
    for shard in layer.shards:
        key = shard.keys.channel("plain")
        assert shard.call(("XINFO", "CONSUMERS", key, "workers")) == [[]]
