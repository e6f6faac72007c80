"""What is put right about the engine: nothing of a closed connection waits for the collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from httptools import HttpRequestParser
from websockets.asyncio.client import connect
from websockets.server import ServerProtocol

from channels_classic.server.engines.uvicorn_config import UvicornConfig
from channels_classic.server.engines.uvicorn_http import HttpProtocol
from channels_classic.server.engines.uvicorn_websocket import SocketProtocol
from channels_classic.server.options import Limits
from tests.server.ends import until

HELD = (HttpProtocol, SocketProtocol, HttpRequestParser, ServerProtocol)


async def app(scope, receive, send):
    """Says hello to requests and to sockets, until these close."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "hello"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@contextlib.asynccontextmanager
async def served(application=app, **limits) -> AsyncIterator[int]:
    """The port of a server of ``application`` in this event loop, with these limits."""
    config = UvicornConfig(
        application,
        limits=Limits(**limits),
        http=HttpProtocol,
        ws=SocketProtocol,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve([listener]))
        await until(lambda: server.started)
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.fixture
def no_collector():
    """Only what nobody refers to is freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held() -> list[type]:
    """Parts of connections that are still there."""
    return [type(each) for each in gc.get_objects() if isinstance(each, HELD)]


@pytest.mark.usefixtures("no_collector")
async def test_nothing_of_a_closed_socket_is_left():
    async with served() as port:
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            assert await client.recv() == "hello"
            assert SocketProtocol in held()
            assert HttpProtocol not in held()  # what it was before it became a WebSocket
        await until(lambda: not held())


@pytest.mark.usefixtures("no_collector")
async def test_nothing_of_a_socket_that_broke_is_left():
    async with served() as port:
        client = await connect(f"ws://127.0.0.1:{port}/")
        assert await client.recv() == "hello"
        client.transport.abort()
        await until(lambda: not held())


@pytest.mark.usefixtures("no_collector")
async def test_nothing_of_a_request_is_left():
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert HttpProtocol in held()
        writer.close()
        await until(lambda: not held())
