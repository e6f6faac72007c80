"""One reader per process, to each connection's own queue."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import replies as replies_module
from channels_classic.server.replies import ReplyListener
from tests.server.ends import until


class Connection:
    """Keeps what it is given."""

    def __init__(self):
        self.delivered = []

    def deliver(self, content, *, direct):
        self.delivered.append((content, direct))


class Broken(Connection):
    def deliver(self, content, *, direct):
        raise RuntimeError("a mistake of ours")


@pytest.fixture
def listener(layer):
    return ReplyListener(layer)


async def heard(connection, count=1):
    await until(lambda: len(connection.delivered) >= count)
    return connection.delivered


async def test_a_reply_channel_belongs_to_this_process(listener):
    assert listener.open(Connection()).startswith(listener.process)
    assert listener.process.endswith("!")


async def test_no_two_processes_have_the_same_name(layer):
    assert ReplyListener(layer).process != ReplyListener(layer).process


async def test_no_two_connections_have_the_same_reply_channel(listener):
    assert len({listener.open(Connection()) for _ in range(100)}) == 100


async def test_a_reply_channel_is_not_used_again(listener):
    first = listener.open(Connection())
    listener.close(first)
    assert listener.open(Connection()) != first


async def test_a_reply_reaches_its_connection_alone(layer, listener):
    one, other = Connection(), Connection()
    listener.open(other)
    layer.send(listener.open(one), {"text": "hi"})
    assert await heard(one) == [({"text": "hi"}, True)]
    assert other.delivered == []


async def test_replies_keep_their_order(layer, listener):
    connection = Connection()
    channel = listener.open(connection)
    for number in range(50):
        layer.send(channel, {"number": number})
    found = await heard(connection, 50)
    assert [content["number"] for content, _ in found] == list(range(50))


async def test_a_group_reaches_every_member(layer, listener):
    connections = [Connection() for _ in range(3)]
    for connection in connections:
        layer.group_add("chat", listener.open(connection))
    layer.send_group("chat", {"text": "all"})
    assert [await heard(each) for each in connections] == [[({"text": "all"}, False)]] * 3


async def test_a_reply_to_nobody_is_dropped(layer, listener):
    connection = Connection()
    channel = listener.open(connection)
    layer.send(listener.process + "nobody", {"text": "lost"})
    layer.send(channel, {"text": "found"})
    assert await heard(connection) == [({"text": "found"}, True)]


async def test_a_closed_connection_leaves_its_groups(layer, listener):
    channel = listener.open(Connection())
    layer.group_add("chat", channel)
    listener.close(channel)
    assert layer.group_channels("chat") == []


async def test_who_joins_a_group_after_the_end_leaves_it_with_the_next_message(layer, listener):
    """A consumer may be late: its client has gone while it ran."""
    connection = Connection()
    gone, there = listener.open(Connection()), listener.open(connection)
    listener.close(gone)
    for channel in (gone, there):
        with contextlib.suppress(Exception):  # a layer may know already, and refuse
            layer.group_add("chat", channel)
    layer.send_group("chat", {"text": "hi"})
    await heard(connection)
    assert layer.group_channels("chat") == [there]


async def test_a_reply_that_has_reached_the_client_makes_room(listener):
    layer = InMemoryChannelLayer(capacity=1)
    listener = ReplyListener(layer)
    connection = Connection()
    channel = listener.open(connection)
    layer.send(channel, {"number": 1})
    await heard(connection)
    with pytest.raises(layer.ChannelFull):
        layer.send(channel, {"number": 2})
    listener.drained(channel)
    layer.send(channel, {"number": 3})
    assert (await heard(connection, 2))[-1] == ({"number": 3}, True)


# Trouble ------------------------------------------------------------------------------------------


class FlakyInbox:
    """Raises its errors one after the other before it reads."""

    def __init__(self, inbox, errors):
        self._inbox, self._errors = inbox, errors

    async def read(self):
        if self._errors:
            raise self._errors.pop(0)
        return await self._inbox.read()

    def __getattr__(self, name):
        return getattr(self._inbox, name)


def flaky(layer, monkeypatch, *errors):
    """A listener whose first reads fail, and which does not wait long after that."""
    monkeypatch.setattr("channels_classic.backoff.FIRST_PAUSE", 0.001)
    monkeypatch.setattr(replies_module, "_PAUSE", 0.001)
    listener = ReplyListener(layer)
    listener._inbox = FlakyInbox(listener._inbox, list(errors))
    return listener


async def test_replies_go_on_when_the_layer_is_back(layer, monkeypatch, caplog):
    listener = flaky(layer, monkeypatch, LayerUnavailable("no bus"), LayerUnavailable("no bus"))
    connection = Connection()
    layer.send(listener.open(connection), {"text": "hi"})
    assert await heard(connection) == [({"text": "hi"}, True)]
    assert caplog.text.count("No answers reach this server: no bus") == 1


async def test_replies_go_on_after_a_mistake_of_a_layers(layer, monkeypatch, caplog):
    listener = flaky(layer, monkeypatch, RuntimeError("odd"))
    connection = Connection()
    layer.send(listener.open(connection), {"text": "hi"})
    assert await heard(connection) == [({"text": "hi"}, True)]
    assert "Error while reading answers" in caplog.text


async def test_a_connection_that_fails_takes_nothing_from_the_others(layer, listener, caplog):
    connection = Connection()
    layer.group_add("chat", listener.open(Broken()))
    layer.group_add("chat", listener.open(connection))
    layer.send_group("chat", {"text": "hi"})
    assert await heard(connection) == [({"text": "hi"}, False)]
    assert "a mistake of ours" in caplog.text


# Lanes and the beat -------------------------------------------------------------------------------


class Lane:
    """Keeps what it hears."""

    def __init__(self):
        self.heard = []

    def on_receipt(self, number, lost):
        self.heard.append((number, lost))

    def doubt(self):
        self.heard.append("doubt")

    def hurry(self):
        self.heard.append("hurry")


def with_lane(listener):
    """A connection that is open, its reply channel, and its lane."""
    connection, lane = Connection(), Lane()
    channel = listener.open(connection)
    listener.add_lane(channel, lane)
    return connection, channel, lane


def message_of(layer, channel, number):
    """A message of a lane, in a worker's hands."""
    layer.deliver([layer.prepare("channel", {}, lane=f"{channel} {number}")])
    receiver = layer.receiver(["channel"])
    return receiver, receiver.exchange(done=[], sends=[], limit=1, timeout=1).deliveries


