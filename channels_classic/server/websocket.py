"""WebsocketConnection: one socket, from handshake to close."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from channels_classic.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.log import serving
from channels_classic.origin_patterns import matches
from channels_classic.server import ids, traces, translate
from channels_classic.server.bus import Bus
from channels_classic.server.rate import Rate
from channels_classic.server.traces import SocketTraces

if TYPE_CHECKING:
    from channels_classic import tracing
    from channels_classic.server.client import Receive, Send
    from channels_classic.server.lane import Lane
    from channels_classic.server.options import ServerOptions

logger = logging.getLogger("channels_classic.server")

#: How long the message that a socket has closed waits for room on the bus, in seconds.
_LAST_WAIT = 30.0
#: The ``order`` of that message when others send it: after all that the socket may have sent.
_LAST = 2**31 - 1
#: What every host can send.
_PLAIN_CLOSE = {"type": "websocket.close", "code": 1000}
_UNAVAILABLE = "Service unavailable"


class WebsocketConnection:
    """Sends what the client says to the bus, and what the bus says to the client."""

    def __init__(
        self,
        scope: translate.Scope,
        receive: Receive,
        send: Send,
        *,
        bus: Bus,
        options: ServerOptions,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._bus = bus
        self._options = options
        self._reply_channel = self._request_id = ""
        self._began = time.monotonic()
        self._lane: Lane
        self._order = 0
        self._traces: SocketTraces | None = None
        #: The status of the answer that refused the handshake.
        self._denied = 0
        self._accepted = False
        self._closed = False
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending: deque[tuple[dict[str, Any], bool]] = deque()
        self._pending_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._incoming: asyncio.Future[dict[str, Any]] | None = None
        self._lifetime: asyncio.TimerHandle | None = None

    # From the bus ---------------------------------------------------------------------

    def deliver(self, content: dict[str, Any], *, direct: bool) -> None:
        """Queue one reply; a client that lets too much pile up is closed with 1013."""
        if self._closed:
            return
        self._pending.append((content, direct))
        self._pending_bytes += _size(content)
        options = self._options
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        elif (
            len(self._pending) > options.max_pending
            or self._pending_bytes > options.max_pending_bytes
        ):
            self._overflow()

    def _overflow(self) -> None:
        self._bus.note(
            "overflow_count",
            f"Closed a WebSocket on {self._scope['path']} that does not read: "
            f"{len(self._pending)} messages ({self._pending_bytes} bytes) waited",
        )
        self._closed = True  # now: what comes next is no second overflow
        self._pending.clear()
        self._pending_bytes = 0
        if self._writing is not None:
            self._writing.cancel()
        close = {"type": "websocket.close", "code": 1013}
        self._writing = asyncio.create_task(self._pass_on(close))

    async def _write(self) -> None:
        while self._pending and not self._closed:
            content, direct = self._pending.popleft()
            self._pending_bytes -= _size(content)
            await self._reply(content)
            if direct:
                self._bus.replies.drained(self._reply_channel)

    async def _reply(self, content: dict[str, Any]) -> None:
        try:
            if "status" in content and not self._accepted:
                return await self._deny(translate.websocket_denial(content))
            subprotocol = None if self._accepted else self._subprotocol()
            events = translate.websocket_events(
                content, accepted=self._accepted, subprotocol=subprotocol
            )
        except translate.BadReply as error:
            with serving(self._request_id):
                logger.error("Bad reply to the WebSocket on %s: %s", self._scope["path"], error)
            return await self._close(1011)
        for event in events:
            if self._closed:
                return None
            await self._pass_on(event)
        return None

    async def _pass_on(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "websocket.close":
            self._closed = True
        elif kind == "websocket.accept":
            self._accepted = True
        await self._try_send(event)
        if kind != "websocket.send" and not self._answered.done():
            self._answered.set_result(None)

    async def _close(self, code: int) -> None:
        if not self._closed:
            await self._pass_on({"type": "websocket.close", "code": code})

    async def _try_send(self, event: dict[str, Any]) -> None:
        try:
            await self._send(event)
        except (OSError, RuntimeError) as error:  # what engines raise when the client has gone
            self._closed = True
            logger.debug("Could not send to a WebSocket: %r", error)
        except Exception as error:  # some hosts know but a few close codes
            self._closed = True
            logger.warning("Could not send to the WebSocket on %s: %r", self._scope["path"], error)
            if event != _PLAIN_CLOSE:
                await self._try_send(_PLAIN_CLOSE)

    def _subprotocol(self) -> str | None:
        offered = self._scope.get("subprotocols") or ()
        return translate.choose_subprotocol(offered, self._options.ws_protocols)

    # From the client ------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the socket; when this returns, it is closed and the consumers have been told."""
        await self._receive()  # the connect event; the scope says all there is to know
        if not self._is_of_allowed_origin():
            self._log("connecting")
            self._log("rejected")
            return await self._refuse(403, "Forbidden", "Pages of your site may not connect.")
        self._reply_channel = self._bus.replies.open(self)
        self._lane = self._bus.open_lane(self._reply_channel, self._options)
        self._request_id = ids.request_id(self._scope, self._reply_channel)
        self._log("connecting")
        with serving(self._request_id):
            await self._serve()
        return None

    async def _serve(self) -> None:
        code: int | None = 1006  # unless somebody says how it ended
        accepted, duty = False, self._bus.replies.duty
        try:
            with traces.request(self._scope) as span:
                accepted = await self._handshake(span)
                self._note_answer(span)
            duty.sockets += accepted
            trace = {"trace_id": span.trace_id} if span.trace_id else {}
            self._log("connected" if accepted else "rejected", **trace)
            if accepted:
                self._leave_will()
                code = await self._read()
        except asyncio.CancelledError:
            self._lane.hurry()
            raise
        finally:
            duty.sockets -= accepted
            self._let_go()
            await self._end(code)

    def _is_of_allowed_origin(self) -> bool:
        """Whether ``allowed_origins`` lists the site of the page; no browser, no origin."""
        allowed = self._options.allowed_origins
        given = [
            value.decode("latin-1") for name, value in self._scope["headers"] if name == b"origin"
        ]
        if not allowed or all(any(matches(each, known) for known in allowed) for each in given):
            return True
        self._bus.note(
            "refused_origin_count",
            f"Refused the WebSocket on {self._scope['path']!r:.200} of a page from "
            f"{given[0]!r:.200}, which is not in allowed_origins",
        )
        return False

    def _let_go(self) -> None:
        """Nothing more goes to the client."""
        self._closed = True
        for ending in (self._lifetime, self._writing, self._incoming):
            if ending is not None:
                ending.cancel()
        self._bus.replies.close(self._reply_channel)

    async def _end(self, code: int | None) -> None:
        """Tell the consumers, after the frames that still wait for their turn."""
        try:
            if self._accepted:
                lived = time.monotonic() - self._began
                self._log("disconnected", code=code, time_taken=lived)
                with self._bus.ending():
                    await self._tell_the_end(code)
        finally:
            self._bus.replies.remove_lane(self._reply_channel)

    def _note_answer(self, span: tracing.Span) -> None:
        denied = self._denied or (403 if self._closed else 0)
        traces.answered(span, 101 if self._accepted else denied, self._request_id)
        if self._accepted and span.trace_id:
            self._traces = SocketTraces(span, self._scope["path"])
            self._lane.on_dealt_with = self._traces.end

    async def _handshake(self, span: tracing.Span) -> bool:
        """Whether a consumer has accepted the socket."""
        if not await self._bus.has_worker("websocket.connect"):
            await self._refuse(503, _UNAVAILABLE, "No worker is running to serve this socket.")
            return False
        content = translate.websocket_connect(
            self._scope,
            reply_channel=self._reply_channel,
            root_path=self._options.root_path,
            request_id=self._request_id,
        )
        span.carry(content)
        try:
            await self._lane.connect(content, wait=self._options.full_wait)
        except (ChannelFull, LayerUnavailable, MessageTooLarge) as error:
            text = f"Refused a WebSocket on {self._scope['path']}: {error}"
            self._bus.say(logging.WARNING, "refused", text)
            await self._refuse(503, _UNAVAILABLE, "The server is busy.")
            return False
        return await self._await_answer()

    async def _await_answer(self) -> bool:
        self._incoming = asyncio.ensure_future(self._receive())
        waited = self._options.websocket_connect_timeout
        answered_or_left: list[asyncio.Future[Any]] = [self._answered, self._incoming]
        await asyncio.wait(answered_or_left, timeout=waited, return_when=asyncio.FIRST_COMPLETED)
        if not self._answered.done() and not self._incoming.done():
            self._bus.say(
                logging.ERROR,
                "no answer",
                "No consumer of websocket.connect answered the WebSocket on "
                f"{self._scope['path']} within {waited:g} s: refused. "
                'A connect consumer must send {"accept": True}.',
            )
            await self._close(1000)
        return self._accepted

    async def _refuse(self, status: int, title: str, text: str) -> None:
        again = 1 if status == 503 else None
        page = translate.error_events(status, title, text, retry_after=again)
        await self._deny(translate.as_denial(page), code=1013)

    async def _deny(self, events: list[dict[str, Any]], *, code: int = 1000) -> None:
        """Answer the handshake with a page where the engine can, else with its plain 403."""
        self._closed = True
        self._denied = events[0].get("status", 403)
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            events = [{"type": "websocket.close", "code": code}]
        for event in events:
            await self._try_send(event)
        if not self._answered.done():
            self._answered.set_result(None)

    async def _read(self) -> int | None:
        """Pass frames on until the socket closes; returns the close code.

        While too many frames wait for their turn or for room on the bus, the client is not read
        from, so that it waits instead of losing messages.
        """
        if self._options.websocket_timeout is not None:
            self._lifetime = asyncio.get_running_loop().call_later(
                self._options.websocket_timeout, self._end_of_life
            )
        rate = self._message_rate()
        while True:
            event = await self._next_event()
            if event["type"] == "websocket.disconnect":
                return translate.close_code(event)
            if rate is not None and not rate.allows(time.monotonic()):
                await self._end_flood()
                return await self._await_disconnect()
            self._order += 1
            self._bus.replies.duty.received += 1
            content = translate.websocket_receive(
                event,
                reply_channel=self._reply_channel,
                path=self._scope["path"],
                order=self._order,
                request_id=self._request_id,
            )
            if self._traces is not None:
                self._traces.begin(self._order, content, "websocket.receive")
            try:
                await self._lane.receive(content, number=self._order, size=_size(content))
            except MessageTooLarge:
                await self._close(1009)
            if self._traces is not None and not self._lane.ordered:
                self._traces.end(self._order)

    def _message_rate(self) -> Rate | None:
        per_second = self._options.message_rate
        return Rate(per_second, time.monotonic()) if per_second else None

    async def _end_flood(self) -> None:
        self._bus.note(
            "flood_count",
            f"Closed a WebSocket on {self._scope['path']!r:.200} that sent more than "
            f"{self._options.message_rate:g} messages a second",
        )
        await self._close(1008)

    async def _await_disconnect(self) -> int | None:
        """The close code, once the client has answered; what it says meanwhile goes nowhere."""
        while (event := await self._next_event())["type"] != "websocket.disconnect":
            pass
        return translate.close_code(event)

    async def _next_event(self) -> dict[str, Any]:
        """What the client does next; the handshake may have begun to wait for it already."""
        if self._incoming is None:
            return await self._receive()
        incoming, self._incoming = self._incoming, None
        return await incoming

    def _leave_will(self) -> None:
        content = self._disconnect(1006, order=_LAST)
        will = self._bus.layer.prepare("websocket.disconnect", content)
        self._bus.replies.leave_will(self._reply_channel, will)

    async def _tell_the_end(self, code: int | None) -> None:
        content = self._disconnect(code, order=self._order + 1)
        if self._traces is not None:
            self._traces.begin(self._order + 1, content, "websocket.disconnect")
        try:
            await self._lane.finish()
        finally:  # when the server stops, too
            if not self._bus.replies.has_ended(self._reply_channel):
                await self._bus.tell("websocket.disconnect", content, wait=_LAST_WAIT, always=True)
            self._bus.replies.withdraw_will(self._reply_channel)
            if self._traces is not None:
                self._traces.end_all()

    def _disconnect(self, code: int | None, *, order: int) -> dict[str, Any]:
        return translate.websocket_disconnect(
            code,
            reply_channel=self._reply_channel,
            path=self._scope["path"],
            order=order,
            request_id=self._request_id,
        )

    def _end_of_life(self) -> None:
        self._writing = asyncio.create_task(self._close(1000))

    def _log(self, action: str, **more: Any) -> None:
        if self._options.action_logger is not None:
            client = self._scope.get("client")
            details = {
                "path": quote(self._scope["path"]),
                "client": f"{client[0]}:{client[1]}" if client else None,
                "request_id": self._request_id,
                "scheme": self._scope.get("scheme", "ws"),
                "headers": self._scope["headers"],
                **more,
            }
            self._options.action_logger("websocket", action, details)


def _size(content: dict[str, Any]) -> int:
    """What ``content`` weighs while it waits; a bad reply is found out when its turn comes."""
    data = content.get("text") or content.get("bytes")
    return len(data) if isinstance(data, (str, bytes)) else 0
