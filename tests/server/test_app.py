"""InterfaceServer as an ASGI application: what it serves, how it starts and stops."""

from __future__ import annotations

import asyncio

import pytest

from channels_classic.server import InterfaceServer
from tests.server.ends import Client, Request, Socket, Workers, until

CHANNELS = ["http.request", "websocket.connect", "websocket.receive", "websocket.disconnect"]


@pytest.fixture(params=["memory", "redis"])
def each_layer(request, layer):
    """Each layer in turn."""
    return layer if request.param == "memory" else request.getfixturevalue("redis_layer")


@pytest.fixture
def application(each_layer):
    """``async with application as (app, workers)``: one server, and workers on its layer."""

    class Running:
        async def __aenter__(self):
            self.app = InterfaceServer(each_layer)
            workers = Workers(each_layer)
            await asyncio.to_thread(workers.read, *CHANNELS)
            return self.app, workers

        async def __aexit__(self, *error):
            await self.app.close()

    return Running()


# The main paths, on each layer --------------------------------------------------------------------


async def test_a_request_and_its_answer(application):
    async with application as (app, workers):
        client = Request(app, b"name=value", path="/form").start()
        message = await workers.take("http.request")
        assert (message["path"], message["body"]) == ("/form", b"name=value")
        await workers.reply(message, status=200, headers=[(b"x-a", b"1")], content=b"thanks")
        headers = {b"x-a": b"1", b"content-length": b"6"}
        assert await client.answer() == (200, headers, b"thanks")


async def test_a_long_body_and_a_long_answer(application):
    body = bytes(range(256)) * 2048
    async with application as (app, workers):
        client = Request(app, body).start()
        message = await workers.take("http.request")
        parts = [message["body"]]
        more = True
        while more:
            part = await workers.take(message["body_channel"])
            parts.append(part["content"])
            more = part["more_content"]
        await workers.reply(message, status=200, more_content=True)
        for part in parts:
            await workers.reply(message, content=part, more_content=True)
        await workers.reply(message, content=b"")
        assert (await client.answer())[2] == body


async def test_a_socket_from_handshake_to_close(application):
    async with application as (app, workers):
        socket = Socket(app).start()
        message = await workers.take("websocket.connect")
        await workers.reply(message, accept=True)
        assert (await socket.next_event())["type"] == "websocket.accept"
        socket.say("ping")
        assert (await workers.take("websocket.receive"))["text"] == "ping"
        await workers.reply(message, text="pong")
        assert await socket.next_event() == {"type": "websocket.send", "text": "pong"}
        socket.leave(4000)
        assert (await workers.take("websocket.disconnect"))["code"] == 4000
        assert await socket.done() == []


async def test_a_group_of_sockets(application, each_layer):
    async with application as (app, workers):
        sockets = [Socket(app).start() for _ in range(5)]
        for _ in sockets:
            message = await workers.take("websocket.connect")
            await asyncio.to_thread(each_layer.group_add, "chat", message["reply_channel"])
            await workers.reply(message, accept=True)
        await asyncio.to_thread(each_layer.send_group, "chat", {"text": "all"})
        for socket in sockets:
            assert (await socket.next_event())["type"] == "websocket.accept"
            assert await socket.next_event() == {"type": "websocket.send", "text": "all"}


async def test_without_workers_both_protocols_are_refused_at_once(each_layer):
    app = InterfaceServer(each_layer)
    status, _, _ = await Request(app).start().answer()
    [event] = await Socket(app).start().done()
    assert (status, event) == (503, {"type": "websocket.close", "code": 1013})
    await app.close()


# Starting and stopping ----------------------------------------------------------------------------


async def test_the_lifespan_starts_and_stops_the_server(server):
    app = server()
    host = Client(app, {"type": "lifespan"}).start()
    host.incoming.put_nowait({"type": "lifespan.startup"})
    assert await host.next_event() == {"type": "lifespan.startup.complete"}
    host.incoming.put_nowait({"type": "lifespan.shutdown"})
    assert await host.done() == [{"type": "lifespan.shutdown.complete"}]


async def test_a_host_without_the_lifespan_protocol_is_served(server, workers):
    client = Request(server()).start()
    await workers.reply(await workers.take("http.request"), status=200)
    assert (await client.answer())[0] == 200


async def test_a_closed_server_leaves_nothing_on_the_bus(server, workers, layer):
    app = server()
    socket = Socket(app).start()
    message = await workers.take("websocket.connect")
    layer.group_add("chat", message["reply_channel"])
    await app.close()
    assert layer.group_channels("chat") == []
    socket.task.cancel()


async def test_a_server_that_served_nobody_can_be_closed(server):
    app = server()
    await app.close()
    await app.close()
    assert app._bus is None


async def test_an_unknown_protocol_is_an_error(server):
    with pytest.raises(ValueError, match="speaks http and websocket, not 'gopher'"):
        await server()({"type": "gopher"}, None, None)


# Options ------------------------------------------------------------------------------------------


def test_bad_options_are_refused(layer):
    with pytest.raises(ValueError, match="http_timeout must be above 0"):
        InterfaceServer(layer, http_timeout=0)


def test_unknown_options_are_refused(layer):
    with pytest.raises(TypeError, match="htp_timeout"):
        InterfaceServer(layer, htp_timeout=5)


def test_some_options_can_be_changed_later(layer):
    app = InterfaceServer(layer, http_timeout=5, root_path="/app")
    app.use(http_timeout=7)
    assert (app.options.http_timeout, app.options.root_path) == (7, "/app")


def test_changed_options_are_checked_too(layer):
    with pytest.raises(ValueError, match="http_timeout must be above 0"):
        InterfaceServer(layer).use(http_timeout=0)


async def test_a_client_that_leaves_takes_no_answer_from_the_next_one(server, workers):
    """A cancelled wait must never leave an answer for whoever comes next."""
    app = server()
    for number in range(50):
        gone = Request(app, path="/gone").start()
        message = await workers.take("http.request")
        gone.task.cancel()
        await workers.reply(message, status=200, content=b"for the one who left")
        client = Request(app, path=f"/{number}").start()
        message = await workers.take("http.request")
        await workers.reply(message, status=200, content=b"%d" % number)
        assert (await client.answer())[2] == b"%d" % number
    await until(lambda: not app._bus.replies._connections)
