"""The messages of one WebSocket are run in order and one at a time, whatever the workers do."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.counters import Counter
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.names import random_letters
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.server import InterfaceServer
from channels_classic.server import lane as lane_module
from channels_classic.server import replies as replies_module
from tests.server.ends import Socket, Workers, until

CHANNELS = ["websocket.connect", "websocket.receive", "websocket.disconnect"]


class Unacknowledged(InMemoryChannelLayer):
    """As others write them: nobody hears what became of a message."""

    receipts = False


@pytest.fixture(params=["memory", "redis"])
def each_layer(request, layer):
    """Each layer in turn."""
    return layer if request.param == "memory" else request.getfixturevalue("redis_layer")


def workers_on(layer):
    workers = Workers(layer)
    workers.read(*CHANNELS)
    return workers


async def opened(app, workers):
    """A socket that a consumer has accepted."""
    socket = Socket(app).start()
    await workers.reply(await workers.take("websocket.connect"), accept=True)
    assert (await socket.next_event())["type"] == "websocket.accept"
    return socket


@pytest.fixture
def open_socket(layer, workers, server):
    """``await open_socket(**options)``: a socket on a server of its own."""
    return lambda **options: opened(server(**options), workers)


def waiting(layer, channel="websocket.receive"):
    return layer.channel_statistics(channel)["messages_pending"]


def lane_of(socket):
    """The only lane of the socket's server."""
    [lane] = socket.app._bus.replies._lanes.values()
    return lane


async def held_back(socket, count):
    """Once ``count`` messages wait for their turn."""
    await until(lambda: len(lane_of(socket)._waiting or ()) == count)


# One at a time ------------------------------------------------------------------------------------


async def test_a_frame_waits_until_the_one_before_has_been_dealt_with(each_layer):
    app = InterfaceServer(each_layer)
    workers = await asyncio.to_thread(workers_on, each_layer)
    socket = await opened(app, workers)
    for text in "abc":
        socket.say(text)
    for text, behind in (("a", 2), ("b", 1), ("c", 0)):
        delivery = await workers.hold("websocket.receive")
        assert delivery.content["text"] == text
        await held_back(socket, behind)
        assert workers.is_idle("websocket.receive")
        workers.done(delivery)
    socket.leave()
    await socket.done()
    await app.close()


async def test_frames_wait_for_the_consumer_of_the_handshake(layer, server, workers):
    socket = Socket(server()).start()
    delivery = await workers.hold("websocket.connect")
    await workers.reply(delivery.content, accept=True)
    await socket.next_event()
    socket.say("early")
    await held_back(socket, 1)
    assert waiting(layer) == 0
    workers.done(delivery)
    assert (await workers.take("websocket.receive"))["text"] == "early"


async def test_sockets_do_not_wait_for_each_other(layer, server, workers):
    app = server()
    sockets = [await opened(app, workers) for _ in range(3)]
    for number, socket in enumerate(sockets):
        socket.say(str(number))
    found = [await workers.hold("websocket.receive") for _ in sockets]
    assert {delivery.content["text"] for delivery in found} == {"0", "1", "2"}


async def test_the_disconnect_comes_after_the_frames_that_wait(open_socket, workers, layer):
    socket = await open_socket()
    for text in "abc":
        socket.say(text)
    socket.leave(4000)
    for text in "abc":
        delivery = await workers.hold("websocket.receive")
        assert delivery.content["text"] == text
        assert waiting(layer, "websocket.disconnect") == 0
        assert not socket.task.done()
        workers.done(delivery)
    assert (await workers.take("websocket.disconnect"))["order"] == 4
    await socket.done()
    assert socket.app._bus.replies._lanes == {}


async def test_a_socket_that_is_closed_gets_nothing_while_its_frames_wait(
    open_socket, workers, layer
):
    socket = await open_socket()
    socket.say("a")
    delivery = await workers.hold("websocket.receive")
    layer.group_add("chat", delivery.content["reply_channel"])
    socket.leave()
    await until(lambda: not socket.app._bus.replies._connections)
    assert layer.group_channels("chat") == []
    await workers.reply(delivery.content, text="too late")
    workers.done(delivery)
    assert await socket.done() == []


