"""The second engine: hypercorn 0.18 in our own loop, for HTTP/2 and WebSockets over it."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from uvicorn.loops.auto import auto_loop_factory

from channels_classic.server.engines.census import Census
from channels_classic.server.engines.drain import accept_the_rest, cut, spread
from channels_classic.server.engines.hypercorn_body import BodyRate
from channels_classic.server.engines.hypercorn_connection import Connection, Streams
from channels_classic.server.engines.hypercorn_context import Context, EngineConfig
from channels_classic.server.engines.hypercorn_websocket import SocketStream
from channels_classic.server.options import Limits, Listen
from channels_classic.server.sockets import BACKLOG, tls_context

if TYPE_CHECKING:
    from channels_classic.server.app import InterfaceServer

logger = logging.getLogger("channels_classic.server")

#: Suites that HTTP/2 allows with TLS 1.2; those of TLS 1.3 are all allowed.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class HypercornEngine:
    """Serves on sockets that are open already. ``CannotListen`` for an unusable certificate."""

    def __init__(self, application: InterfaceServer, listen: Listen, limits: Limits) -> None:
        self._limits = limits
        self._config = EngineConfig(limits, application.note)
        self._tls = _tls(listen)
        self._server = application
        self._application = ASGIWrapper(cast(Any, BodyRate(application, limits.min_body_rate)))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._context: Context

    def serve_on(self, sockets: Sequence[socket.socket]) -> None:
        """Serve until ``stop``."""
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(self._serve(sockets))

    def stop(self) -> None:
        """Finish what is in flight, then end. May be called from a signal handler."""
        if self._loop is None:  # it has not begun
            self._asked.set()
        else:
            self._loop.call_soon_threadsafe(self._asked.set)

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = Context(Census(self._limits, self._server.note))
        lifespan = Lifespan(self._application, self._config, self._loop, {})
        living = asyncio.create_task(lifespan.handle_lifespan())
        await lifespan.wait_for_startup()
        try:
            await self._listen_until_asked(sockets)
            await self._drain()
        finally:
            await lifespan.wait_for_shutdown()
            await living

    async def _listen_until_asked(self, sockets: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {
                "ssl": self._tls,
                "ssl_handshake_timeout": self._limits.head_timeout,
                "ssl_shutdown_timeout": self._limits.close_timeout,
            }
        listeners = [
            await loop.create_server(self._streams, sock=each, backlog=BACKLOG, **tls)
            for each in sockets
        ]
        await self._asked.wait()
        await accept_the_rest(sockets)
        for each in listeners:
            each.close()

    def _streams(self) -> Streams:
        return Streams(asyncio.StreamReader(), self._serve_one)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._application, self._config, self._context, reader, writer)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._tasks.add(task)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._tasks.discard(task)
            self._connections.discard(connection)

    # The end --------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Idle connections close soon, sockets too, requests when they are answered."""
        await self._context.terminated.set()
        self._server.end_streams()
        closing = [asyncio.create_task(each.drain()) for each in list(self._connections)]
        closing += self._close_sockets()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._limits.graceful_timeout)
        for task in closing:
            task.cancel()
        if self._tasks:
            await cut([each.abort for each in self._connections], self._tasks, self._limits)

    def _close_sockets(self) -> list[asyncio.Task[None]]:
        sockets = list(self._context.sockets)
        seconds = spread(len(sockets), self._limits)

        async def close(each: SocketStream) -> None:
            await asyncio.sleep(random.random() * seconds)
            await each.restart()

        return [asyncio.create_task(close(each)) for each in sockets]


def _tls(listen: Listen) -> ssl.SSLContext | None:
    context = tls_context(listen)
    if context is not None:
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["h2", "http/1.1"])
    return context
