"""A socket and its session: the last consumer has it, and nothing of it stays."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.bus_sessions import ATTACHED
from channels_classic.dispatch import dispatch
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.layers.on_redis import attachments, plan
from channels_classic.layers.redis import RedisChannelLayer
from channels_classic.message import Message
from channels_classic.routing import route
from channels_classic.server import InterfaceServer
from channels_classic.server import replies as replies_module
from channels_classic.sessions import channel_session
from tests.server.ends import Socket, Workers, until


@channel_session
def connect(message):
    message.channel_session["room"] = "lobby"
    message.reply_channel.send({"accept": True})


def forgetful(message):
    """Knows nothing of sessions."""


class Site:
    """A server, a socket on it, and consumers that run when the test says so."""

    def __init__(self, layer, disconnect) -> None:
        self.layer = layer
        routes = [route("websocket.connect", connect), route("websocket.disconnect", disconnect)]
        self.wrapper = ChannelLayerWrapper(layer, "default", routes)
        self.workers = Workers(layer)
        self.workers.read("websocket.connect", "websocket.disconnect")
        self.server = InterfaceServer(layer)
        self.socket = Socket(self.server).start()
        self.reply_channel = ""

    async def consume(self, channel):
        """Run the consumer of the next message on ``channel``."""
        delivery = await self.workers.hold(channel)
        self.reply_channel = delivery.content["reply_channel"]
        message = Message(delivery.content, channel, self.wrapper)
        result = await asyncio.to_thread(dispatch, message, self.wrapper.router)
        assert result.error is None
        await result.outbox.flush_async()
        self.workers.done(delivery)

    async def come_and_go(self):
        """The socket is opened and closed, and its consumers have run."""
        await self.consume("websocket.connect")
        assert (await self.socket.next_event())["type"] == "websocket.accept"
        assert self.has_session()
        self.socket.leave()
        await self.socket.done()
        assert self.has_session()
        await self.consume("websocket.disconnect")

    def has_session(self):
        return self.layer.attached([self.reply_channel], ATTACHED) != [None]

    async def close(self):
        await self.server.close()
        await self.layer.close_async()


@pytest.fixture(params=["memory", "redis"])
def layer(request) -> InMemoryChannelLayer | RedisChannelLayer:
    if request.param == "memory":
        return InMemoryChannelLayer()
    found: RedisChannelLayer = request.getfixturevalue("redis_layer")
    return found


async def test_the_last_consumer_of_a_socket_has_its_session_and_removes_it(layer):
    found = []

    @channel_session
    def disconnect(message):
        found.append(message.channel_session["room"])

    site = Site(layer, disconnect)
    await site.come_and_go()
    assert found == ["lobby"]
    assert not site.has_session()
    await site.close()


async def test_weakness_7_the_server_removes_a_session_that_no_consumer_removed(
    redis_layer, monkeypatch
):
    monkeypatch.setattr(attachments, "SWEEP", 0)
    monkeypatch.setattr(plan, "GRACE", 0)
    monkeypatch.setattr(replies_module, "BEAT", 0.01)
    redis_layer.expiry = redis_layer._expiries.default = 1  # it is kept for as long as a message
    site = Site(redis_layer, forgetful)
    await site.come_and_go()
    await until(lambda: not site.has_session())
    await site.close()


async def test_weakness_7_so_does_a_server_with_the_bus_in_its_memory():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    clock = Clock()
    site = Site(InMemoryChannelLayer(clock=clock), forgetful)
    await site.come_and_go()
    clock.now += 180
    assert not site.has_session()
    await site.close()
