"""The default engine: uvicorn 0.54 in our own loop, with our own signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from channels_classic.server.engines.drain import LAST_CALL, accept_the_rest
from channels_classic.server.engines.uvicorn_config import UvicornConfig
from channels_classic.server.engines.uvicorn_drain import finish
from channels_classic.server.engines.uvicorn_http import HttpProtocol
from channels_classic.server.engines.uvicorn_websocket import SocketProtocol
from channels_classic.server.options import Limits, Listen
from channels_classic.server.sockets import tls_context

if TYPE_CHECKING:
    from channels_classic.server.app import InterfaceServer


class UvicornEngine(uvicorn.Server):
    """Serves on sockets that are open already. ``CannotListen`` for an unusable certificate."""

    def __init__(self, application: InterfaceServer, listen: Listen, limits: Limits) -> None:
        super().__init__(_config(application, listen, limits))
        self._application = application
        self._limits = limits

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # ours end the process with status 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen; who does not complete the handshake of TLS in time is cut."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        loop = asyncio.get_running_loop()
        self.servers = []
        for each in sockets or []:
            server = await loop.create_server(
                self._new_connection,
                sock=each,
                ssl=self.config.ssl,
                backlog=self.config.backlog,
                ssl_handshake_timeout=self._limits.head_timeout if self.config.ssl else None,
            )
            self.servers.append(server)
        self.started = True

    def _new_connection(self) -> asyncio.Protocol:
        return HttpProtocol(
            cast("UvicornConfig", self.config), self.server_state, self.lifespan.state
        )

    def serve_on(self, sockets: Sequence[socket.socket]) -> None:
        """Serve until ``stop``."""
        self.run(sockets=list(sockets))

    def stop(self) -> None:
        """Finish what is in flight, then end. May be called from a signal handler, or a thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take who has come, refuse who comes, see all of them off, and leave the bus."""
        await accept_the_rest(sockets or [])
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        self._application.end_streams()
        handshakes = LAST_CALL if self.config.ssl else 0  # are not to be seen before they end
        await finish(self.server_state, self._limits, at_least=handshakes)
        await self.lifespan.shutdown()


def _config(application: InterfaceServer, listen: Listen, limits: Limits) -> uvicorn.Config:
    config = UvicornConfig(
        application,
        limits=limits,
        loop="auto",
        http=HttpProtocol,
        ws=SocketProtocol,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # InterfaceServer knows whom to trust
        timeout_keep_alive=cast("int", limits.keep_alive),  # parts of a second will do
    )
    tls = tls_context(listen)
    config.load()
    config.ssl = tls  # the engine's own would offer old ciphers
    return config