async def test_receipts_reach_the_lane_of_their_connection(layer, listener):
    other = with_lane(listener)[2]
    _, channel, lane = with_lane(listener)
    for number in (1, 2):
        receiver, done = message_of(layer, channel, number)
        receiver.settle(done, [])
    layer.lose(message_of(layer, channel, 3)[1], Counter.LOST)
    await until(lambda: len(lane.heard) == 3)
    assert (lane.heard, other.heard) == ([(1, False), (2, False), (3, True)], [])


async def test_a_lane_hears_of_receipts_after_the_close_of_its_connection(layer, listener):
    _, channel, lane = with_lane(listener)
    listener.close(channel)
    receiver, done = message_of(layer, channel, 5)
    receiver.settle(done, [])
    await until(lambda: lane.heard == [(5, False)])


async def test_receipts_for_nobody_are_dropped(layer, listener, caplog):
    connection, channel, lane = with_lane(listener)
    listener.remove_lane(channel)
    listener.remove_lane(channel)
    receiver, done = message_of(layer, channel, 5)
    receiver.settle(done, [layer.prepare(channel, {"text": "hi"})])
    await heard(connection)
    assert (lane.heard, caplog.text) == ([], "")


async def test_all_lanes_can_be_hurried(listener):
    lanes = [with_lane(listener)[2] for _ in range(3)]
    listener.hurry()
    assert [lane.heard for lane in lanes] == [["hurry"]] * 3


def beaten(listener, monkeypatch, *outcomes):
    """The times to live of the listener's beats, which end as told, then well."""
    monkeypatch.setattr(replies_module, "BEAT", 0.001)
    beats, left = [], list(outcomes)

    async def beat(*, ttl):
        beats.append(ttl)
        outcome = left.pop(0) if left else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(listener._inbox, "beat", beat)
    return beats


async def test_the_process_says_that_it_lives_as_long_as_it_reads(listener, monkeypatch):
    beats = beaten(listener, monkeypatch)
    assert beats == []
    listener.start()
    await until(lambda: len(beats) > 3)
    await listener.stop()
    assert (set(beats), listener._beating.done()) == ({10}, True)


async def test_a_process_is_believed_to_live_for_several_beats():
    assert replies_module.TTL >= 5 * replies_module.BEAT


async def test_after_a_loss_of_the_bus_all_lanes_are_in_doubt(listener, monkeypatch):
    beats = beaten(listener, monkeypatch, False, True)
    lanes = [with_lane(listener)[2] for _ in range(3)]
    await until(lambda: len(beats) > 3)
    assert [lane.heard for lane in lanes] == [["doubt"]] * 3


async def test_a_beat_that_does_not_reach_the_layer_is_left_to_the_reader_to_say(
    listener, monkeypatch, caplog
):
    beats = beaten(listener, monkeypatch, LayerUnavailable("no bus"))
    listener.start()
    await until(lambda: len(beats) > 2)
    assert caplog.text == ""


async def test_beats_go_on_after_a_mistake_of_a_layers(listener, monkeypatch, caplog):
    beats = beaten(listener, monkeypatch, RuntimeError("odd"))
    listener.start()
    await until(lambda: len(beats) > 2)
    assert "Error while saying that this server lives" in caplog.text


# Starting and stopping ----------------------------------------------------------------------------


async def test_starting_twice_starts_one_reader(listener):
    listener.start()
    task = listener._task
    listener.start()
    assert listener._task is task
    await listener.stop()


async def test_a_stopped_listener_reads_no_more(layer, listener):
    connection = Connection()
    channel = listener.open(connection)
    await listener.stop()
    assert listener._task.done()
    assert connection.delivered == []
    assert channel.startswith(listener.process)


async def test_a_layer_that_overlooks_the_end_hears_of_it_again(listener, monkeypatch):
    """Before Python 3.12, ``asyncio.wait_for`` may swallow a cancellation."""
    overlooked = []

    async def read():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if overlooked:
                raise
            overlooked.append(True)
        return []

    monkeypatch.setattr(listener._inbox, "read", read)
    listener.start()
    await asyncio.sleep(0)
    await listener.stop()
    assert (overlooked, listener._task.done()) == ([True], True)


async def test_a_stopped_listener_leaves_nothing_on_the_bus(layer, listener):
    layer.group_add("chat", listener.open(Connection()))
    await listener.stop()
    assert layer.group_channels("chat") == []
    assert layer.channel_statistics(listener.process)["messages_pending"] == 0


async def test_a_listener_that_never_started_can_be_stopped(listener):
    await listener.stop()
    assert listener._task is None


async def test_a_layer_that_is_away_does_not_hinder_the_end(listener, monkeypatch, caplog):
    async def away():
        raise LayerUnavailable("no bus")

    monkeypatch.setattr(listener._inbox, "close", away)
    listener.start()
    await asyncio.sleep(0)
    await listener.stop()
    assert "Could not leave the channel layer: no bus" in caplog.text
