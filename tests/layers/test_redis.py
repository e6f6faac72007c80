"""The Redis layer passes the suite; and what is its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import pytest
import redis

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.counters import Counter, no_counts
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.layers.traffic import Delivery
from channels_classic.test.conformance import ConformanceTestCase

#: What is no message, wherever it is put.
GARBAGE = [b"", b"\xc1", b"\x93\x01", b"hello", b"\x2a", b"\xff" * 50, b"\x81\x01\x02"]


class TestConformance(ConformanceTestCase):
    capacity_limit = 5
    forever, dropping = "forever", "dropping"

    @pytest.fixture(autouse=True)
    def _server(self, redis_server) -> None:
        self.url = redis_server.url

    def options(self) -> dict:
        waits = "expir" in self._testMethodName
        has_garbage = (
            "no_messages" in self._testMethodName or "passed_over" in self._testMethodName
        )  # it fills channels, as messages do
        return {
            "expiry": 0.4 if waits else 60,
            "group_expiry": 0.5 if waits else 60,
            "capacity": 500 if has_garbage else 5,
            "channel_expiry": {"forever.*": None},
            "channel_overflow": {"dropping.*": "drop_oldest"},
            "later_limit": 20,
            "dead_limit": 5,
        }

    def setUp(self) -> None:
        self.expiry_delay = 0.45
        self.channel_layer = RedisChannelLayer(
            hosts=[self.url], prefix=f"{random_letters(8)}:", **self.options()
        )
        self.client = redis.Redis.from_url(self.url)
        self.addCleanup(self.client.close)
        self.addCleanup(self.channel_layer.close)
        super().setUp()

    def count_writes(self) -> int:
        """The commands that Redis has carried out, also inside scripts."""
        stats = self.client.info("commandstats")
        return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")

    def put_garbage(self, channel: str) -> bool:
        keys, process = self.channel_layer.shards[0].keys, channel.partition("!")[0] + "!"
        stream = keys.inbox(process) if "!" in channel else keys.channel(channel)
        fields = [b"m", b"t", b"other", b"", b"!a", b"*some.group", b"?", b"!\xff"]
        for field in fields:
            for value in GARBAGE:
                self.client.xadd(stream, {field: value})
        self.client.xadd(stream, {b"+x": b"\xff\xfe", b"-x": b"\xff", b"+": b"", b"-\xff": b"g"})
        for time_ in (b"yesterday", b"9" * 5000, b"-1", b""):
            self.client.xadd(stream, {b"m": b"\xc1", b"t": time_})
        return True


class TestEncryptedConformance(TestConformance):
    def options(self) -> dict:
        return {**super().options(), "symmetric_encryption_keys": ["new key", b"old key"]}


def run(layer, check) -> None:
    """Run ``check`` on an event loop, and let go of that loop's connections."""

    async def main():
        try:
            await asyncio.wait_for(check(), 10)
        finally:
            await layer.close_async()

    asyncio.run(main())


def take(receiver, limit: int = 10, **options) -> list[Delivery]:
    arguments = {"done": [], "sends": [], "limit": limit, "timeout": 0, **options}
    return receiver.exchange(**arguments).deliveries


def keys_of(client, layer) -> list[str]:
    """The kinds of the layer's keys."""
    found = client.scan_iter(f"{layer.prefix}*", count=1000)
    return sorted(key.decode()[len(layer.prefix) :].partition(":")[0] for key in found)


# What is left behind ----------------------------------------------------------------------


def everything(layer: RedisChannelLayer) -> None:
    """Use each verb once."""
    for name in ("plain", "body?x", "p!a", "p!b"):
        layer.send(name, {})
    layer.group_add("chat", "p!a")
    layer.group_add("chat", "plain")
    layer.send_group("chat", {})
    layer.beat("worker", ["plain"], ttl=10)
    receiver = layer.receiver(["plain", "idle"])
    receiver.settle(take(receiver, 1), [])
    receiver.give_back(take(receiver, 1))
    receiver.close()


