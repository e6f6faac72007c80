"""InterfaceServer: the ASGI 3 application that only translates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from channels_classic.server.bus import Bus
from channels_classic.server.http import HttpConnection, Receive, Send
from channels_classic.server.options import ServerOptions
from channels_classic.server.websocket import WebsocketConnection

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer


class InterfaceServer:
    """Turns HTTP and WebSocket traffic into messages on ``channel_layer``; workers answer.

    Runs under any ASGI 3 server. ``options`` are the fields of ``ServerOptions``; ``TypeError`` and
    ``ValueError`` for those it cannot use.
    """

    def __init__(self, channel_layer: BaseChannelLayer, **options: Any) -> None:
        self.channel_layer = channel_layer
        self.options = ServerOptions(**options)
        self._bus: Bus | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            connection = HttpConnection(
                scope, receive, send, bus=self._open_bus(), options=self.options
            )
            await connection.run()
        elif kind == "websocket":
            socket = WebsocketConnection(
                scope, receive, send, bus=self._open_bus(), options=self.options
            )
            await socket.run()
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(f"this server speaks http and websocket, not {kind!r}")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._open_bus().replies.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def close(self) -> None:
        """Leave the bus: for hosts without the lifespan protocol."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    def use(self, **options: Any) -> None:
        """Change some of the options, before the first connection."""
        self.options = replace(self.options, **options)

    def _open_bus(self) -> Bus:
        """One for this process; also where the host does not speak the lifespan protocol."""
        if self._bus is None:
            self._bus = Bus(self.channel_layer)
        return self._bus
