"""SocketProtocol: what the engine, uvicorn 0.54, leaves open about WebSockets."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import OPEN

from channels_classic.server.engines.unread import Unread, reset, unread
from channels_classic.server.engines.uvicorn_config import UvicornConfig
from channels_classic.server.engines.websocket_frames import Frames

#: Bytes that are looked at before the application has had its turn: so many tiny messages of a
#: client may wait in memory.
_AT_ONCE = 4096
#: How long a client may go on to send after an error, when its half of the connection cannot be
#: seen to end: that is so with TLS. In seconds.
_LAST_WORDS = 1.0
_NOTHING = memoryview(b"")
#: What is counted when frames are refused; everything else is malformed.
_COUNTERS = {
    CloseCode.MESSAGE_TOO_BIG: "oversize_count",
    CloseCode.POLICY_VIOLATION: "flood_count",
}


class SocketProtocol(WebSocketsSansIOProtocol):
    """Reads and writes within limits, closes with a code, and is gone when it closes.

    A client is not read from while the application is busy with what it has sent, nor while it does
    not read what it is sent: in its own pace it waits for itself. So long as it is not read from, a
    pong may wait there, behind its messages: then, and as anything else comes from the client, the
    deadline for pongs begins anew.

    Every close has an end: what is not over ``close_timeout`` later is cut, whatever still waits to
    be written.
    """

    config: UvicornConfig
    _heard = False
    _failed = False
    _reading = True
    #: What has come and was not looked at yet.
    _unread = _NOTHING
    #: While writes are blocked.
    _writes: Unread | None = None

    def __init__(self, config: UvicornConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._limits = config.limits
        self.close_timeout = config.limits.close_timeout
        extensions = self.conn.available_extensions
        self.conn.parser.close()  # or it holds the connection that it is a part of
        self.conn = Frames(config.limits, extensions, self.logger)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._reading = transport.is_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unread = _NOTHING
        self._forget_writes()
        self.conn.parser.close()  # it holds the connection, as the parser of HTTP does
        self.config.census.leave(self.client)

    # Reading --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if not self.handshake_initiated:
            self._handshake(data)
        elif self._failed:
            pass  # after an error, nothing counts
        elif len(data) <= _AT_ONCE and not self._unread and self._may_read():
            self._look_at(data)
            self._read_or_wait()
        else:
            self._unread = memoryview(bytes(self._unread) + data if self._unread else data)
            self._go_on()

    def _handshake(self, head: bytes) -> None:
        """Take the head of the request, which the HTTP protocol has checked and written anew."""
        start, *lines = head.decode("latin-1").split("\r\n")
        method, target, protocol = start.split(" ")
        fields = (line.partition(": ") for line in lines if line)
        headers = Headers((name, value) for name, _, value in fields)
        try:
            url = httptools.parse_url(target.encode("latin-1"))
            query = url.query.decode("ascii") if url.query is not None else None
            path = (url.path or b"/").decode("ascii")
        except (httptools.HttpParserError, UnicodeDecodeError):
            return self._reject(400, "This address is none.")
        path = path if query is None else f"{path}?{query}"
        return self.handle_connect(Request(path, headers, method, protocol))

    def _reject(self, status: int, text: str) -> None:
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.conn.send_response(self.conn.reject(status, f"{text}\n"))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    def _go_on(self) -> None:
        """Look at what has come, until the application or the client is to do something first."""
        while self._unread and self._may_read():
            piece, self._unread = self._unread[:_AT_ONCE], self._unread[_AT_ONCE:]
            self._look_at(cast("bytes", piece))
        self._read_or_wait()

    def _look_at(self, piece: bytes) -> None:
        self.conn.receive_data(piece)
        self.handle_events()  # those before an error count
        if self.conn.parser_exc is not None and not self._failed:
            self.handle_parser_exception()

    def _may_read(self) -> bool:
        if self.close_sent:
            return True  # for the client's answer; the rest is thrown away
        return self.handshake_complete and self.writable.is_set() and not self.read_paused

    def _read_or_wait(self) -> None:
        """Have the transport read, or not; in the handshake it does until something comes."""
        wanted = not self._unread and (self._may_read() or not self.handshake_complete)
        if wanted != self._reading and not self.transport.is_closing():
            self._reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def send_receive_event_to_app(self) -> None:
        frames: list[Any] = self.frames
        self.frames = []
        if self.close_sent:
            return
        event: dict[str, Any] = {"type": "websocket.receive"}
        if self.curr_msg_data_type == "text":
            event["text"] = "".join(frames)
        else:
            event["bytes"] = b"".join(frames) if len(frames) > 1 else bytes(frames[0])
        self.queue.put_nowait(cast("Any", event))
        self.read_paused = True

    async def receive(self) -> Any:
        event = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._go_on()
        return event

    def handle_ping(self) -> None:
        pong = b"".join(self.conn.data_to_send())
        if not self.close_sent:
            self.transport.write(pong)

    def send_keepalive_ping(self) -> None:
        self._heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        if not self._reading and self.writable.is_set():
            self.send_keepalive_ping()  # which fails if the client has gone: nothing else tells
        elif self._heard or not self._reading:
            self._heard = False
            self.pong_timer = self.loop.call_later(
                self._limits.ping_timeout, self.keepalive_timeout
            )
        elif unread(self.transport):
            reset(self.transport)
        else:
            super().keepalive_timeout()
            self._end_soon(self.close_timeout)

    # Writing --------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_or_wait()
        if not self.close_sent:
            self._watch_writes()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_writes()
        self._go_on()

    def _watch_writes(self) -> None:
        if self._writes is None:
            self._writes = Unread(
                self.loop, self.transport, timeout=self._limits.write_timeout, cut=self._cut
            )
        self._writes.begin()

    def _forget_writes(self) -> None:
        if self._writes is not None:
            self._writes.stop()
            self._writes = None

    def _cut(self) -> None:
        seconds = self._limits.write_timeout
        self._note("overflow_count", f"its client read nothing for {seconds:g} s")
        reset(self.transport)

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close" and self.handshake_complete:
            self._close(message.get("code", 1000), message.get("reason") or "")
            return
        await super().send(message)
        if message["type"] == "websocket.accept":
            self._go_on()  # the client may have been too fast

    # Closing --------------------------------------------------------------------------

    def _close(self, code: int, reason: str = "") -> None:
        """Begin to close, at once: the client may not have read what it was sent before."""
        if self.disconnected or self.transport.is_closing():
            raise ClientDisconnected
        if self.close_sent or self.conn.state is not OPEN:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.read_paused = False
        self.stop_keepalive()
        self._end_soon(self.close_timeout)
        self._go_on()

    def handle_close(self, event: Any) -> None:
        super().handle_close(event)
        self._end_soon(self.close_timeout)

    def handle_parser_exception(self) -> None:
        """Say what was wrong, and close when the client has had the time to hear it.

        To close while it still sends would have the system reset the connection, and what the
        client has not read yet would be lost to it.
        """
        self._failed = True
        self._unread = _NOTHING
        close = self.conn.close_sent
        if close is not None and not self.close_sent:
            event = {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
            self.queue.put_nowait(cast("Any", event))
            self._note(_COUNTERS.get(cast("Any", close.code), "malformed_count"), str(close))
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._end_soon(self.close_timeout)
        else:
            self._end_soon(min(self.close_timeout, _LAST_WORDS))
        self._read_or_wait()

    def shutdown(self) -> None:
        """Close with 1012, or refuse a handshake: the server is to stop."""
        self.stop_keepalive()
        if not self.handshake_complete:
            if self.initial_response is None:
                self._reject(503, "The server is stopping.")
        elif not self.close_sent and not self.transport.is_closing():
            self._close(CloseCode.SERVICE_RESTART)

    def _end_soon(self, wait: float) -> None:
        """Have the connection end within ``wait`` seconds, whatever the client does."""
        if self.close_timer is not None:
            self.close_timer.cancel()
        self._forget_writes()
        self.close_timer = None if self.disconnected else self.loop.call_later(wait, self._end)

    def _end(self) -> None:
        if unread(self.transport):
            reset(self.transport)
        else:
            self.transport.close()

    # The application ------------------------------------------------------------------

    async def run_asgi(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            self._give_up(CloseCode.SERVICE_RESTART)
        except Exception:
            self.logger.exception("Error in the application of a WebSocket")
            self._give_up(CloseCode.INTERNAL_ERROR)
        else:
            self._give_up(CloseCode.INTERNAL_ERROR)

    def _give_up(self, code: int) -> None:
        """Whatever the application has left open ends."""
        if self.disconnected or self.transport.is_closing() or self.close_timer is not None:
            return
        if self.handshake_complete and not self.close_sent:
            self._close(code)
        else:
            self.send_500_response()
            self.transport.close()

    def _note(self, counter: str, text: str) -> None:
        path = self.scope["path"]
        self.config.note(counter, f"Closed a WebSocket on {path!r:.200}: {text}")
