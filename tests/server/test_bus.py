"""The channel layer as the connections of one server see it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import bus as bus_module
from channels_classic.server.bus import Bus


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
    assert loop.time() - began < 1


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
    layer.announce("worker", ["channel"], ttl=60)
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
    layer.announce("worker", ["channel"], ttl=60)
    bus = Bus(layer)
    assert await bus.has_worker("channel")
    layer.errors = [error()]
    await bus.tell("channel", {})
    assert "Could not send to channel" in caplog.text


async def test_nobody_is_missed_when_only_somebody_who_asks_is_told(bus, caplog):
    await bus.tell("http.disconnect", {})
    assert caplog.text == ""


# Workers ------------------------------------------------------------------------------------------


async def test_a_channel_has_a_worker_when_one_says_so(bus, layer):
    assert not await bus.has_worker("channel")
    layer.announce("worker", ["channel"], ttl=60)
    assert await bus.has_worker("channel")


async def test_a_worker_of_another_channel_does_not_count(bus, layer):
    layer.announce("worker", ["other"], ttl=60)
    assert not await bus.has_worker("channel")


async def test_a_worker_that_was_seen_is_believed_for_a_while(bus, layer, monkeypatch):
    asked = counted(layer, monkeypatch)
    layer.announce("worker", ["channel"], ttl=60)
    for _ in range(10):
        assert await bus.has_worker("channel")
    assert asked == ["channel"]


async def test_a_worker_that_was_seen_is_not_believed_for_ever(bus, layer, monkeypatch):
    monkeypatch.setattr(bus_module, "_SEEN", 0)
    layer.announce("worker", ["channel"], ttl=60)
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
    monkeypatch.setattr(bus_module, "_SAY_AGAIN", 0)
    await bus.has_worker("channel")
    await bus.has_worker("channel")
    assert len(caplog.records) == 2
