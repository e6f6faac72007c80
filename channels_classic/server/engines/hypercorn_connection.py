"""Connection: one TCP connection of the engine hypercorn, its protocol and its deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from hypercorn.asyncio.tcp_server import MAX_RECV
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H2ProtocolAssumedError
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from channels_classic.server.engines.drain import LAST_CALL
from channels_classic.server.engines.hypercorn_context import (
    Context,
    EngineConfig,
    Tasks,
)
from channels_classic.server.engines.hypercorn_http1 import Http1Protocol
from channels_classic.server.engines.hypercorn_http2 import Http2Protocol
from channels_classic.server.engines.unread import Unread
from channels_classic.server.engines.uvicorn_answer import refusal_bytes
from channels_classic.server.engines.uvicorn_connection import LINGER_BYTES
from channels_classic.server.heads import Refusal

logger = logging.getLogger("channels_classic.server")

Speaks = TypeVar("Speaks", Http1Protocol, Http2Protocol)

#: How long a client that still sends after its answer is listened to, in seconds: were the
#: connection closed at once, it might never see the answer.
_LAST_WORDS = 2.0
_TOO_MANY = Refusal(503, "There are too many connections.", (b"retry-after", b"5"))


class Streams(asyncio.StreamReaderProtocol):
    """What reads and writes for a connection; watches a client that does not read."""

    unread: Unread | None = None

    def pause_writing(self) -> None:
        """Something waits for the client."""
        super().pause_writing()
        if self.unread is not None:
            self.unread.begin()

    def resume_writing(self) -> None:
        """The client has read enough."""
        super().resume_writing()
        if self.unread is not None:
            self.unread.end()


class Connection:
    """Reads for its protocol and writes for it; drops clients that keep it waiting."""

    def __init__(
        self,
        app: Any,
        config: EngineConfig,
        context: Context,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._app = app
        self._config = config
        self._limits = config.limits
        self._context = context
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks(self._loop)
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._unread = Unread(
            self._loop,
            cast("asyncio.Transport", writer.transport),
            timeout=self._limits.write_timeout,
            cut=self._drop,
        )
        streams = writer.transport.get_protocol()
        if isinstance(streams, Streams):
            streams.unread = self._unread
        self._idle = self._in_head = True
        self._lingering = False
        self._wasted = 0
        self._protocol: Http1Protocol | Http2Protocol

    async def run(self) -> None:
        """Serve until the connection is closed and its applications have ended."""
        client = self._client()
        census = self._context.census
        if not census.admit(client):
            return await self._turn_away()
        try:
            await self._serve()
        finally:
            census.leave(client)

    async def _turn_away(self) -> None:
        """There are too many connections: some of their clients are told so, in HTTP/1."""
        if self._context.census.tell():
            self._writer.write(refusal_bytes(_TOO_MANY, []))
            self._close()
            with contextlib.suppress(OSError, RuntimeError):
                await self._writer.wait_closed()
            self._context.census.told()
        else:
            self.abort()

    def _client(self) -> tuple[str, int] | None:
        connected = self._writer.get_extra_info("socket")
        try:
            return parse_socket_addr(connected.family, connected.getpeername())
        except OSError:
            return None  # it has gone already

    async def _serve(self) -> None:
        try:
            async with self._tasks:
                await self._begin()
                await self._read()
        except* OSError:
            pass  # the client has gone
        except* Exception:
            logger.exception("Error in a connection")
        finally:
            self._stop_timer()
            self._close()
            with contextlib.suppress(OSError, RuntimeError):  # what the connection ended by
                await self._writer.wait_closed()
            self._unread.stop()

    async def drain(self) -> None:
        """The server stops: nothing new is begun, and when all is answered this closes."""
        await self._protocol.drain()
        if self._idle:
            self._start_timer(LAST_CALL, self._expire)

    def abort(self) -> None:
        """Close now, whatever is on its way."""
        self._writer.transport.abort()

    # Reading --------------------------------------------------------------------------

    async def _begin(self) -> None:
        tls = self._writer.get_extra_info("ssl_object")
        speaks_http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        self._protocol = self._make(Http2Protocol) if speaks_http2 else self._make(Http1Protocol)
        self._start_timer(self._limits.head_timeout, self._expire)
        await self._protocol.initiate()
        if self._context.terminated.is_set():
            await self.drain()

    def _make(self, kind: type[Speaks]) -> Speaks:
        connected = self._writer.get_extra_info("socket")
        return kind(
            self._app,
            self._config,
            self._context,
            self._tasks,
            ConnectionState({}),
            self._writer.get_extra_info("ssl_object") is not None,
            self._client(),
            parse_socket_addr(connected.family, connected.getsockname()),
            self._send,
        )

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(MAX_RECV):
                if self._lingering or self._protocol.is_answered:
                    self._waste(len(data))
                if not self._lingering:
                    await self._handle(data)
        except OSError:
            pass  # as good as an end
        self._stop_timer()  # there is nothing left to wait for
        await self._protocol.handle(Closed())

    def _waste(self, size: int) -> None:
        """The client sends what nobody will read: it may, to the end of its request, or a limit."""
        self._wasted += size
        if self._wasted > LINGER_BYTES:
            self._lingering = True
            self._close()

    async def _handle(self, data: bytes) -> None:
        try:
            await self._protocol.handle(RawData(data))
        except H2ProtocolAssumedError as error:  # the client speaks HTTP/2 without asking
            self._protocol = self._make(Http2Protocol)
            await self._protocol.initiate()
            await self._protocol.handle(RawData(error.data))
        if self._idle and not self._in_head and self._protocol.has_begun:
            self._expect_head()

    # Writing --------------------------------------------------------------------------

    async def _send(self, event: Event) -> None:
        """What the protocol wants: data sent, the connection closed, the timer set."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            self._close_or_linger()
        elif isinstance(event, Updated):
            self._set_idle(event.idle)

    async def _write(self, data: bytes) -> None:
        async with self._turn:
            try:
                self._writer.write(data)
                await self._writer.drain()
            except (OSError, RuntimeError):  # uvloop says RuntimeError of a closed transport
                await self._protocol.handle(Closed())

    def _drop(self) -> None:
        seconds = self._limits.write_timeout
        self._config.note(
            "overflow_count", f"Closed a connection: it read nothing for {seconds:g} s"
        )
        self.abort()

    # The end --------------------------------------------------------------------------

    def _close_or_linger(self) -> None:
        if self._lingering or not self._protocol.is_owed:
            return self._close()
        self._lingering = True
        if self._writer.can_write_eof() and not self._writer.is_closing():
            with contextlib.suppress(OSError, RuntimeError):  # the client has gone
                self._writer.write_eof()
        self._start_timer(_LAST_WORDS, self._close)
        return None

    def _close(self) -> None:
        """Close once what is written has been read, or is not read any more."""
        self._writer.close()
        self._unread.begin()

    # Deadlines ------------------------------------------------------------------------

    def _set_idle(self, idle: bool) -> None:
        self._idle = idle
        self._in_head = False
        self._stop_timer()
        if idle and self._context.terminated.is_set():
            self._close_or_linger()
        elif idle:
            self._start_timer(self._limits.keep_alive, self._expire)

    def _expect_head(self) -> None:
        """The next request has begun to come."""
        self._in_head = True
        self._start_timer(self._limits.head_timeout, self._expire)

    def _expire(self) -> None:
        self._tasks.spawn(self._time_out)

    async def _time_out(self) -> None:
        await self._protocol.time_out()
        self._close_or_linger()

    def _start_timer(self, seconds: float, action: Callable[..., None], *args: Any) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, action, *args)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
