"""Many who wait for room on one channel."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import line as line_module
from channels_classic.server.bus import Bus
from channels_classic.server.line import Line


class CountingLayer(InMemoryChannelLayer):
    """Counts its deliveries, and fails as its list of errors says."""

    def __init__(self, **options):
        super().__init__(**options)
        self.deliveries = 0
        self.errors = []

    async def deliver_async(self, envelopes):
        self.deliveries += 1
        if self.errors:
            raise self.errors.pop(0)
        return await super().deliver_async(envelopes)


async def until(condition):
    """Wait for ``condition``; the test's own timeout is the deadline."""
    while not condition():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)


async def full(count):
    """A layer whose one place is taken, and ``count`` sends that wait for it."""
    layer = CountingLayer(capacity=1)
    layer.send("channel", {"number": -1})
    bus = Bus(layer)
    sends = [
        asyncio.create_task(bus.send("channel", {"number": n}, wait=None)) for n in range(count)
    ]
    await until(lambda: bus._lines and len(bus._lines["channel"]._waiting) == count)
    return layer, bus, sends


async def test_who_came_first_goes_first():
    layer, _, sends = await full(20)
    numbers = []
    async with asyncio.timeout(10):
        while len(numbers) < 21:
            _, content = layer.receive(["channel"])
            if content:
                numbers.append(content["number"])
            await asyncio.sleep(0)
    await asyncio.gather(*sends)
    assert numbers == list(range(-1, 20))


async def test_nobody_passes_those_who_wait():
    layer, bus, sends = await full(1)
    late = asyncio.create_task(bus.send("channel", {"number": 1}, wait=None))
    await asyncio.sleep(0)
    assert layer.receive(["channel"])[1] == {"number": -1}
    async with asyncio.timeout(10):
        await sends[0]
    assert layer.receive(["channel"])[1] == {"number": 0}
    async with asyncio.timeout(10):
        await late


async def test_a_thousand_who_wait_cost_no_more_tries_than_one(monkeypatch):
    monkeypatch.setattr(line_module, "FIRST_PAUSE", 60)
    layer, _, sends = await full(1000)
    assert layer.deliveries == 1  # of the first, who then waited for all
    for each in sends:
        each.cancel()
    await asyncio.gather(*sends, return_exceptions=True)


async def test_who_gives_up_is_not_sent():
    layer, bus, _ = await full(1)
    with pytest.raises(ChannelFull):
        await bus.send("channel", {"number": 99}, wait=0.01)
    assert layer.receive(["channel"])[1] == {"number": -1}
    async with asyncio.timeout(10):
        await until(lambda: not bus._lines)
    assert layer.receive(["channel"])[1] == {"number": 0}
    assert layer.receive(["channel"]) == (None, None)


async def test_an_outage_keeps_those_who_wait():
    layer, _, sends = await full(2)
    layer.errors = [LayerUnavailable(), LayerUnavailable()]
    received = []
    async with asyncio.timeout(10):
        while len(received) < 3:
            if content := layer.receive(["channel"])[1]:
                received.append(content["number"])
            await asyncio.sleep(0)
    await asyncio.gather(*sends)
    assert received == [-1, 0, 1]


async def test_who_waits_too_long_for_a_layer_that_is_away_hears_that():
    layer = CountingLayer()
    layer.errors = [LayerUnavailable(f"no bus {number}") for number in range(100)]
    with pytest.raises(LayerUnavailable, match="no bus"):
        await Bus(layer).send("channel", {}, wait=0.05)


async def test_a_thousand_who_wait_for_the_layer_cost_no_more_tries_than_one(monkeypatch):
    monkeypatch.setattr(line_module, "FIRST_PAUSE", 60)
    layer = CountingLayer()
    layer.errors = [LayerUnavailable()]
    bus = Bus(layer)
    sends = [asyncio.create_task(bus.send("channel", {}, wait=None)) for _ in range(1000)]
    await until(lambda: bus._lines and len(bus._lines["channel"]._waiting) == 1000)
    assert layer.deliveries <= 1000  # one each, as none knew of the others
    before = layer.deliveries
    late = asyncio.create_task(bus.send("channel", {}, wait=None))
    await until(lambda: len(bus._lines["channel"]._waiting) == 1001)
    assert layer.deliveries == before
    for each in (*sends, late):
        each.cancel()
    await asyncio.gather(*sends, late, return_exceptions=True)


async def test_a_channel_that_is_full_after_an_outage_is_said_to_be_full():
    layer = CountingLayer(capacity=1)
    layer.send("channel", {"number": -1})
    layer.errors = [LayerUnavailable("no bus")]
    with pytest.raises(ChannelFull):
        await Bus(layer).send("channel", {}, wait=0.05)


async def test_an_error_that_nobody_foresaw_is_told_to_who_waits():
    layer = CountingLayer()
    layer.errors = [RuntimeError("odd")]
    with pytest.raises(RuntimeError, match="odd"):
        await Line(layer).wait(layer.prepare("channel", {}), None)


async def test_what_may_have_gone_is_not_sent_again():
    layer = CountingLayer()
    layer.errors = [LayerUnavailable(in_doubt=True)]
    with pytest.raises(LayerUnavailable):
        await Line(layer).wait(layer.prepare("channel", {}), None)
    assert layer.deliveries == 1
