"""SocketStream: what the engine, hypercorn 0.18, leaves open about WebSockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypercorn.protocol.events import (
    Body,
    Data,
    EndBody,
    EndData,
    Event,
    Request,
    Response,
    StreamClosed,
)
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, Ping
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason

from channels_classic.server.engines.hypercorn_context import Context, EngineConfig
from channels_classic.server.engines.hypercorn_frames import Claims, Fragments, agree, readable
from channels_classic.server.rate import Rate

if TYPE_CHECKING:
    pass

#: What is counted when frames are refused; everything else is malformed.
_COUNTERS: dict[int, str] = {
    CloseReason.MESSAGE_TOO_BIG: "oversize_count",
    CloseReason.POLICY_VIOLATION: "flood_count",
}
#: Bytes that are unpacked at once: they may become a thousand times as many.
_PACKED = 4096


class SocketStream(WSStream):
    """Limits messages, fragments and control frames; hears close codes; misses pongs.

    While the application lags behind, the client is not read from, and its pong waits there: it
    is not blamed for that.
    """

    config: EngineConfig
    context: Context

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._limits = self.config.limits
        self._message = Fragments(self._limits)
        self._controls = Rate(self._limits.control_rate, time.monotonic())
        self._step = _PACKED if self._limits.deflate else 2**16
        self._ended_by: tuple[int, str] = (CloseReason.ABNORMAL_CLOSURE, "")
        self._reading = self._stopping = False
        self._decided = asyncio.Event()
        self._pings: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # From the client ------------------------------------------------------------------

    async def handle(self, event: Event) -> None:
        """Take what the client sends, or its end."""
        if self.closed:
            return
        if isinstance(event, Request):
            self.context.sockets.add(self)
            await super().handle(replace(event, headers=readable(event.headers)))
        elif isinstance(event, StreamClosed):
            await self._end()
        elif isinstance(event, EndBody):  # HTTP/2: it sends nothing more, not even a close frame
            await self.send(StreamClosed(stream_id=self.stream_id))
        elif isinstance(event, (Body, Data)):
            await self._decided.wait()  # the client may have been too fast
            if self.handshake.accepted:
                await self._read(event.data)

    async def _read(self, data: bytes) -> None:
        self._reading = True
        if self.state is ASGIWebsocketState.CONNECTED:
            self._stop(self._deadline)
            self._deadline = None
        try:
            for start in range(0, len(data), self._step):
                if self.closed or self.connection.state not in _HEARD:
                    return
                self.connection.receive_data(data[start : start + self._step])
                await self._handle_events()
        finally:
            self._reading = False

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, CloseConnection):
                await self._on_close(event)
            elif self.state is not ASGIWebsocketState.CONNECTED:
                continue  # it has been closed: only the answer to that is of interest
            elif isinstance(event, Message):
                await self._on_fragment(event)
            elif not self._controls.allows(time.monotonic()):
                await self._fail(CloseReason.POLICY_VIOLATION, "too many pings")
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())

    async def _on_fragment(self, event: Message[Any]) -> None:
        if not self._message.add(event):
            await self._fail(CloseReason.MESSAGE_TOO_BIG, "too long, or too many fragments")
        elif event.message_finished and self.app_put is not None:
            await self.app_put(self._message.take())

    async def _on_close(self, event: CloseConnection) -> None:
        if self.connection.state is ConnectionState.OPEN:  # the client broke the rules
            return await self._fail(event.code, event.reason or "")
        self._ended_by = (event.code, event.reason or "")
        self.state = ASGIWebsocketState.CLOSED
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            await self._send_wsproto_event(event.response())
            await self.send(EndData(stream_id=self.stream_id))
        await self.send(StreamClosed(stream_id=self.stream_id))
        return None

    async def _fail(self, code: int, reason: str) -> None:
        counter = _COUNTERS.get(code, "malformed_count")
        path = self.scope["path"]
        self.config.note(counter, f"Closed a WebSocket on {path!r:.200}: {code} {reason}")
        await self.close(code, reason)
        await self.send(StreamClosed(stream_id=self.stream_id))  # its answer could not be read

    async def _end(self) -> None:
        self.closed = True
        self._decided.set()
        self.context.sockets.discard(self)
        self._stop(self._pings)
        self._stop(self._deadline)
        await self._tell_the_end()

    async def _tell_the_end(self) -> None:
        code, reason = self._ended_by
        if self.app_put is not None:
            await self.app_put({"type": "websocket.disconnect", "code": code, "reason": reason})

    # To the client --------------------------------------------------------------------

    async def app_send(self, message: Any) -> None:
        """Pass on what the application sends; ``OSError`` when that comes too late.

        When it ends, the client may still answer the close.
        """
        if self.closed:
            return
        is_open = self.state is ASGIWebsocketState.CONNECTED
        if message is None and is_open:
            await self.close(CloseReason.INTERNAL_ERROR)
        elif message is not None and message["type"] == "websocket.close" and is_open:
            await self.close(message.get("code") or 1000, message.get("reason"))
        elif self.state is not ASGIWebsocketState.CLOSED:
            await super().app_send(message)
        elif message is not None:
            raise OSError("the WebSocket is closed")

    async def close(self, code: int, reason: str | None = None) -> None:
        """Send a close frame; a client that does not answer it in time is cut off."""
        self.state = ASGIWebsocketState.CLOSED
        self._ended_by = (int(code), reason or "")
        self._stop(self._pings)
        self._stop(self._deadline)
        self._deadline = self._later(self._limits.close_timeout, self._cut)
        await self._tell_the_end()
        await self._send_wsproto_event(CloseConnection(code=int(code), reason=reason))
        await self.send(EndData(stream_id=self.stream_id))

    async def restart(self) -> None:
        """The server stops: the client is to come back; it hears so when it has been let in."""
        self._stopping = True
        if self.state is ASGIWebsocketState.CONNECTED and not self.closed:
            await self.close(CloseReason.SERVICE_RESTART)

    async def _accept(self, message: Any) -> None:
        offers, self.handshake.extensions = self.handshake.extensions or [], None
        status, headers, _ = self.handshake.accept(
            message.get("subprotocol"), message.get("headers", [])
        )
        extensions: list[Extension] = [Claims(self._limits)]
        if self._limits.deflate and (agreed := agree(offers)):
            headers.append((b"sec-websocket-extensions", agreed[0]))
            extensions.append(agreed[1])
        self.connection = Connection(ConnectionType.SERVER, extensions)
        self.state = ASGIWebsocketState.CONNECTED
        await self.send(Response(stream_id=self.stream_id, status_code=status, headers=headers))
        self._decided.set()
        if self._stopping:
            await self.close(CloseReason.SERVICE_RESTART)
        elif self._limits.ping_interval:
            self._pings = self._later(self._limits.ping_interval, self._ping)

    # Deadlines ------------------------------------------------------------------------

    def _ping(self) -> None:
        self.task_group.spawn(self._send_wsproto_event, Ping())
        self._pings = self._later(self._limits.ping_interval, self._ping)
        if self._deadline is None:
            self._deadline = self._later(self._limits.ping_timeout, self._miss_pong)

    def _miss_pong(self) -> None:
        if self._reading:  # we have not looked
            self._deadline = self._later(self._limits.ping_timeout, self._miss_pong)
        else:
            self.task_group.spawn(self.close, CloseReason.INTERNAL_ERROR)

    def _cut(self) -> None:
        self.task_group.spawn(self.send, StreamClosed(stream_id=self.stream_id))

    def _later(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, action)

    def _stop(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


_HEARD = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)
