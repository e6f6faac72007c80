"""The messages of one connection, on the bus one at a time."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from channels_classic.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.traffic import split_lane
from channels_classic.server import ServerOptions
from channels_classic.server import lane as lane_module
from channels_classic.server.lane import Lane
from tests.server.ends import until

CHANNEL = "server.reply.abc!1"


class Bus:
    """Keeps what is put on it; ``errors`` are raised first, and ``room`` is waited for."""

    def __init__(self):
        self.layer = InMemoryChannelLayer(max_message_size=1000)
        self.replies = SimpleNamespace(count=self.count)
        self.sent = []
        self.at_once = []
        self.counted = []
        self.said = []
        self.errors = []
        self.room = asyncio.Event()
        self.room.set()

    async def put(self, envelope, *, wait):
        if self.errors:
            raise self.errors.pop(0)
        await self.room.wait()
        self.sent.append(envelope)

    async def put_all(self, envelopes):
        self.at_once += envelopes

    def count(self, channel, counter):
        self.counted.append((channel, counter))

    def say(self, level, thing, text):
        self.said.append((level, text))

    def numbers(self):
        return [split_lane(envelope.lane)[1] for envelope in self.sent]


@pytest.fixture
def bus():
    return Bus()


@pytest.fixture
def lane(bus):
    return Lane(bus, CHANNEL, ServerOptions(max_lane=3, max_lane_bytes=100), ordered=True)


@pytest.fixture
def quick(monkeypatch):
    """Doubts last no longer than this."""
    monkeypatch.setattr(lane_module, "DOUBT", 0.01)


async def receive(lane, *numbers, size=1):
    for number in numbers:
        await lane.receive({"order": number}, number=number, size=size)


def done(lane, *numbers, lost=False):
    for number in numbers:
        lane.on_receipt(number, lost)


# One at a time ------------------------------------------------------------------------------------


async def test_the_first_message_is_the_handshake(bus, lane):
    await lane.connect({}, wait=1)
    await receive(lane, 1)
    done(lane, 0)
    await until(lambda: len(bus.sent) == 2)
    found = [(envelope.name, envelope.lane) for envelope in bus.sent]
    assert found == [
        ("websocket.connect", f"{CHANNEL} 0"),
        ("websocket.receive", f"{CHANNEL} 1"),
    ]


async def test_an_idle_lane_sends_at_once_with_no_task(bus, lane):
    await receive(lane, 1)
    assert (bus.numbers(), lane._task) == ([1], None)


async def test_a_message_waits_for_the_receipt_of_the_one_before(bus, lane):
    await receive(lane, 1, 2, 3)
    assert bus.numbers() == [1]
    done(lane, 1)
    await until(lambda: bus.numbers() == [1, 2])
    done(lane, 2)
    await until(lambda: bus.numbers() == [1, 2, 3])


async def test_a_hundred_messages_keep_their_order(bus, lane):
    async def work():
        for number in range(1, 101):
            await until(lambda number=number: bus.numbers()[-1:] == [number])
            done(lane, number)

    await asyncio.gather(receive(lane, *range(1, 101)), work())
    assert bus.numbers() == list(range(1, 101))


async def test_a_receipt_may_be_faster_than_the_end_of_its_send(bus, lane):
    await receive(lane, 1, 2, 3)
    bus.room.clear()
    done(lane, 1)
    await until(lambda: lane._sending == 2)
    done(lane, 2)
    await asyncio.sleep(0)
    bus.room.set()
    await until(lambda: bus.numbers() == [1, 2, 3])
    await until(lambda: lane._sending == lane_module._NONE)
    assert lane._in_flight == 3


@pytest.mark.parametrize("number", [0, 2, 7])
async def test_a_receipt_of_another_message_is_ignored(bus, lane, number):
    await receive(lane, 1, 2)
    done(lane, number)
    done(lane, number, lost=True)
    await asyncio.sleep(0)
    assert (bus.numbers(), bus.said) == ([1], [])


async def test_a_second_receipt_is_ignored(bus, lane):
    await receive(lane, 1, 2, 3)
    done(lane, 1, 1, 1)
    await until(lambda: bus.numbers() == [1, 2])
    assert len(lane._waiting) == 1


async def test_a_message_that_is_too_large_is_refused_and_holds_nobody_up(bus, lane):
    with pytest.raises(MessageTooLarge):
        await lane.receive({"text": "x" * 2000}, number=1, size=2000)
    await receive(lane, 2)
    assert bus.numbers() == [2]


@pytest.mark.parametrize("error", [ChannelFull, LayerUnavailable])
async def test_a_handshake_that_cannot_be_sent_is_said_to_its_caller(bus, lane, error):
    bus.errors = [error()]
    with pytest.raises(error):
        await lane.connect({}, wait=0)


async def test_an_idle_lane_is_small(lane):
    await receive(lane, 1, 2)
    done(lane, 1, 2)
    assert (lane._waiting, lane._timer, lane._waiter) == (None, None, None)
    assert not hasattr(lane, "__dict__")


# A full lane --------------------------------------------------------------------------------------


async def test_a_full_lane_lets_nobody_in_until_there_is_room(bus, lane):
    await receive(lane, 1, 2, 3)
    reader = asyncio.create_task(receive(lane, 4, 5))
    await until(lambda: len(lane._waiting) == 3)
    assert not reader.done()
    done(lane, 1)
    await until(lambda: bus.numbers() == [1, 2])
    await until(lambda: len(lane._waiting) == 3)
    assert not reader.done()
    done(lane, 2)
    await reader


async def test_a_lane_is_full_by_its_bytes_too(bus, lane):
    await receive(lane, 1)
    reader = asyncio.create_task(receive(lane, 2, size=100))
    await until(lambda: lane._waiting)
    assert not reader.done()
    done(lane, 1)
    await reader
    assert lane._bytes == 0


async def test_what_waits_for_room_on_the_bus_is_not_passed(bus, lane):
    await receive(lane, 1, 2, 3)
    bus.room.clear()
    done(lane, 1)
    await until(lambda: lane._sending == 2)
    assert bus.numbers() == [1]
    bus.room.set()
    await until(lambda: bus.numbers() == [1, 2])


# Losses -------------------------------------------------------------------------------------------


async def test_a_lost_message_does_not_stop_the_lane(bus, lane):
    await receive(lane, 1, 2)
    done(lane, 1, lost=True)
    await until(lambda: bus.numbers() == [1, 2])
    [(level, text)] = bus.said
    assert level == logging.WARNING
    assert f"Lost message 1 of the WebSocket {CHANNEL}" in text


async def test_a_lost_message_was_counted_by_who_lost_it(bus, lane):
    await receive(lane, 1)
    done(lane, 1, lost=True)
    assert bus.counted == []


@pytest.mark.usefixtures("quick")
async def test_a_send_in_doubt_without_a_receipt_is_counted_as_lost(bus, lane):
    bus.errors = [LayerUnavailable("gone", in_doubt=True)]
    await receive(lane, 1, 2)
    await until(lambda: bus.numbers() == [2])
    assert bus.counted == [("websocket.receive", Counter.LOST)]
    assert [text.partition(":")[0] for _, text in bus.said] == [
        "A message of a WebSocket may be lost",
        f"Lost message 1 of the WebSocket {CHANNEL}",
    ]


async def test_a_send_in_doubt_that_arrived_is_not_lost(bus, lane):
    bus.errors = [LayerUnavailable("gone", in_doubt=True)]
    await receive(lane, 1, 2)
    timer = lane._timer
    done(lane, 1)
    await until(lambda: bus.numbers() == [2])
    assert timer.cancelled()
    assert (bus.counted, lane._timer) == ([], None)


@pytest.mark.usefixtures("quick")
async def test_after_a_loss_of_the_bus_the_lane_goes_on(bus, lane):
    await receive(lane, 1, 2)
    lane.doubt()
    await until(lambda: bus.numbers() == [1, 2])
    assert bus.counted == [("websocket.receive", "lost_count")]


@pytest.mark.usefixtures("quick")
async def test_a_handshake_in_doubt_is_counted_under_its_channel(bus, lane):
    await lane.connect({}, wait=1)
    lane.doubt()
    await until(lambda: bus.counted)
    assert bus.counted == [("websocket.connect", "lost_count")]


async def test_a_lane_with_nothing_on_the_bus_has_no_doubts(lane):
    lane.doubt()
    assert lane._timer is None


async def test_many_doubts_are_one(lane):
    await receive(lane, 1)
    lane.doubt()
    timer = lane._timer
    lane.doubt()
    assert lane._timer is timer
    done(lane, 1)


@pytest.mark.usefixtures("quick")
async def test_what_is_not_on_the_bus_yet_is_not_given_up(bus, lane, monkeypatch):
    doubts = []
    real = Lane.doubt
    monkeypatch.setattr(Lane, "doubt", lambda self: (doubts.append(1), real(self)))
    bus.room.clear()
    sending = asyncio.create_task(receive(lane, 1))
    await until(lambda: lane._sending == 1)
    lane.doubt()
    await until(lambda: len(doubts) > 3)
    assert bus.counted == []
    done(lane, 1)
    bus.room.set()
    await sending


async def test_a_receipt_after_the_message_was_given_up_is_ignored(bus, lane, monkeypatch):
    monkeypatch.setattr(lane_module, "DOUBT", 0)
    await receive(lane, 1, 2, 3)
    lane.doubt()
    await until(lambda: bus.numbers() == [1, 2])
    done(lane, 1)
    await asyncio.sleep(0)
    assert bus.numbers() == [1, 2]


@pytest.mark.usefixtures("quick")
async def test_an_error_that_nobody_foresaw_does_not_stop_the_lane(bus, lane, caplog):
    await receive(lane, 1, 2, 3)
    bus.errors = [RuntimeError("odd")]
    done(lane, 1)
    await until(lambda: bus.numbers() == [1, 3])
    assert "Error while sending a message of a WebSocket" in caplog.text


# The end ------------------------------------------------------------------------------------------


async def test_the_end_comes_after_all_that_waits(bus, lane):
    await receive(lane, 1, 2, 3)
    end = asyncio.create_task(lane.finish())
    for number in (1, 2, 3):
        await until(lambda number=number: bus.numbers()[-1] == number)
        assert not end.done()
        done(lane, number)
    await end
    assert bus.at_once == []


async def test_an_idle_lane_ends_at_once(lane):
    await lane.finish()
    assert lane._waiter is None


@pytest.mark.parametrize("how", ["cancel", "hurry"])
async def test_when_there_is_no_time_what_waits_is_sent_at_once(bus, lane, how):
    await receive(lane, 1, 2, 3)
    lane.doubt()
    end = asyncio.create_task(lane.finish())
    await until(lambda: lane._waiter)
    if how == "cancel":
        end.cancel()
    else:
        lane.hurry()
    await asyncio.wait([end])
    assert end.cancelled() == (how == "cancel")
    assert [envelope.lane for envelope in bus.at_once] == [f"{CHANNEL} 2", f"{CHANNEL} 3"]
    assert lane._timer is None


async def test_a_reader_that_waits_goes_on_when_there_is_no_time(bus, lane):
    await receive(lane, 1, 2, 3)
    reader = asyncio.create_task(receive(lane, 4, 5))
    await until(lambda: lane._waiter)
    lane.hurry()
    await reader
    assert [envelope.lane for envelope in bus.at_once] == [f"{CHANNEL} {n}" for n in (2, 3, 4)]
    assert bus.sent[-1].payload == bus.layer.encode({"order": 5})


async def test_a_send_that_is_broken_off_is_in_doubt(bus, lane):
    bus.room.clear()
    sending = asyncio.create_task(receive(lane, 1))
    await until(lambda: lane._sending == 1)
    sending.cancel()
    await asyncio.wait([sending])
    assert bus.counted == [("websocket.receive", Counter.IN_DOUBT)]


# Without order ------------------------------------------------------------------------------------


async def test_without_order_messages_wait_for_none(bus):
    lane = Lane(bus, CHANNEL, ServerOptions(), ordered=False)
    await lane.connect({}, wait=1)
    await receive(lane, 1, 2, 3)
    assert [envelope.lane for envelope in bus.sent] == [""] * 4
    await lane.finish()


async def test_without_order_a_send_in_doubt_is_said_and_left_behind(bus):
    lane = Lane(bus, CHANNEL, ServerOptions(), ordered=False)
    bus.errors = [LayerUnavailable("gone", in_doubt=True)]
    await receive(lane, 1, 2)
    assert len(bus.sent) == 1
    assert "may be lost: gone" in bus.said[0][1]
    assert (bus.counted, lane._timer) == ([("websocket.receive", Counter.IN_DOUBT)], None)