def test_every_key_ends_by_itself_but_memberships_and_the_streams_of_workers(make_redis, client):
    """Memberships live as long as their connection, which takes them along."""
    layer = make_redis(capacity=1)
    layer.channel_statistics("plain")
    everything(layer)
    with pytest.raises(ChannelFull):
        layer.send("p!b", {})
    forever = {
        key.decode()[len(layer.prefix) :]
        for key in client.scan_iter(f"{layer.prefix}*")
        if client.ttl(key) < 0
    }
    memberships = {"group:{chat}", "members:{p!}:chat", "joined:{p!}", "servers"}
    assert forever == {*memberships, "channel:{idle}"}


def test_a_flush_leaves_nothing(make_redis, client):
    layer = make_redis()
    everything(layer)
    layer.flush()
    assert keys_of(client, layer) == []


def test_a_flush_leaves_other_prefixes_alone(make_redis, client):
    odd = f"{random_letters(8)}*[a-z]?\\:"
    layer, other = make_redis(prefix=odd), make_redis(prefix=odd.replace("*", "x"))
    for each in (layer, other):
        each.send("a", {})
    layer.flush()
    assert layer.receive(["a"]) == (None, None)
    assert other.receive(["a"]) == ("a", {})
    other.flush()


def test_an_inbox_that_is_closed_leaves_nothing(make_redis, client):
    layer = make_redis()

    async def check():
        inbox = layer.inbox("p!")
        for local in "ab":
            layer.group_add("chat", f"p!{local}")
            layer.send(f"p!{local}", {})
        layer.group_discard("chat", "p!b")
        await inbox.read()
        inbox.drained("a")
        await inbox.close()

    run(layer, check)
    assert keys_of(client, layer) == ["stats"]  # for a day


def test_what_a_closed_receiver_had_in_hand_is_found_by_the_next_beat(make_redis, client):
    layer = make_redis(capacity=2)
    receiver, other = layer.receiver(["a", "b"]), layer.receiver(["a"])
    for _ in range(2):
        layer.send("a", {})
    assert len(take(receiver)) == 2
    assert take(other) == []
    receiver.close()
    lapsed = layer.beat("w", ["a", "b"], ttl=10).lapsed
    assert [delivery.channel for delivery in lapsed] == ["a", "a"]
    layer.lose(lapsed, Counter.LOST)
    assert layer.beat("w", ["a", "b"], ttl=10).lapsed == []
    assert layer.channel_statistics("a")["messages_pending"] == 0
    assert layer.channel_statistics("a")["lost_count"] == 2
    [group] = client.xinfo_groups(layer.shards[0].keys.channel("a"))
    assert group["pending"] == 0
    consumers = client.xinfo_consumers(layer.shards[0].keys.channel("a"), "workers")
    assert receiver.name.encode() not in [each["name"] for each in consumers]
    for _ in range(2):
        layer.send("a", {})
    other.close()


def test_nothing_waits_for_connections_that_got_everything(make_redis, client):
    layer = make_redis()

    async def check():
        inbox = layer.inbox("p!")
        for number in range(20):
            layer.send(f"p!{number}", {})
        for arrival in await inbox.read():
            inbox.drained(arrival.locals[0])
        await layer.close_async()
        assert client.exists(layer.shards[0].keys.waiting("p!")) == 0
        await inbox.close()

    run(layer, check)


def test_a_message_that_cannot_be_read_does_not_fill_its_connection(make_redis, client):
    layer, foreign = make_redis(capacity=2), None
    foreign = make_redis(prefix=layer.prefix, symmetric_encryption_keys=["key"])

    async def check():
        inbox = layer.inbox("p!")
        for _ in range(2):
            foreign.send("p!a", {})
        assert await inbox.read() == []
        await layer.shards[0].writer().call([("PING",)])
        for _ in range(2):
            layer.send("p!a", {})
        await inbox.close()

    run(layer, check)


# Room -------------------------------------------------------------------------------------


def test_what_workers_hold_takes_no_room(make_redis):
    layer = make_redis(capacity=2)
    receiver = layer.receiver(["a"])
    for _ in range(2):
        layer.send("a", {})
    held = take(receiver)
    for _ in range(2):
        layer.send("a", {})
    with pytest.raises(ChannelFull):
        layer.send("a", {})
    receiver.settle(held, [])
    with pytest.raises(ChannelFull):
        layer.send("a", {})
    receiver.close()


