"""Http2Protocol: what the engine, hypercorn 0.18, leaves open about HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import h2.events
import h2.exceptions
from h2.errors import ErrorCodes
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Body, Data, EndBody, EndData, Request, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol, StreamBuffer
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.utils import filter_pseudo_headers
from hyperframe.frame import GoAwayFrame

from channels_classic.server.engines.drain import LAST_CALL
from channels_classic.server.engines.hypercorn_context import (
    STREAMS,
    EngineConfig,
    Watch,
)
from channels_classic.server.engines.hypercorn_websocket import SocketStream
from channels_classic.server.rate import Rate

if TYPE_CHECKING:
    from hypercorn.events import Event
    from hypercorn.typing import Event as IOEvent

Headers = list[tuple[bytes, bytes]]

_ANY_STREAM = 2**31 - 1
#: What costs a client next to nothing, and the server something.
_CONTROLS = (
    h2.events.StreamReset,
    h2.events.PingReceived,
    h2.events.RemoteSettingsChanged,
    h2.events.PriorityUpdated,
)


class Buffer(StreamBuffer):
    """What waits until the client opens a window; knows how much it has taken, and its end."""

    def __init__(self, event_class: type[IOEvent]) -> None:
        super().__init__(event_class)
        self.taken = 0
        self.over = asyncio.Event()

    async def pop(self, max_length: int) -> bytes:
        """The next part for the client."""
        data = await super().pop(max_length)
        self.taken += len(data)
        return data

    async def close(self) -> None:
        """Nothing of this can be sent any more."""
        await super().close()
        self.over.set()


class Http2Protocol(H2Protocol):
    """Limits heads, floods and streams that are not read; tells clients of the server's end.

    One whose answer was cut short is reset, so that nobody takes it for complete. Priorities, which
    HTTP/2 has given up, are ignored.
    """

    config: EngineConfig
    #: A head that comes in parts is one frame that does, here; and its client may always send more.
    has_begun, is_owed = False, True
    #: What comes for a stream that has been answered resets it.
    is_answered = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limits = self.config.limits
        self.connection.decoder.max_header_list_size = limits.max_head
        # A client may well leave all of its streams at once.
        self._controls = Rate(limits.control_rate + STREAMS, time.monotonic())
        self._last_call = math.inf

    async def drain(self) -> None:
        """The server stops: what is on its way to it is taken, for a moment, but nothing else."""
        self._last_call = time.monotonic() + LAST_CALL
        await self.send(RawData(GoAwayFrame(0, last_stream_id=_ANY_STREAM).serialize()))

    async def handle(self, event: Event) -> None:
        """Take bytes, or the end; then nobody waits any longer for what cannot be sent."""
        await super().handle(event)
        if isinstance(event, Closed):
            for buffer in self.stream_buffers.values():
                await buffer.close()

    async def time_out(self) -> None:
        """The client has been silent for too long."""
        self.connection.close_connection()
        await self._flush()

    # From the client ------------------------------------------------------------------

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if self._is_flood(event):
                self.config.note("flood_count", "Closed a connection of HTTP/2: too many controls")
                self.connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                await self._flush()
                return await self.send(Closed())
            await self._handle_event(event)
        await self._flush()
        return None

    def _is_flood(self, event: h2.events.Event) -> bool:
        is_nothing = isinstance(event, h2.events.DataReceived) and not (
            event.data or event.stream_ended
        )
        counts = is_nothing or isinstance(event, _CONTROLS)
        return counts and not self._controls.allows(time.monotonic())

    async def _handle_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            await self._on_request(event)
        elif isinstance(event, h2.events.DataReceived):
            await self._on_data(event)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self.streams:
                await self.streams[event.stream_id].handle(EndBody(stream_id=event.stream_id))
        elif isinstance(event, (h2.events.StreamReset, h2.events.WindowUpdated)):
            if isinstance(event, h2.events.StreamReset):
                await self._close_stream(event.stream_id)
            await self._window_updated(event.stream_id)
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            await self._window_updated(None)
        elif isinstance(event, h2.events.ConnectionTerminated):
            await self.send(Closed())

    async def _on_request(self, event: h2.events.RequestReceived) -> None:
        if time.monotonic() > self._last_call:
            return self._reset(event.stream_id, ErrorCodes.REFUSED_STREAM)
        if status := self._refusal(event.headers):
            return await self._refuse(event.stream_id, status)
        await self.send(Updated(idle=False))
        await self._create_stream(event)
        return None

    async def _on_data(self, event: h2.events.DataReceived) -> None:
        """The client may send more when the application has taken this; some come too late."""
        if event.stream_id in self.streams and event.data:
            part = Body(stream_id=event.stream_id, data=event.data)
            await self.streams[event.stream_id].handle(part)
        elif event.stream_id not in self.streams:  # it has been answered
            self._reset(event.stream_id, ErrorCodes.NO_ERROR)
        self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def _refusal(self, headers: Headers) -> int | None:
        """The status of a request that the engine would take, but should not."""
        if sum(not name.startswith(b":") for name, _ in headers) > self.config.limits.max_fields:
            return 431
        pseudo = dict(each for each in headers if each[0].startswith(b":"))
        if pseudo[b":method"] == b"CONNECT" and pseudo.get(b":protocol") != b"websocket":
            return 501
        return None if pseudo[b":path"].isascii() else 400

    async def _refuse(self, stream_id: int, status: int) -> None:
        headers = [(b":status", b"%d" % status), (b"content-length", b"0")]
        headers += self.config.response_headers("h2")
        self.connection.send_headers(stream_id, headers, end_stream=True)
        self._reset(stream_id, ErrorCodes.NO_ERROR)
        await self._flush()

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        pseudo = dict(each for each in request.headers if each[0].startswith(b":"))
        kind = SocketStream if pseudo[b":method"] == b"CONNECT" else HTTPStream
        number = request.stream_id
        stream = self.streams[number] = kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            number,
        )
        self.stream_buffers[number] = Buffer(self.context.event_class)
        self.priority.insert_stream(number)
        self.priority.block(number)
        await stream.handle(
            Request(
                stream_id=number,
                headers=_join_cookies(filter_pseudo_headers(request.headers)),
                http_version="2",
                method=pseudo[b":method"].decode("ascii"),
                raw_path=pseudo[b":path"],
                state=self.connection_state,
            )
        )

    # To the client --------------------------------------------------------------------

    async def stream_send(self, event: StreamEvent) -> None:
        """Pass on what a stream sends, so long as its client takes it."""
        if isinstance(event, StreamClosed):
            await self._end_stream(event)
        elif isinstance(event, (Body, Data, EndBody, EndData)):
            await self._send_part(event)
        else:
            await super().stream_send(event)

    async def _send_part(self, event: StreamEvent) -> None:
        buffer = self.stream_buffers.get(event.stream_id)
        if not isinstance(buffer, Buffer):
            return  # the stream is over
        watch = Watch(
            self.config.limits.write_timeout,
            lambda: buffer.taken,
            lambda: self.task_group.spawn(self._cut, event.stream_id),
        )
        try:
            await super().stream_send(event)
            if isinstance(event, (EndBody, EndData)):
                await buffer.over.wait()  # its end has been sent, too
        finally:
            watch.stop()

    async def _cut(self, stream_id: int) -> None:
        seconds = self.config.limits.write_timeout
        self.config.note("overflow_count", f"Closed a stream: it read nothing for {seconds:g} s")
        self._reset(stream_id, ErrorCodes.CANCEL)
        await self._flush()
        await self._close_stream(stream_id)
        await self._window_updated(stream_id)

    async def _send_data(self, stream_id: int) -> None:
        buffer = self.stream_buffers[stream_id]
        await super()._send_data(stream_id)
        if stream_id not in self.stream_buffers and isinstance(buffer, Buffer):
            buffer.over.set()

    async def _end_stream(self, event: StreamClosed) -> None:
        """Its application has ended: whatever is not complete by now never will be."""
        is_cut = event.stream_id in self.stream_buffers
        self._reset(event.stream_id, ErrorCodes.INTERNAL_ERROR if is_cut else ErrorCodes.NO_ERROR)
        await self._flush()
        await self._window_updated(event.stream_id)
        await super().stream_send(event)

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):  # it is closed
            self.connection.reset_stream(stream_id, error_code=code)


def _join_cookies(headers: Headers) -> Headers:
    """HTTP/2 may have a header for each cookie; all else knows but one."""
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    return [each for each in headers if each[0] != b"cookie"] + [(b"cookie", b"; ".join(cookies))]
