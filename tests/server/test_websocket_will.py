"""What others tell the consumers of a WebSocket when its server has died."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.ends import Inbox
from channels_classic.layers.memory import InMemoryChannelLayer
from tests.server.ends import until


class Wills:
    """Keeps the wills that are left with an inbox, by connection."""

    def __init__(self, layer, monkeypatch):
        self.kept = {}
        self.withdrawn = []
        inbox = type(layer.inbox("server.reply.x!"))
        monkeypatch.setattr(inbox, "leave_will", lambda _, local, will: self.leave(local, will))
        monkeypatch.setattr(inbox, "withdraw_will", lambda _, local: self.withdraw(local))

    def leave(self, local, will):
        assert local not in self.kept
        self.kept[local] = will

    def withdraw(self, local):
        self.withdrawn.append(local)
        del self.kept[local]


@pytest.fixture
def wills(layer, monkeypatch):
    return Wills(layer, monkeypatch)


@pytest.fixture
def open_socket(socket_to, workers):
    """``await open_socket()``: a socket and its reply channel."""

    async def opened(**options):
        socket = socket_to(options=options)
        message = await workers.take("websocket.connect")
        await workers.reply(message, accept=True)
        assert (await socket.next_event())["type"] == "websocket.accept"
        return socket, message["reply_channel"]

    return opened


async def test_an_open_socket_has_left_a_disconnect(open_socket, wills, layer):
    _, reply_channel = await open_socket()
    await until(lambda: wills.kept)
    [(local, will)] = wills.kept.items()
    assert reply_channel.endswith(f"!{local}")
    layer.deliver([will])
    content = layer.receive(["websocket.disconnect"])[1]
    assert content.pop("request_id")
    assert content == {
        "reply_channel": reply_channel,
        "code": 1006,
        "path": "/chat",
        "order": 2**31 - 1,
    }


async def test_a_socket_that_was_not_accepted_leaves_none(socket_to, workers, wills):
    socket = socket_to()
    await workers.reply(await workers.take("websocket.connect"), accept=False)
    await socket.done()
    assert (wills.kept, wills.withdrawn) == ({}, [])


async def test_a_will_is_withdrawn_once_the_disconnect_has_been_sent(
    open_socket, workers, wills, layer, monkeypatch
):
    sent_before = []
    monkeypatch.setattr(
        wills,
        "withdraw",
        lambda local: sent_before.append(
            layer.channel_statistics("websocket.disconnect")["messages_pending"]
        ),
    )
    socket, _ = await open_socket()
    socket.say("a")
    delivery = await workers.hold("websocket.receive")
    socket.leave()
    await until(lambda: not socket.app._bus.replies._connections)
    assert sent_before == []  # the frame comes first
    workers.done(delivery)
    await socket.done()
    assert sent_before == [1]


async def test_a_server_that_is_stopped_withdraws_its_wills(open_socket, wills):
    socket, _ = await open_socket()
    await until(lambda: wills.kept)
    socket.task.cancel()
    await asyncio.wait([socket.task])
    assert (wills.kept, len(wills.withdrawn)) == ({}, 1)


async def test_a_disconnect_that_waits_for_the_layer_keeps_its_will(
    open_socket, workers, wills, layer, monkeypatch
):
    socket, _ = await open_socket()
    tries = []
    real = layer.deliver_async

    async def away(envelopes):
        tries.append(envelopes)
        raise LayerUnavailable("no bus")

    monkeypatch.setattr("channels_classic.server.websocket._LAST_WAIT", 0.01)
    monkeypatch.setattr(layer, "deliver_async", away)
    socket.leave()
    await until(lambda: len(tries) > 10)
    assert len(wills.kept) == 1
    monkeypatch.setattr(layer, "deliver_async", real)
    await socket.done()
    assert wills.kept == {}
    assert (await workers.take("websocket.disconnect"))["code"] == 1000


async def test_a_socket_whose_will_others_have_sent_is_closed_and_nobody_told_again(
    open_socket, wills, layer, monkeypatch
):
    socket, reply_channel = await open_socket()
    await until(lambda: wills.kept)
    [local] = wills.kept
    ended = [[local, "another"]]
    replies = socket.app._bus.replies
    monkeypatch.setattr(replies._inbox, "take_ended", lambda: ended.pop() if ended else [])
    assert await socket.next_event() == {"type": "websocket.close", "code": 1012}
    socket.leave(1012)
    await socket.done()
    assert layer.receive(["websocket.disconnect"]) == (None, None)
    assert wills.withdrawn == [local]
    assert not replies.has_ended(reply_channel)


async def test_a_layer_without_wills_is_served_all_the_same(workers, open_socket, monkeypatch):
    inbox = type(InMemoryChannelLayer().inbox("server.reply.x!"))
    for name in ("leave_will", "withdraw_will"):
        assert getattr(inbox, name) is getattr(Inbox, name)
    socket, _ = await open_socket()
    socket.leave()
    await socket.done()
    assert workers.waiting("websocket.disconnect") == 1