# A full lane --------------------------------------------------------------------------------------


async def test_a_full_lane_stops_reading_the_socket(open_socket, workers):
    socket = await open_socket(max_lane=2)
    for number in range(9):
        socket.say(str(number))
    delivery = await workers.hold("websocket.receive")
    await held_back(socket, 2)
    assert socket.received == 4  # the connect, the frame on the bus, the two in the lane
    workers.done(delivery)
    for number in range(1, 9):
        assert (await workers.take("websocket.receive"))["text"] == str(number)


async def test_a_lane_that_is_full_of_bytes_stops_reading_the_socket(open_socket, workers):
    socket = await open_socket(max_lane_bytes=1000)
    for _ in range(9):
        socket.say("x" * 600)
    await workers.hold("websocket.receive")
    await held_back(socket, 2)
    assert socket.received == 4


async def test_a_full_lane_neither_closes_nor_loses(open_socket, workers, layer):
    socket = await open_socket(max_lane=1)
    for number in range(50):
        socket.say(str(number))
    found = [(await workers.take("websocket.receive"))["text"] for _ in range(50)]
    assert found == [str(number) for number in range(50)]
    assert socket.sent.empty()
    assert layer.channel_statistics("websocket.receive")[Counter.DROPPED] == 0


# Losses -------------------------------------------------------------------------------------------


async def test_the_lane_goes_on_when_a_worker_died_with_a_message(
    open_socket, workers, layer, caplog
):
    socket = await open_socket()
    socket.say("a")
    socket.say("b")
    delivery = await workers.hold("websocket.receive")
    layer.lose([delivery], Counter.LOST)
    assert (await workers.take("websocket.receive"))["text"] == "b"
    assert "Lost message 1 of the WebSocket" in caplog.text


async def test_a_second_receipt_of_a_message_changes_nothing(open_socket, workers, layer):
    socket = await open_socket()
    for text in "abc":
        socket.say(text)
    first = await workers.hold("websocket.receive")
    workers.done(first)
    await workers.hold("websocket.receive")
    workers.done(first)
    workers.done(first)
    await workers.reply(first.content, text="after the receipts")
    await socket.next_event()
    assert waiting(layer) == 0
    await held_back(socket, 1)


async def test_the_lane_goes_on_after_the_bus_has_lost_what_it_held(
    open_socket, workers, monkeypatch
):
    monkeypatch.setattr(lane_module, "DOUBT", 0.01)
    monkeypatch.setattr(replies_module, "BEAT", 0.001)
    socket = await open_socket()
    socket.say("a")
    socket.say("b")
    await workers.hold("websocket.receive")
    await held_back(socket, 1)
    losses = [True]

    async def beat(*, ttl):
        return bool(losses and losses.pop())

    monkeypatch.setattr(socket.app._bus.replies._inbox, "beat", beat)
    assert (await workers.take("websocket.receive"))["text"] == "b"


async def test_a_send_in_doubt_holds_the_lane_up_for_a_while_only(
    open_socket, workers, layer, monkeypatch, caplog
):
    monkeypatch.setattr(lane_module, "DOUBT", 0.01)
    socket = await open_socket()
    real = layer.deliver_async

    async def lost(envelopes):
        monkeypatch.setattr(layer, "deliver_async", real)
        raise LayerUnavailable("cut off", in_doubt=True)

    monkeypatch.setattr(layer, "deliver_async", lost)
    socket.say("a")
    socket.say("b")
    assert (await workers.take("websocket.receive"))["text"] == "b"
    assert layer.channel_statistics("websocket.receive")[Counter.LOST] == 1
    assert "A message of a WebSocket may be lost: cut off" in caplog.text


