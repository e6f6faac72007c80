"""InterfaceServer: the ASGI 3 application that only translates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from channels_classic.server import heads
from channels_classic.server.bus import Bus
from channels_classic.server.client import Receive, Send
from channels_classic.server.figures import figures_of
from channels_classic.server.http import HttpConnection
from channels_classic.server.options import ServerOptions, configured
from channels_classic.server.probes import Probes
from channels_classic.server.proxies import Proxies
from channels_classic.server.websocket import WebsocketConnection

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer


class InterfaceServer:
    """Turns HTTP and WebSocket traffic into messages on ``channel_layer``; workers answer.

    Runs under any ASGI 3 server. ``options`` are the fields of ``ServerOptions``; the others are
    as ``CHANNELS_CLASSIC["SERVER"]`` says. ``TypeError`` and ``BadOption``, a ``ValueError``, for
    those it cannot use.
    """

    def __init__(self, channel_layer: BaseChannelLayer, **options: Any) -> None:
        self.channel_layer = channel_layer
        self.options = ServerOptions(**{**configured(ServerOptions), **options})
        self._proxies = Proxies(self.options.trusted_proxies)
        self._probes = Probes(self.options)
        self._figures = figures_of(self.options)
        #: Whether the server stops, and takes nothing new; see ``drain``.
        self.draining = False
        #: Called when the server is on the bus, right before it takes its first connection.
        self.on_started: Callable[[], None] = lambda: None
        self._bus: Bus | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self._probes.are_for(scope):
            if not self.draining:
                self._probes.start(self._open_bus())
            await self._probes.answer(scope, send, draining=self.draining)
            return
        figures = self._figures
        if figures is None:
            await self._serve(scope, receive, send)
        elif figures.are_for(scope):
            await figures.answer(scope, send)
        else:
            await figures.count(partial(self._serve, scope), scope, receive, send)

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if self._proxies and kind != "lifespan":
            scope = self._proxies.look_behind(scope)
        if kind in ("http", "websocket") and (fault := heads.fault(scope)):
            await heads.refuse(scope, receive, send, fault)
            return
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
        bus = self._open_bus()
        bus.replies.start()
        self._probes.start(bus)
        await send({"type": "lifespan.startup.complete"})
        self.on_started()
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def drain(self) -> None:
        """From now on say to those who probe that no more traffic is wanted here."""
        self.draining = True

    async def close(self) -> None:
        """Leave the bus: for hosts without the lifespan protocol."""
        await self._probes.stop()
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    def end_streams(self) -> None:
        """End the event streams: to be called when the server is asked to stop."""
        if self._bus is not None:
            self._bus.end_streams()

    def use(self, **options: Any) -> None:
        """Change some of the options, before the first connection."""
        self.options = replace(self.options, **options)
        self._proxies = Proxies(self.options.trusted_proxies)
        self._probes = Probes(self.options)
        self._figures = figures_of(self.options)

    def note(self, counter: str, text: str) -> None:
        """Count and log, sparingly, what an engine of ours has done to a client."""
        if self._bus is not None:
            self._bus.note(counter, text)

    def _open_bus(self) -> Bus:
        """One for this process; also where the host does not speak the lifespan protocol."""
        if self._bus is None:
            self._bus = Bus(
                self.channel_layer, on_count=self._figures.refused if self._figures else None
            )
        return self._bus
