"""Server and worker together: what consumers raise is what happens to the socket."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from channels_classic import hands
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.exceptions import DenyConnection, WebsocketCloseException
from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.routing import connect_consumer, route
from channels_classic.server import InterfaceServer
from channels_classic.worker import Worker
from tests.server.ends import Socket

REFUSED = {"type": "websocket.close", "code": 1000}


def fail(message):
    raise RuntimeError("broken consumer")


def deny(message):
    raise DenyConnection


def close(message):
    raise WebsocketCloseException(4001)


def echo(message):
    message.reply_channel.send({"text": message["text"]})


def fail_once(message):
    if message["text"] == "fail":
        fail(message)
    echo(message)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """An idle worker heeds ``stop()`` soon."""
    monkeypatch.setattr(hands, "WAIT", 0.02)


@pytest.fixture(params=["memory", "redis"])
def serve(request, settings):
    """``async with serve(connect, receive) as app``: one server, and one worker on its layer."""
    settings.ALLOWED_HOSTS = ["example.com"]
    if request.param == "memory":
        layer = InMemoryChannelLayer()
    else:
        layer = request.getfixturevalue("redis_layer")

    @asynccontextmanager
    async def running(connect, receive=echo):
        routes = [route("websocket.connect", connect), route("websocket.receive", receive)]
        worker = Worker(ChannelLayerWrapper(layer, "default", routes), signal_handlers=False)
        announced = threading.Event()
        worker.on_announced = announced.set
        thread = threading.Thread(target=worker.run)
        thread.start()
        await asyncio.to_thread(announced.wait, 10)
        app = InterfaceServer(layer, websocket_connect_timeout=60)
        try:
            yield app
        finally:
            worker.stop()
            await app.close()
            await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()

    return running


async def test_a_socket_whose_consumer_fails_is_refused_long_before_the_timeout(serve):
    """Weakness 28: it hung until then."""
    async with serve(fail) as app, asyncio.timeout(20):
        assert await Socket(app).start().done() == [REFUSED]


async def test_a_socket_that_is_denied_is_refused(serve):
    async with serve(deny) as app:
        assert await Socket(app).start().done() == [REFUSED]


@pytest.mark.parametrize(
    ("origin", "answer"),
    [(b"https://evil.org", REFUSED), (b"https://example.com", {"type": "websocket.accept"})],
)
async def test_a_socket_is_for_pages_of_this_site(serve, origin, answer):
    """Weakness 10: there was no check of the origin."""
    async with serve(connect_consumer) as app:
        socket = Socket(app, headers=[(b"host", b"example.com"), (b"origin", origin)]).start()
        event = await socket.next_event()
        assert {key: event[key] for key in answer} == answer
        socket.leave()
        await socket.done()


async def test_a_consumer_closes_its_socket_by_an_exception(serve):
    """Weakness 25: our server's reply channels do not begin with ``websocket.`` either."""
    async with serve(connect_consumer, close) as app:
        socket = Socket(app).start()
        assert (await socket.next_event())["type"] == "websocket.accept"
        socket.say("anything")
        assert await socket.next_event() == {"type": "websocket.close", "code": 4001}
        socket.leave(4001)
        await socket.done()


async def test_an_error_in_a_consumer_does_not_stop_its_socket(serve):
    """Weakness 3: with an order, the next messages waited for good."""
    async with serve(connect_consumer, fail_once) as app:
        socket = Socket(app).start()
        assert (await socket.next_event())["type"] == "websocket.accept"
        for text in ("fail", "works"):
            socket.say(text)
        assert (await socket.next_event())["text"] == "works"
        socket.leave()
        await socket.done()