def test_expired_messages_take_no_room_beside_held_ones(make_redis, until):
    layer = make_redis(capacity=3, expiry=2)
    receiver = layer.receiver(["a"])
    layer.send("a", {"n": 0})
    [held] = take(receiver)
    for number in (1, 2, 3):
        layer.send("a", {"n": number})
    assert refused(layer, "a")
    until(lambda: not refused(layer, "a"))
    receiver.settle([held], [])
    left = [delivery.content for delivery in take(receiver)]
    assert left[-1] == {"probe": 1}
    assert len(left) <= 3
    assert {"n": 1} not in left
    receiver.close()


def refused(layer, name: str) -> bool:
    return bool(layer.deliver([layer.prepare(name, {"probe": 1})]))


def test_a_connection_is_full_until_its_client_has_taken_what_was_read(make_redis):
    layer = make_redis(capacity=2)

    async def check():
        inbox = layer.inbox("p!")
        for _ in range(2):
            layer.send("p!a", {})
        assert len(await inbox.read()) == 2
        assert refused(layer, "p!a")
        inbox.drained("a")
        await layer.shards[0].writer().call([("PING",)])
        assert not refused(layer, "p!a")
        assert refused(layer, "p!a")
        await inbox.close()

    run(layer, check)


def test_joins_are_not_swept_away_with_what_has_expired(make_redis, until):
    layer = make_redis(capacity=2, expiry=2)
    layer.group_add("chat", "p!a")
    for _ in range(2):
        layer.send("p!a", {"n": 1})
    until(lambda: not refused(layer, "p!a"))  # the sweep

    async def check():
        inbox = layer.inbox("p!")
        layer.send_group("chat", {"n": 2})
        arrivals = [arrival for arrival in await inbox.read() if "n" in arrival.content]
        assert [(each.locals, each.content) for each in arrivals] == [(("a",), {"n": 2})]
        await inbox.close()

    run(layer, check)


def test_messages_that_a_server_reads_too_late_free_their_room(make_redis, caplog, until):
    layer = make_redis(capacity=2, expiry=2)

    async def check():
        inbox = layer.inbox("p!")
        layer.group_add("chat", "p!a")
        for _ in range(2):
            layer.send("p!a", {"n": 1})
        layer.send_group("chat", {"n": 2})
        await asyncio.sleep(2.05)
        assert await inbox.read() == []
        await layer.shards[0].writer().call([("PING",)])
        assert not refused(layer, "p!a")
        assert not refused(layer, "p!a")
        layer.send_group("chat", {"n": 3})
        arrivals = await inbox.read()
        assert [arrival.content for arrival in arrivals] == [{"probe": 1}] * 2 + [{"n": 3}]
        await inbox.close()

    run(layer, check)
    [record] = caplog.records
    assert record.getMessage() == "p!: 3 expired (before it was read)"


def test_a_server_that_does_not_read_misses_sends_to_groups_past_the_limit(make_redis):
    layer = make_redis(inbox_limit=5)
    layer.group_add("chat", "p!a")  # the join is an entry, too
    for number in range(10):
        layer.send_group("chat", {"n": number})
    assert [layer.receive(["p!"])[1]["n"] for _ in range(4)] == [0, 1, 2, 3]
    assert layer.receive(["p!"]) == (None, None)


def test_a_group_may_have_more_members_than_a_script_has_room_for_at_once(make_redis):
    layer = make_redis()
    shard = layer.shards[0]
    shard.call(
        *(
            shard.join_command("chat", f"p!{number}", unheard_ms=60_000, is_here=True)
            for number in range(9000)
        )
    )
    layer.send_group("chat", {})
    assert len({layer.receive(["p!"])[0] for _ in range(9000)}) == 9000
    assert layer.receive(["p!"]) == (None, None)


# Statistics -------------------------------------------------------------------------------


def test_counters_of_a_channel_that_is_always_full_end_too(make_redis, client):
    layer = make_redis(capacity=1)
    for name in ("a", "p!a"):
        layer.send(name, {})
        key = layer.shards[0].keys.stats(name.partition("!")[0] + "!" if "!" in name else name)
        client.delete(key)  # as after an hour
        assert refused(layer, name)
        assert 0 < client.ttl(key) <= 86400


