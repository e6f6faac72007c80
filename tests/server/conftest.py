"""What the tests of the server share: async tests, and servers to connect to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from channels_classic.layers.memory import InMemoryChannelLayer
from channels_classic.server import InterfaceServer
from tests.server.ends import Request, Socket, Workers

DEADLINE = 30.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine function runs on an event loop of its own, with a deadline."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), DEADLINE))
    return True


@pytest.fixture
def layer() -> InMemoryChannelLayer:
    return InMemoryChannelLayer()


@pytest.fixture
def workers(layer) -> Workers:
    """Workers that read what HTTP needs and what WebSockets need."""
    found = Workers(layer)
    found.read("http.request", "websocket.connect", "websocket.receive", "websocket.disconnect")
    return found


@pytest.fixture
def server(layer) -> Callable[..., InterfaceServer]:
    """``server(**options)``: an interface server on the layer."""
    return lambda **options: InterfaceServer(layer, **options)


@pytest.fixture
def request_to(server, workers):
    """``request_to(*parts, options={}, **scope)``: a request under way, on a server of its own."""

    def begin(*parts: bytes, options: dict[str, Any] | None = None, **scope: Any) -> Request:
        return Request(server(**(options or {})), *parts, **scope).start()

    return begin


@pytest.fixture
def socket_to(server, workers):
    """``socket_to(options={}, **scope)``: a WebSocket in its handshake, on a server of its own."""

    def begin(*, options: dict[str, Any] | None = None, **scope: Any) -> Socket:
        return Socket(server(**(options or {})), **scope).start()

    return begin
