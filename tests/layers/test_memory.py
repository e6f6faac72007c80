"""The in-memory layer passes the suite; and what is its own."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from channels_classic.exceptions import ChannelFull, InvalidContent
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import Delivery, Envelope, Reasons
from channels_classic.test.conformance import ConformanceTestCase


class TestConformance(ConformanceTestCase):
    expiry_delay = 60.0
    capacity_limit = 5
    forever = "forever"
    dropping = "dropping"

    def setUp(self) -> None:
        self.now = 1000.0
        self.channel_layer = InMemoryChannelLayer(
            clock=lambda: self.now,
            expiry=60,
            group_expiry=20,
            capacity=5,
            channel_expiry={"forever.*": None},
            channel_overflow={"dropping.*": "drop_oldest"},
            later_limit=20,
            dead_limit=10,
        )
        super().setUp()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def count_writes(self) -> int:
        """The entries that were added and nobody has taken."""
        return sum(len(entries) for entries in self.channel_layer.store.channels.values())

    def put_garbage(self, channel: str) -> bool:
        self.channel_layer.deliver([Envelope(channel, b"no message")])
        return True


def kept(layer: InMemoryChannelLayer) -> dict[str, object]:
    """What the layer holds, apart from its counters."""
    names = ("channels", "waiting", "groups", "gone", "is_open", "later", "dead", "attachments")
    found = {name: getattr(layer.store, name) for name in names}
    found["sleepers"] = layer._sleepers
    return {name: each for name, each in found.items() if each}


def test_it_is_for_one_process(memory_layer):
    assert memory_layer.local_only is True
    assert str(memory_layer) == "InMemoryChannelLayer (this process only)"


def test_a_message_must_be_fit_for_other_layers_too(memory_layer):
    with pytest.raises(InvalidContent, match=r"content\['a'\]"):
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
    assert list(memory_layer.store.channels) == ["other"]
    assert set(kept(memory_layer)) == {"channels"}


def test_random_names_do_not_fill_the_counters(memory_layer):
    for number in range(50):
        memory_layer.send(f"body?{number}", {})
    assert list(memory_layer.store.counts) == ["body?"]
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
    assert memory_layer.store.counts == {}
    assert memory_layer.global_statistics()["messages_count"] == 2


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
    memory_layer.beat("w1", ["a", "b"], ttl=10)
    memory_layer.beat("w2", ["a"], ttl=20)
    assert has_worker()
    memory_layer.withdraw("w1", ["a", "b"])
    assert has_worker()
    clock.now += 20
    assert not has_worker()


def test_an_exchange_ends_after_its_timeout(memory_layer):
    receiver = memory_layer.receiver(["a"])
    assert receiver.exchange(done=[], sends=[], limit=1, timeout=0.01).deliveries == []


# Lanes ------------------------------------------------------------------------------------


class Server:
    """The inbox of a process that hears of its lanes."""

    def __init__(self, layer: InMemoryChannelLayer) -> None:
        self.heard: list[tuple[str, int, bool]] = []
        self.inbox = layer.inbox("p!", on_receipt=lambda *receipt: self.heard.append(receipt))

    def hear(self) -> list[tuple[str, int, bool]]:
        asyncio.run(self.inbox.read())
        return self.heard


def test_what_a_classic_receive_took_is_done_for_its_lane(memory_layer):
    """Nobody is going to acknowledge it."""
    server = Server(memory_layer)
    memory_layer.deliver([memory_layer.prepare("a", {}, lane="p!x 1")])
    assert memory_layer.receive(["a"]) == ("a", {})
    assert server.hear() == [("x", 1, False)]


def test_a_server_that_only_beats_hears_what_has_expired(memory_layer, clock):
    """No worker reads the channel, and nobody sends."""
    server = Server(memory_layer)
    memory_layer.deliver([memory_layer.prepare("a", {}, lane="p!x 1")])
    clock.now += 60
    assert asyncio.run(server.inbox.beat(ttl=5)) is False
    assert server.hear() == [("x", 1, True)]


def test_a_flush_ends_the_wait_of_lanes(memory_layer):
    server = Server(memory_layer)
    send = memory_layer.prepare("a", {}, lane="p!x 1")
    memory_layer.deliver([send, send._replace(lane="p!y 2", delay=5)])
    memory_layer.flush()
    memory_layer.send("p!a", {})
    assert server.hear() == [("x", 1, True), ("y", 2, True)]


def test_receipts_wait_for_servers_alone(memory_layer):
    memory_layer.deliver([memory_layer.prepare("a", {}, lane="p!x 1")])
    memory_layer.receive(["a"])
    assert kept(memory_layer) == {}


def test_receipts_are_no_messages(memory_layer):
    Server(memory_layer)
    memory_layer.deliver([memory_layer.prepare("a", {}, lane="p!x 1")])
    memory_layer.receive(["a"])
    memory_layer.send("p!a", {"n": 1})
    assert memory_layer.channel_statistics("p!")["messages_pending"] == 1
    assert memory_layer.receive(["p!"]) == ("p!a", {"n": 1})
    assert "channels" not in kept(memory_layer)


# Later ------------------------------------------------------------------------------------


def test_delayed_messages_wake_those_who_wait_for_them():
    """With no beat: everybody in the process sees the same clock."""
    layer = InMemoryChannelLayer()
    for number in range(3):
        layer.deliver([layer.prepare("a", {"n": number}, delay=0.02)])
        receiver = layer.receiver(["a"])
        [delivery] = receiver.exchange(done=[], sends=[], limit=1, timeout=5).deliveries
        assert delivery.content == {"n": number}
    layer.deliver([layer.prepare("a", {"n": 3}, delay=0.02)])
    assert asyncio.run(layer.receive_async(["a"])) == ("a", {"n": 3})
    layer.deliver([layer.prepare("p!a", {"n": 4}, delay=0.02)])
    [arrival] = asyncio.run(layer.inbox("p!").read())
    assert arrival.content == {"n": 4}


def test_a_message_that_becomes_due_for_one_thread_wakes_another():
    layer = InMemoryChannelLayer()
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(layer.receive(["a"], block=True)))
    other = threading.Thread(target=lambda: layer.receive(["b"], block=True))
    waiting.start(), other.start()
    layer.deliver([layer.prepare("a", {}, delay=0.05)])
    waiting.join(20)
    assert found == [("a", {})]
    layer.send("b", {})
    other.join(20)
    assert not other.is_alive()


def test_what_is_due_finds_room_on_a_full_channel(memory_layer, clock):
    """It was accepted once."""
    memory_layer.deliver([memory_layer.prepare("a", {"n": 0}, delay=5)])
    for number in range(1, 4):
        memory_layer.send("a", {"n": number})
    clock.now += 5
    with pytest.raises(ChannelFull):
        memory_layer.send("a", {"n": 4})
    assert [memory_layer.receive(["a"])[1]["n"] for _ in range(4)] == [1, 2, 3, 0]


def test_a_beat_says_when_the_next_message_is_due(memory_layer, clock):
    def next_due(*channels: str) -> float | None:
        return memory_layer.beat("w", channels, ttl=5).next_due

    memory_layer.deliver([memory_layer.prepare("a", {}, delay=delay) for delay in (7, 3)])
    assert (next_due("a", "b"), next_due("b")) == (3, None)
    clock.now += 3
    assert next_due("a") == 4
    clock.now += 4
    assert next_due("a") is None


def test_nothing_delayed_is_left_of_a_server_that_stops(memory_layer):
    inbox = memory_layer.inbox("p!")
    memory_layer.deliver([memory_layer.prepare("p!a", {}, delay=5)])
    asyncio.run(inbox.close())
    assert kept(memory_layer) == {}


def test_a_flush_takes_what_is_delayed_or_dead(memory_layer):
    memory_layer.deliver([memory_layer.prepare("a", {}, delay=5)])
    memory_layer.bury(Delivery("a", {}), Reasons("no"))
    assert set(kept(memory_layer)) == {"later", "dead"}
    memory_layer.flush()
    assert kept(memory_layer) == {}


def test_a_dead_letter_that_cannot_be_decoded_is_shown_without_content(memory_layer):
    memory_layer.bury(Delivery("a", {}, payload=b"no message"), Reasons("no"))
    [letter] = memory_layer.dead_letters()
    assert (letter.channel, letter.content) == ("a", None)


def test_a_dead_letter_that_makes_room_is_counted():
    layer = InMemoryChannelLayer(dead_limit=1)
    layer.bury(Delivery("a", {"n": 1}), Reasons("no"))
    layer.bury(Delivery("b", {"n": 2}), Reasons("no"))
    assert [letter.channel for letter in layer.dead_letters()] == ["b"]
    assert layer.channel_statistics("a")["dropped_count"] == 1
    assert layer.channel_statistics("b")["dead_count"] == 1


def test_an_old_letter_is_never_taken_for_a_new_one(memory_layer):
    memory_layer.bury(Delivery("a", {"n": 1}), Reasons("no"))
    [old] = memory_layer.dead_letters()
    memory_layer.flush()
    memory_layer.bury(Delivery("a", {"n": 2}), Reasons("no"))
    assert memory_layer.delete_dead([old]) == 0


# Limits and losses ------------------------------------------------------------------------


def test_patterns_say_the_expiry(clock):
    layer = InMemoryChannelLayer(
        clock=clock, expiry=None, channel_expiry={"short": 5, "s?": 5, "p*": 9}
    )
    for name in ("short", "p!a", "ever"):
        layer.send(name, {})
    clock.now += 5
    assert layer.receive(["short"]) == (None, None)
    assert layer.receive(["p!"]) == ("p!a", {})
    clock.now += 10**9
    assert layer.receive(["ever"]) == ("ever", {})


def test_a_connection_refuses_whatever_the_overflow(memory_layer):
    """It would miss the middle of an answer."""
    layer = InMemoryChannelLayer(capacity=1, channel_overflow={"*": "drop_oldest"})
    assert layer.deliver([layer.prepare("p!a", {"n": n}) for n in (1, 2)]) != []
    layer.deliver([layer.prepare("a", {"n": n}) for n in (1, 2)])
    assert (layer.receive(["p!"])[1], layer.receive(["a"])[1]) == ({"n": 1}, {"n": 2})


def test_a_full_member_of_a_group_may_drop_its_oldest():
    layer = InMemoryChannelLayer(capacity=1, channel_overflow={"a": "drop_oldest"})
    layer.group_add("chat", "a")
    for number in range(3):
        layer.send_group("chat", {"n": number})
    assert layer.receive(["a"]) == ("a", {"n": 2})
    assert layer.channel_statistics("a")["dropped_count"] == 2


def test_a_process_that_reads_nothing_misses_messages_to_groups(memory_layer, monkeypatch):
    monkeypatch.setattr("channels_classic.layers.in_memory.store.BEHIND", 3)
    memory_layer.group_add("chat", "p!a")
    memory_layer.group_add("chat", "q!a")
    for number in range(5):
        memory_layer.send_group("chat", {"n": number})
        assert memory_layer.receive(["q!"]) == ("q!a", {"n": number})
    assert memory_layer.channel_statistics("p!")["missed_count"] == 2
    assert memory_layer.channel_statistics("p!")["messages_pending"] == 3


def test_what_is_lost_is_logged_once_for_each_channel_and_reason(memory_layer, clock, caplog):
    for name in ("a", "a", "b"):
        memory_layer.send(name, {})
    clock.now += 60
    memory_layer.send("other", {})
    memory_layer.deliver([memory_layer.prepare("other", {})] * 4)
    memory_layer.deliver([memory_layer.prepare("other", {})])
    said = sorted(record.getMessage() for record in caplog.records)
    assert said == ["a: 2 expired", "b: 1 expired", "other: 2 channel full"]


def test_a_log_that_goes_over_the_layer_does_not_stop_it(memory_layer, caplog):
    """The lock is free when something is logged."""

    class ToChannel(logging.Handler):
        def emit(self, record):
            sender = threading.Thread(target=memory_layer.send, args=("log", {}))
            sender.start()
            sender.join(20)
            assert not sender.is_alive()

    logger = logging.getLogger("channels_classic.layers")
    handler = ToChannel()
    logger.addHandler(handler)
    try:
        memory_layer.deliver([memory_layer.prepare("a", {})] * 4)
    finally:
        logger.removeHandler(handler)
    assert memory_layer.receive(["log"]) == ("log", {})


def test_the_totals_are_those_of_all_channels(memory_layer, clock):
    memory_layer.send("a", {})
    clock.now += 2
    memory_layer.send("b?x", {})
    memory_layer.count("p!a", Counter.OVERFLOW, 2)
    found = memory_layer.global_statistics()
    keys = ("messages_count", "messages_pending", "messages_max_age", "overflow_count")
    assert [found[key] for key in keys] == [2, 2, 2, 2]
    assert memory_layer.channel_statistics("p!")["overflow_count"] == 2


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
        async with asyncio.timeout(60):
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
            thread.join(60)

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
    assert "waiting" not in kept(layer)