def test_the_age_of_the_oldest_message_is_known(make_redis, until):
    layer = make_redis()
    for name in ("a", "p!a"):
        assert layer.channel_statistics(name)["messages_max_age"] == 0
        layer.send(name, {})
        until(lambda name=name: layer.channel_statistics(name)["messages_max_age"] > 0.02)
        assert layer.channel_statistics(name)["messages_max_age"] < 5


def test_statistics_are_the_same_for_every_process(make_redis):
    layer = make_redis(capacity=2)
    other = make_redis(prefix=layer.prefix)
    for name in ("a", "p!a"):
        for _ in range(5):
            layer.deliver([layer.prepare(name, {})])
    counts = {**no_counts(), "messages_count": 4, "channel_full_count": 6}
    assert other.global_statistics() == counts
    for name in ("a", "p!a"):
        statistics = other.channel_statistics(name)
        assert statistics.pop("messages_max_age") >= 0
        counts = {**no_counts(), "messages_count": 2, "channel_full_count": 3}
        assert statistics == {**counts, "messages_pending": 2}


def test_a_worker_is_known_as_long_as_it_is_heard_of(make_redis, until):
    layer = make_redis()

    def has_worker() -> bool:
        async def ask():
            return await layer.has_worker("a")

        return asyncio.run(ask())

    assert not has_worker()
    layer.beat("w1", ["a", "b"], ttl=10)
    layer.beat("w2", ["a"], ttl=2)
    layer.withdraw("w1", ["a", "b"])
    assert has_worker()
    until(lambda: not has_worker())


# Several readers --------------------------------------------------------------------------


def test_two_layers_share_the_connections_of_one_process(make_redis):
    """Whoever reads a message to a group, it is for the members at the time it was sent."""
    layer = make_redis()
    other = make_redis(prefix=layer.prefix)
    found = []
    for number in range(6):
        layer.group_add("chat", f"p!{number}")
        layer.send_group("chat", {"n": number})
        if number == 3:
            found += [each.receive(["p!"]) for each in (layer, other, other)]
            other.group_discard("chat", "p!0")
    for each in (layer, other):
        while (message := each.receive(["p!"]))[0]:
            found.append(message)
    got = sorted((name, content["n"]) for name, content in found)
    assert got == sorted(
        (f"p!{local}", n) for n in range(6) for local in range(n + 1) if not (local == 0 and n > 3)
    )


def test_a_classic_reader_and_a_worker_share_a_channel(make_redis):
    layer = make_redis()
    receiver = layer.receiver(["a"])
    for number in range(10):
        layer.send("a", {"n": number})
    found = []
    for _ in range(5):
        found.append(layer.receive(["a"])[1]["n"])
        [delivery] = take(receiver, 1)
        found.append(delivery.content["n"])
    assert sorted(found) == list(range(10))
    receiver.close()


def test_a_message_that_was_given_back_twice_is_as_old_as_it_is(make_redis, client):
    layer = make_redis()
    receiver = layer.receiver(["a"])
    layer.send("a", {})
    [first] = take(receiver)
    receiver.give_back([first])
    [second] = take(receiver)
    receiver.give_back([second])
    [third] = take(receiver)
    assert third.token.arrived_ms == second.token.arrived_ms == first.token.arrived_ms
    assert third.token.entry_id != first.token.entry_id
    receiver.close()


@pytest.mark.parametrize("time_", [b"soon", b"9" * 5000, b"-5", b""])
def test_a_foreign_age_is_passed_over(make_redis, client, time_):
    layer = make_redis()
    receiver = layer.receiver(["a"])
    for _ in range(2):
        client.xadd(layer.shards[0].keys.channel("a"), {"m": layer.encode({"n": 1}), "t": time_})
    assert layer.receive(["a"]) == ("a", {"n": 1})
    assert [delivery.content for delivery in take(receiver)] == [{"n": 1}]
    receiver.close()


# What happens to Redis --------------------------------------------------------------------


def soon(receive: Callable[[], object]) -> tuple[threading.Thread, list]:
    """Call ``receive`` on a thread, again and again until it brings something."""
    found: list = []

    def work() -> None:
        end = time.monotonic() + 8
        while not found and time.monotonic() < end:
            try:
                message = receive()
            except LayerUnavailable:
                time.sleep(0.01)
                continue
            if message and message != (None, None):
                found.append(message)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


