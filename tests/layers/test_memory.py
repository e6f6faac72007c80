"""The in-memory layer passes the suite; and what is its own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from channels_classic.exceptions import ChannelFull, InvalidContent
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.test.conformance import ConformanceTestCase


class TestConformance(ConformanceTestCase):
    expiry_delay = 60.0
    capacity_limit = 5

    def setUp(self) -> None:
        self.now = 1000.0
        self.channel_layer = InMemoryChannelLayer(
            clock=lambda: self.now, expiry=60, group_expiry=20, capacity=5
        )
        super().setUp()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def count_writes(self) -> int:
        """The entries that were added and nobody has taken."""
        return sum(len(entries) for entries in self.channel_layer._channels.values())


def kept(layer: InMemoryChannelLayer) -> dict[str, object]:
    """What the layer holds, apart from its counters."""
    names = ("_channels", "_waiting", "_groups", "_sleepers", "_gone", "_is_open")
    return {name: found for name in names if (found := getattr(layer, name))}


def test_it_is_for_one_process(memory_layer):
    assert memory_layer.local_only is True
    assert str(memory_layer) == "InMemoryChannelLayer (this process only)"


def test_a_message_must_be_fit_for_other_layers_too(memory_layer):
    with pytest.raises(InvalidContent, match=r"message\[a\]"):
        memory_layer.send("x", {"a": object()})


def test_patterns_say_the_capacity():
    layer = InMemoryChannelLayer(capacity=1, channel_capacity={"many*": 3})
    for name, capacity in (("few", 1), ("many", 3), ("many!a", 3), ("many?b", 3)):
        assert layer.deliver([layer.prepare(name, {})] * 5) == [layer.prepare(name, {})] * (
            5 - capacity
        )


def test_messages_to_groups_take_no_connection_s_room(memory_layer):
    memory_layer.group_add("chat", "p!a")
    for _ in range(10):
        memory_layer.send_group("chat", {})
    for _ in range(3):
        memory_layer.send("p!a", {})
    with pytest.raises(ChannelFull):
        memory_layer.send("p!a", {})


def test_a_connection_is_full_until_its_client_has_taken_what_was_read(memory_layer):
    async def check():
        inbox = memory_layer.inbox("p!")
        for _ in range(3):
            memory_layer.send("p!a", {})
        for _ in range(3):
            await inbox.read()
        with pytest.raises(ChannelFull):
            memory_layer.send("p!a", {})
        inbox.drained("a")
        memory_layer.send("p!a", {})

    asyncio.run(check())


def test_a_group_is_read_as_one_arrival(memory_layer):
    async def check():
        inbox = memory_layer.inbox("p!")
        for local in "abc":
            memory_layer.group_add("chat", f"p!{local}")
        memory_layer.send_group("chat", {"n": 1})
        [arrival] = await inbox.read()
        assert (arrival.locals, arrival.content, arrival.direct) == (
            ("a", "b", "c"),
            {"n": 1},
            False,
        )

    asyncio.run(check())


def test_what_nobody_asks_for_any_more_is_dropped(memory_layer, clock):
    """As bodies of requests whose client has left, and groups of channels nobody sends to."""
    for number in range(50):
        memory_layer.send(f"body?{number}", {})
        memory_layer.send(f"gone!{number}", {})
        memory_layer.group_add(f"group{number}", f"plain{number}")
    clock.now += memory_layer.group_expiry
    memory_layer.send("other", {})
    assert list(memory_layer._channels) == ["other"]
    assert set(kept(memory_layer)) == {"_channels"}


def test_random_names_do_not_fill_the_counters(memory_layer):
    for number in range(50):
        memory_layer.send(f"body?{number}", {})
    assert list(memory_layer._counts) == ["body?"]
    assert memory_layer.channel_statistics("body?7")["messages_count"] == 50
    assert memory_layer.global_statistics()["messages_count"] == 50


def test_nothing_is_left_when_everything_was_received(memory_layer):
    memory_layer.group_add("chat", "p!a")
    for name in ("plain", "body?x", "p!a", "p!b"):
        memory_layer.send(name, {})
    memory_layer.send_group("chat", {})
    for names in (["plain"], ["body?x"], ["p!"], ["p!"], ["p!"]):
        assert memory_layer.receive(names)[0] is not None
    memory_layer.group_discard("chat", "p!a")
    assert kept(memory_layer) == {}


def test_nothing_is_left_of_a_server_that_stops(memory_layer):
    async def check():
        inbox = memory_layer.inbox("p!")
        memory_layer.group_add("chat", "p!a")
        memory_layer.send_group("chat", {})
        memory_layer.send("p!a", {})
        memory_layer.send("p!b", {})
        await inbox.read()
        await inbox.close()

    asyncio.run(check())
    assert kept(memory_layer) == {}
    assert memory_layer._counts == {}


def test_nothing_is_left_of_an_async_receive_that_was_cancelled(memory_layer):
    async def check():
        waiting = asyncio.ensure_future(memory_layer.receive_async(["a"]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert kept(memory_layer) == {}

    asyncio.run(check())


def test_a_loop_that_is_closed_does_not_trouble_senders(memory_layer):
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(memory_layer.receive_async(["a"]))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert not waiting.done()
    memory_layer.send("a", {"n": 1})
    assert memory_layer.receive(["a"]) == ("a", {"n": 1})


def test_the_age_of_the_oldest_message_is_known(memory_layer, clock):
    assert memory_layer.channel_statistics("a")["messages_max_age"] == 0
    memory_layer.send("a", {})
    clock.now += 7
    memory_layer.send("a", {})
    clock.now += 2
    statistics = memory_layer.channel_statistics("a")
    assert statistics["messages_max_age"] == 9
    assert statistics["messages_pending"] == 2


def test_messages_that_are_given_back_come_first_again(memory_layer):
    receiver = memory_layer.receiver(["a"])
    for number in range(2):
        memory_layer.send("a", {"n": number})
    taken = receiver.exchange(done=[], sends=[], limit=2, timeout=0).deliveries
    memory_layer.send("a", {"n": 2})
    receiver.give_back(taken)
    assert [memory_layer.receive(["a"])[1]["n"] for _ in range(3)] == [0, 1, 2]


def test_a_worker_is_known_as_long_as_it_is_heard_of(memory_layer, clock):
    def has_worker() -> bool:
        return asyncio.run(memory_layer.has_worker("a"))

    assert not has_worker()
    memory_layer.announce("w1", ["a", "b"], ttl=10)
    memory_layer.announce("w2", ["a"], ttl=20)
    assert has_worker()
    memory_layer.withdraw("w1", ["a", "b"])
    assert has_worker()
    clock.now += 20
    assert not has_worker()


def test_an_exchange_ends_after_its_timeout(memory_layer):
    receiver = memory_layer.receiver(["a"])
    assert receiver.exchange(done=[], sends=[], limit=1, timeout=0.01).deliveries == []


class Load:
    """Threads and an event loop that send, receive, join and leave at the same time."""

    names = ("one", "two", "p!")

    def __init__(self, layer: InMemoryChannelLayer, count: int) -> None:
        self.layer = layer
        self.count = count
        self.expected = [(name, name, n) for name in ("one", "two") for n in range(count)]
        self.expected += [(f"p!{m}", "chat", n) for m in "ab" for n in range(count)] * 2
        self.expected += [(f"p!{n % 7}", "other", n) for n in range(count)]
        self.taken: list[tuple] = []
        self.errors: list[Exception] = []

    def is_over(self) -> bool:
        return bool(self.errors) or len(self.taken) >= len(self.expected)

    def send(self, name: str) -> None:
        for number in range(self.count):
            self.layer.send(name, {"key": (name, number)})
            self.layer.send_group("chat", {"key": ("chat", number)})

    def churn(self) -> None:
        for number in range(self.count):
            member = f"p!{number % 7}"
            self.layer.group_add("other", member)
            self.layer.send_group("other", {"key": ("other", number)})
            self.layer.group_discard("other", member)
            self.layer.channel_statistics("one")
            self.layer.global_statistics()

    def took(self, message: tuple) -> None:
        if message[0]:
            self.taken.append((message[0], *message[1]["key"]))

    def receive(self) -> None:
        while not self.is_over():
            self.took(self.layer.receive(self.names))

    async def receive_async(self) -> None:
        async with asyncio.timeout(10):
            while not self.is_over():
                waiting = asyncio.ensure_future(self.layer.receive_async(self.names))
                await asyncio.wait([waiting], timeout=0.01)
                if waiting.done():
                    self.took(waiting.result())
                else:
                    waiting.cancel()

    def run(self) -> None:
        jobs = [lambda: self.send("one"), lambda: self.send("two"), self.churn, self.receive]
        jobs += [self.receive, lambda: asyncio.run(self.receive_async())]
        threads = [threading.Thread(target=self.guarded, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    def guarded(self, job) -> None:
        try:
            job()
        except Exception as error:
            self.errors.append(error)


def test_a_layer_under_load_loses_and_doubles_nothing():
    layer = InMemoryChannelLayer(capacity=10_000)
    for local in "ab":
        layer.group_add("chat", f"p!{local}")
    load = Load(layer, 300)
    load.run()
    assert load.errors == []
    assert sorted(load.taken) == sorted(load.expected)
    assert "_waiting" not in kept(layer)