async def test_what_expired_while_nobody_was_there_to_say_so_holds_nobody_up(
    redis_server, monkeypatch
):
    """Redis has let go of the channel with all that was on it."""
    monkeypatch.setattr(lane_module, "DOUBT", 0.01)
    monkeypatch.setattr(replies_module, "BEAT", 0.01)
    monkeypatch.setattr(replies_module, "LATE", 0.01)
    layer = RedisChannelLayer(
        hosts=[redis_server.url],
        prefix=f"{random_letters(8)}:",
        channel_expiry={"websocket.receive": 0.01},
    )
    workers = workers_on(layer)
    socket = await opened(InterfaceServer(layer), workers)
    layer.withdraw("worker", CHANNELS)
    socket.say("a")
    await until(lambda: waiting(layer))
    layer.shards[0].call(("UNLINK", layer.shards[0].keys.channel("websocket.receive")))
    socket.say("b")
    await until(lambda: layer.channel_statistics("websocket.receive")[Counter.SENT] == 2)
    assert layer.channel_statistics("websocket.receive")[Counter.LOST] == 1
    socket.leave()
    await socket.app.close()
    layer.close()


# The server stops ---------------------------------------------------------------------------------


async def test_a_socket_that_is_cut_off_sends_at_once_what_waits(open_socket, workers):
    socket = await open_socket()
    for text in "abc":
        socket.say(text)
    await workers.hold("websocket.receive")
    await held_back(socket, 2)
    socket.task.cancel()
    await asyncio.wait([socket.task])
    assert socket.task.cancelled()
    texts = [(await workers.take("websocket.receive"))["text"] for _ in "bc"]
    assert texts == ["b", "c"]
    end = await workers.take("websocket.disconnect")
    assert (end["code"], end["order"]) == (1006, 4)


async def test_a_closed_socket_that_is_cut_off_sends_at_once_what_waits(open_socket, workers):
    socket = await open_socket()
    socket.say("a")
    socket.say("b")
    await workers.hold("websocket.receive")
    socket.leave(1001)
    await until(lambda: not socket.app._bus.replies._connections)
    socket.task.cancel()
    await asyncio.wait([socket.task])
    assert (await workers.take("websocket.receive"))["text"] == "b"
    assert (await workers.take("websocket.disconnect"))["code"] == 1001


async def test_the_end_of_the_server_sends_what_closed_sockets_have_left(open_socket, workers):
    socket = await open_socket()
    socket.say("a")
    socket.say("b")
    await workers.hold("websocket.receive")
    socket.leave(1012)
    await until(lambda: not socket.app._bus.replies._connections)
    await socket.app.close()
    assert socket.task.done()
    assert (await workers.take("websocket.receive"))["text"] == "b"
    assert (await workers.take("websocket.disconnect"))["code"] == 1012


async def test_what_finds_no_room_at_the_end_is_counted(open_socket, workers, monkeypatch, caplog):
    layer = workers.layer
    monkeypatch.setattr(layer, "capacity", 1)
    socket = await open_socket()
    for text in "abc":
        socket.say(text)
    await workers.hold("websocket.receive")
    await held_back(socket, 2)

    async def refuse(envelopes):
        return list(envelopes)

    real = layer.deliver_async
    monkeypatch.setattr(layer, "deliver_async", refuse)
    monkeypatch.setattr("channels_classic.server.websocket._LAST_WAIT", 0.01)
    socket.task.cancel()
    await asyncio.wait([socket.task])
    monkeypatch.setattr(layer, "deliver_async", real)
    assert layer.channel_statistics("websocket.receive")[Counter.DROPPED] == 2
    assert layer.channel_statistics("websocket.disconnect")[Counter.DROPPED] == 1
    assert "Could not send to websocket.receive" in caplog.text


# Without order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["option", "layer"])
async def test_without_order_the_messages_of_a_socket_go_in_parallel(how):
    layer = Unacknowledged() if how == "layer" else InMemoryChannelLayer()
    app = InterfaceServer(layer, ordering=how == "layer")
    workers = workers_on(layer)
    socket = await opened(app, workers)
    for text in "abc":
        socket.say(text)
    found = [await workers.hold("websocket.receive") for _ in "abc"]
    assert [delivery.content["text"] for delivery in found] == ["a", "b", "c"]
    assert [delivery.lane for delivery in found] == ["", "", ""]
    socket.leave()
    await socket.done()
    assert (await workers.take("websocket.disconnect"))["order"] == 4