def test_a_worker_that_waits_survives_a_flush(make_redis, client):
    layer = make_redis()
    receiver = layer.receiver(["a", "b"])
    thread, found = soon(lambda: take(receiver, timeout=5))
    wait_for_blocked(client)
    layer.flush()
    layer.send("b", {"n": 1})
    thread.join(20)
    assert [delivery.content for delivery in found[0]] == [{"n": 1}]
    receiver.close()


def test_a_worker_finds_its_channels_again_after_somebody_emptied_redis(make_redis):
    layer = make_redis()
    receiver = layer.receiver(["a", "b"])
    take(receiver)
    layer.flush()
    assert take(receiver) == []
    layer.send("a", {"n": 1})
    assert [delivery.content for delivery in take(receiver)] == [{"n": 1}]
    receiver.close()


def test_what_is_given_back_after_a_flush_can_be_taken(make_redis, client):
    layer = make_redis()
    receiver = layer.receiver(["a"])
    for number in (1, 2):
        layer.send("a", {"n": number})
    deliveries = take(receiver)
    layer.flush()
    receiver.give_back(deliveries)
    assert client.ttl(layer.shards[0].keys.channel("a")) > 0
    assert layer.receive(["a"]) == ("a", {"n": 1})
    assert [delivery.content for delivery in take(receiver)] == [{"n": 2}]
    receiver.close()


def test_what_is_given_back_in_the_millisecond_of_a_flush_is_all_there(make_redis):
    """Entries of the new stream may have the numbers of those that were flushed."""
    layer = make_redis()
    receiver = layer.receiver(["a"])
    for _ in range(200):
        for number in range(5):
            layer.send("a", {"n": number})
        deliveries = take(receiver)
        layer.flush()
        receiver.give_back(deliveries)
        assert [layer.receive(["a"])[1] for _ in range(5)] == [{"n": n} for n in range(5)]
    receiver.close()


def test_a_classic_reader_that_waits_survives_a_flush(make_redis, client):
    layer = make_redis()
    thread, found = soon(lambda: layer.receive(["a", "p!"], block=True))
    wait_for_blocked(client)
    layer.flush()
    layer.send("p!x", {"n": 1})
    thread.join(20)
    assert found == [("p!x", {"n": 1})]


def wait_for_blocked(client) -> None:
    end = time.monotonic() + 5
    while not client.info("clients")["blocked_clients"]:
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.005)


def test_everybody_goes_on_when_redis_comes_back(own_redis, make_redis):
    own_redis.start()
    layer = make_redis(hosts=[own_redis.url])
    receiver = layer.receiver(["a"])
    layer.send("a", {"n": 0})
    assert layer.receive(["a"]) == ("a", {"n": 0})
    assert take(receiver) == []
    worker, delivered = soon(lambda: take(receiver, timeout=5))
    reader, received = soon(lambda: layer.receive(["b"], block=True))
    own_redis.stop()
    with pytest.raises(LayerUnavailable) as caught:
        layer.send("a", {"n": 1})
    assert not caught.value.in_doubt
    own_redis.start()
    layer.send("a", {"n": 2})
    layer.send("b", {"n": 3})
    worker.join(20)
    reader.join(20)
    assert [delivery.content for delivery in delivered[0]] == [{"n": 2}]
    assert received == [("b", {"n": 3})]
    receiver.close()


def test_an_inbox_reads_on_when_redis_comes_back(own_redis, make_redis):
    own_redis.start()
    layer = make_redis(hosts=[own_redis.url])

    async def check():
        inbox = layer.inbox("p!")
        layer.send("p!a", {"n": 1})
        await inbox.read()
        reading = asyncio.ensure_future(inbox.read())
        await asyncio.sleep(0.01)
        own_redis.stop()
        with pytest.raises(LayerUnavailable):
            await reading
        await asyncio.to_thread(own_redis.start)
        layer.send("p!a", {"n": 2})
        assert [arrival.content for arrival in await inbox.read()] == [{"n": 2}]
        await inbox.close()

    run(layer, check)


