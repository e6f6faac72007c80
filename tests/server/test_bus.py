"""The channel layer as the connections of one server see it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import bus as bus_module
from channels_classic.server.bus import Bus
from tests.server.ends import until


class FlakyLayer(InMemoryChannelLayer):
    """Fails as its list of errors says, one for each send; then it works."""

    def __init__(self, *errors):
        super().__init__()
        self.errors = list(errors)
        self.sends = 0

    async def deliver_async(self, envelopes):
        self.sends += 1
        error = self.errors.pop(0) if self.errors else None
        if isinstance(error, ChannelFull):
            return list(envelopes)
        if error:
            raise error
        return await super().deliver_async(envelopes)

    async def has_worker(self, channel):
        if self.errors:
            raise self.errors.pop(0)
        return await super().has_worker(channel)


@pytest.fixture
def bus(layer):
    return Bus(layer)


def counted(layer, monkeypatch):
    """How often the layer is asked whether a channel has a worker."""
    asked = []
    real = layer.has_worker

    async def has_worker(channel):
        asked.append(channel)
        return await real(channel)

    monkeypatch.setattr(layer, "has_worker", has_worker)
    return asked


# Sending ----------------------------------------------------------------------------------------


async def test_a_send_is_on_the_channel(bus, layer):
    await bus.send("channel", {"a": 1}, wait=0)
    assert layer.receive(["channel"]) == ("channel", {"a": 1})


async def test_a_full_channel_is_refused_when_nobody_may_wait():
    layer = InMemoryChannelLayer(capacity=1)
    layer.send("channel", {})
    with pytest.raises(ChannelFull):
        await Bus(layer).send("channel", {}, wait=0)


async def test_a_send_is_tried_once_when_nobody_may_wait():
    layer = FlakyLayer(ChannelFull(), ChannelFull())
    with pytest.raises(ChannelFull):
        await Bus(layer).send("channel", {}, wait=0)
    assert layer.sends == 1


async def test_a_send_waits_no_longer_than_it_may():
    layer = InMemoryChannelLayer(capacity=1)
    layer.send("channel", {})
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ChannelFull):
        await Bus(layer).send("channel", {}, wait=0.05)
    assert loop.time() - began < 5


@pytest.mark.parametrize("error", [ChannelFull, LayerUnavailable])
@pytest.mark.parametrize("wait", [5, None])
async def test_a_send_is_tried_until_it_succeeds(error, wait):
    layer = FlakyLayer(error(), error(), error())
    await Bus(layer).send("channel", {"a": 1}, wait=wait)
    assert layer.receive(["channel"]) == ("channel", {"a": 1})


async def test_a_send_that_may_have_succeeded_is_not_repeated():
    layer = FlakyLayer(LayerUnavailable(in_doubt=True))
    with pytest.raises(LayerUnavailable):
        await Bus(layer).send("channel", {}, wait=None)
    assert layer.sends == 1


async def test_a_message_that_is_too_large_is_not_repeated():
    layer = FlakyLayer(MessageTooLarge())
    with pytest.raises(MessageTooLarge):
        await Bus(layer).send("channel", {}, wait=None)
    assert layer.sends == 1


# Telling those who ask ----------------------------------------------------------------------------


async def test_those_who_read_a_channel_are_told(bus, layer):
    layer.beat("worker", ["channel"], ttl=60)
    await bus.tell("channel", {"a": 1})
    assert layer.receive(["channel"]) == ("channel", {"a": 1})


async def test_what_nobody_reads_is_not_told(bus, layer):
    await bus.tell("channel", {"a": 1})
    assert layer.receive(["channel"]) == (None, None)


async def test_what_is_told_always_waits_for_a_worker_to_come(bus, layer):
    await bus.tell("channel", {"a": 1}, always=True)
    assert layer.receive(["channel"]) == ("channel", {"a": 1})


async def test_what_is_told_always_does_not_wait_for_room_where_nobody_reads(caplog):
    layer = InMemoryChannelLayer(capacity=1)
    layer.send("channel", {})
    await Bus(layer).tell("channel", {}, wait=60, always=True)
    assert "Could not send to channel" in caplog.text


@pytest.mark.parametrize("error", [ChannelFull, LayerUnavailable])
async def test_what_cannot_be_told_is_logged(error, caplog):
    layer = FlakyLayer()
    layer.beat("worker", ["channel"], ttl=60)
    bus = Bus(layer)
    assert await bus.has_worker("channel")
    layer.errors = [error()]
    await bus.tell("channel", {})
    assert "Could not send to channel" in caplog.text


@pytest.mark.parametrize(
    ("error", "counter"),
    [
        (ChannelFull(), Counter.DROPPED),
        (LayerUnavailable(), Counter.DROPPED),
        (LayerUnavailable(in_doubt=True), Counter.IN_DOUBT),
    ],
)
async def test_what_cannot_be_told_is_counted(error, counter):
    layer = FlakyLayer()
    layer.beat("worker", ["channel"], ttl=60)
    bus = Bus(layer)
    assert await bus.has_worker("channel")
    layer.errors = [error]
    await bus.tell("channel", {})
    counts = layer.channel_statistics("channel")
    assert (counts[counter], counts[Counter.DROPPED] + counts[Counter.IN_DOUBT]) == (1, 1)


async def test_what_cannot_be_told_is_logged_once_in_a_while(caplog):
    layer = InMemoryChannelLayer(capacity=1)
    layer.send("channel", {})
    bus = Bus(layer)
    for _ in range(5):
        await bus.tell("channel", {}, always=True)
    assert caplog.text.count("Could not send to channel") == 1
    assert layer.channel_statistics("channel")[Counter.DROPPED] == 5


async def test_what_is_told_always_waits_out_an_outage():
    layer = FlakyLayer()
    layer.beat("worker", ["channel"], ttl=60)
    bus = Bus(layer)
    assert await bus.has_worker("channel")
    layer.errors = [LayerUnavailable() for _ in range(10)]
    await bus.tell("channel", {"a": 1}, wait=0.01, always=True)
    assert layer.receive(["channel"]) == ("channel", {"a": 1})


async def test_sends_that_cannot_wait_go_at_once_in_their_order(bus, layer):
    await bus.put_all([layer.prepare("channel", {"number": number}) for number in range(3)])
    assert [layer.receive(["channel"])[1]["number"] for _ in range(3)] == [0, 1, 2]


async def test_sends_that_cannot_wait_are_counted_when_there_is_no_room():
    layer = InMemoryChannelLayer(capacity=1)
    await Bus(layer).put_all([layer.prepare("channel", {}) for _ in range(3)])
    assert layer.channel_statistics("channel")[Counter.DROPPED] == 2


async def test_sends_that_cannot_wait_are_counted_when_the_layer_is_away(caplog):
    layer = FlakyLayer(LayerUnavailable("no bus"))
    await Bus(layer).put_all([layer.prepare("channel", {}) for _ in range(3)])
    assert layer.channel_statistics("channel")[Counter.DROPPED] == 3
    assert "Could not send to channel: no bus" in caplog.text


async def test_nobody_is_missed_when_only_somebody_who_asks_is_told(bus, caplog):
    await bus.tell("http.disconnect", {})
    assert caplog.text == ""


# Workers ------------------------------------------------------------------------------------------


async def test_a_channel_has_a_worker_when_one_says_so(bus, layer):
    assert not await bus.has_worker("channel")
    layer.beat("worker", ["channel"], ttl=60)
    assert await bus.has_worker("channel")


async def test_a_worker_of_another_channel_does_not_count(bus, layer):
    layer.beat("worker", ["other"], ttl=60)
    assert not await bus.has_worker("channel")


async def test_a_worker_that_was_seen_is_believed_for_a_while(bus, layer, monkeypatch):
    asked = counted(layer, monkeypatch)
    layer.beat("worker", ["channel"], ttl=60)
    for _ in range(10):
        assert await bus.has_worker("channel")
    assert asked == ["channel"]


async def test_a_worker_that_was_seen_is_not_believed_for_ever(bus, layer, monkeypatch):
    monkeypatch.setattr(bus_module, "_SEEN", 0)
    layer.beat("worker", ["channel"], ttl=60)
    assert await bus.has_worker("channel")
    layer.withdraw("worker", ["channel"])
    assert not await bus.has_worker("channel")


async def test_a_missing_worker_is_looked_for_each_time(bus, layer, monkeypatch):
    asked = counted(layer, monkeypatch)
    for _ in range(3):
        await bus.has_worker("channel")
    assert len(asked) == 3


async def test_a_layer_that_is_away_says_nothing_against_its_workers():
    assert await Bus(FlakyLayer(LayerUnavailable())).has_worker("channel")


async def test_a_missing_worker_is_logged_with_what_to_do(bus, caplog):
    await bus.has_worker("channel")
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "No worker reads the channel channel: start one with 'manage.py runworker'."
    )


async def test_a_missing_worker_is_logged_once_in_a_while(bus, caplog):
    for _ in range(5):
        await bus.has_worker("channel")
    assert len(caplog.records) == 1


async def test_each_channel_without_a_worker_is_logged(bus, caplog):
    await bus.has_worker("one")
    await bus.has_worker("two")
    assert len(caplog.records) == 2


async def test_a_worker_that_is_still_missing_is_logged_again(bus, caplog, monkeypatch):
    monkeypatch.setattr("channels_classic.log.EVERY", 0)
    await bus.has_worker("channel")
    await bus.has_worker("channel")
    assert len(caplog.records) == 2


# The end ------------------------------------------------------------------------------------------


async def test_the_end_waits_for_those_who_are_ending(bus):
    goes_on = asyncio.Event()
    order = []

    async def end():
        with bus.ending():
            await goes_on.wait()
            order.append("socket")

    ending = asyncio.create_task(end())
    await until(lambda: bus._endings)
    closing = asyncio.create_task(bus.close())
    closing.add_done_callback(lambda _: order.append("bus"))
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.gather(ending, closing)
    assert (order, bus._endings) == (["socket", "bus"], set())


async def test_the_end_does_not_wait_for_ever(bus, monkeypatch):
    monkeypatch.setattr(bus_module, "_LAST_MESSAGES", 0.01)

    async def end():
        with bus.ending():
            await asyncio.Event().wait()

    ending = asyncio.create_task(end())
    await until(lambda: bus._endings)
    await bus.close()
    assert not ending.done()
    ending.cancel()