def test_a_key_of_another_kind_is_named_and_stops_nobody(make_redis, client):
    layer = make_redis()
    client.set(layer.shards[0].keys.channel("broken"), "no stream")
    with pytest.raises(LayerUnavailable, match="refuses: WRONGTYPE|Operation against a key"):
        layer.send("broken", {})
    with pytest.raises(LayerUnavailable):
        layer.receive(["broken"])
    layer.send("fine", {})
    assert layer.receive(["fine"]) == ("fine", {})


def test_a_send_that_redis_refuses_is_logged_by_the_worker_that_goes_on(make_redis, client, caplog):
    layer = make_redis()
    client.set(layer.shards[0].keys.channel("broken"), "no stream")
    receiver = layer.receiver(["a"])
    layer.send("a", {"n": 1})
    sends = [layer.prepare("broken", {}), layer.prepare("fine", {})]
    with caplog.at_level(logging.ERROR):
        exchange = receiver.exchange(done=[], sends=sends, limit=1, timeout=0)
    assert [delivery.content for delivery in exchange.deliveries] == [{"n": 1}]
    assert exchange.refused == []
    assert "Redis refuses a send to broken" in caplog.text
    assert layer.receive(["fine"]) == ("fine", {})
    receiver.close()


# Encryption -------------------------------------------------------------------------------


def test_keys_are_changed_while_messages_are_on_their_way(make_redis):
    old = make_redis(symmetric_encryption_keys=["old"])
    both = make_redis(prefix=old.prefix, symmetric_encryption_keys=["new", "old"])
    new = make_redis(prefix=old.prefix, symmetric_encryption_keys=["new"])
    old.send("a", {"n": 1})
    both.send("a", {"n": 2})
    assert both.receive(["a"]) == ("a", {"n": 1})
    assert new.receive(["a"]) == ("a", {"n": 2})


def test_a_message_with_a_wrong_key_is_logged_and_passed_over(make_redis, caplog):
    mine = make_redis(symmetric_encryption_keys=["mine"])
    foreign = make_redis(prefix=mine.prefix, symmetric_encryption_keys=["foreign"])
    mine.group_add("chat", "p!a")
    for layer, number in ((foreign, 1), (mine, 2)):
        for name in ("a", "b", "p!a"):
            layer.send(name, {"n": number})
        layer.send_group("chat", {"n": number})
    with caplog.at_level(logging.WARNING):
        assert mine.receive(["a"]) == ("a", {"n": 2})
        receiver = mine.receiver(["b"])
        deliveries = take(receiver)
        assert [delivery.content for delivery in deliveries] == [{"n": 2}]
        receiver.settle(deliveries, [])
        receiver.close()
        assert [mine.receive(["p!"]) for _ in range(2)] == [("p!a", {"n": 2})] * 2
    assert mine.receive(["p!"]) == (None, None)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" (")[0] for line in lines] == [
        "a: 1 undecodable",
        "b: 1 undecodable",
        "p!: 1 undecodable",  # and one more, in the same 10 s
    ]
    assert all("its key is not one of" in line for line in lines)
    counted = [mine.channel_statistics(name)["undecodable_count"] for name in ("a", "b", "p!")]
    assert counted == [1, 1, 2]
    assert mine.channel_statistics("b")["messages_pending"] == 0


def test_nothing_on_redis_is_in_clear_but_names(make_redis, client):
    layer = make_redis(symmetric_encryption_keys=["key"])
    layer.group_add("chat", "p!a")
    for send, name in ((layer.send, "a"), (layer.send, "p!a"), (layer.send_group, "chat")):
        send(name, {"password": "hunter2"})
    streams = [layer.shards[0].keys.channel("a"), layer.shards[0].keys.inbox("p!")]
    stored = b"".join(
        value for key in streams for _, e in client.xrange(key) for value in e.values()
    )
    assert len(stored) > 300
    assert b"hunter2" not in stored
    assert b"password" not in stored


# Threads ----------------------------------------------------------------------------------


def test_many_threads_share_few_connections(make_redis, client):
    layer = make_redis(max_connections=2, capacity=1000, connection_kwargs={"client_name": "few"})
    before = len([each for each in client.client_list() if each["name"] == "few"])

    def work() -> None:
        for _ in range(20):
            layer.send("a", {})

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert layer.channel_statistics("a")["messages_pending"] == 200
    assert len([each for each in client.client_list() if each["name"] == "few"]) - before <= 2
