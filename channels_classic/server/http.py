"""HttpConnection: one request, from its body to the last part of the answer."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from channels_classic import tracing
from channels_classic.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.log import serving
from channels_classic.server import ids, traces, translate
from channels_classic.server.answers import Answers
from channels_classic.server.bus import Bus
from channels_classic.server.client import ClientGone, Failure, Receive, Send
from channels_classic.server.events import EventStream, stream_of
from channels_classic.server.upload import Upload

if TYPE_CHECKING:
    from channels_classic.server.options import ServerOptions

logger = logging.getLogger("channels_classic.server")

#: An answer that comes this soon needs no watch for a client that leaves.
_SOON = 0.05
#: Where a request can only come once the body of the last has been read.
_ONE_BY_ONE = ("1.0", "1.1")


class HttpConnection:
    """Sends one ``http.request`` and passes the answer on, part by part."""

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
        self._upload = Upload(scope, receive, bus=bus, options=options)
        self._answers = Answers(options)
        self._arrived: asyncio.Future[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._cut: asyncio.Timeout | None = None
        self._stream: EventStream | None = None
        self._request_id = ""
        self._span = tracing.NOTHING
        self._status = 0
        self._size = 0

    def deliver(self, content: dict[str, Any], *, direct: bool) -> None:
        """One part of the answer has come; a view may have left it to a group."""
        self._answers.add(content, direct=direct)
        if self._answers.are_too_many:
            self._overflow()
        self._wake()

    def end_stream(self) -> None:
        """End an event stream, as the server stops: its client comes back, to another one."""
        self._answers.end()
        self._wake()

    async def run(self) -> None:
        """Serve the request; when this returns, the answer is complete or the client gone."""
        began = time.monotonic()
        reply_channel = self._bus.replies.open(self)
        duty = self._bus.replies.duty
        duty.requests += 1
        duty.answering += 1
        self._request_id = ids.request_id(self._scope, reply_channel)
        try:
            with serving(self._request_id), traces.request(self._scope) as self._span:
                try:
                    await self._serve_or_fail(reply_channel)
                finally:
                    traces.answered(self._span, self._status, self._request_id)
        finally:
            if self._leaving is not None:
                self._leaving.cancel()
            self._upload.close()
            duty.answering -= 1
            self._bus.streams.discard(self)
            duty.streams = len(self._bus.streams)
            self._bus.replies.close(reply_channel)
        self._log(time.monotonic() - began)

    async def _serve_or_fail(self, reply_channel: str) -> None:
        try:
            await self._serve(reply_channel)
        except Failure as failure:
            await self._fail(failure)
        except ClientGone:
            logger.debug("A client left before it had the answer to %s", self._scope["path"])

    async def _serve(self, reply_channel: str) -> None:
        if not await self._bus.has_worker("http.request"):
            raise _unavailable("No worker is running to serve this page.")
        await self._ask(reply_channel, await self._upload.read())
        try:
            await self._answer_while_read(reply_channel)
        except Failure:
            await self._upload.abandon()
            raise
        except ClientGone:
            await self._upload.abandon()
            content = translate.http_disconnect(
                self._scope, reply_channel=reply_channel, request_id=self._request_id
            )
            self._span.carry(content)
            await self._bus.tell("http.disconnect", content)
            raise

    async def _ask(self, reply_channel: str, body: bytes) -> None:
        """Send the request; a long body follows in parts."""
        content = translate.http_request(
            self._scope,
            reply_channel=reply_channel,
            root_path=self._options.root_path,
            body=body,
            body_channel=self._upload.channel,
            request_id=self._request_id,
        )
        self._span.carry(content)
        try:
            await self._bus.send("http.request", content, wait=self._options.full_wait)
        except ChannelFull:
            raise _unavailable("The server is busy.") from None
        except LayerUnavailable:
            raise _unavailable("The server cannot reach its workers.") from None
        except MessageTooLarge as error:
            raise Failure(431, "Request too large", "The request head is too large.") from error
        self._upload.feed()

    # The answer -----------------------------------------------------------------------

    async def _answer_while_read(self, reply_channel: str) -> None:
        """``_answer``, unless it is cut."""
        try:
            async with asyncio.timeout(None) as cut:
                self._cut = cut
                await self._answer(reply_channel)
        except TimeoutError:
            if not cut.expired():
                raise
            raise Failure(503, "Service unavailable", "The client does not read.") from None
        finally:
            self._cut = None

    async def _answer(self, reply_channel: str) -> None:
        more = True
        while more:
            content, direct = await self._next_answer()
            try:
                events = translate.http_events(content, started=bool(self._status))
            except translate.BadReply as error:
                logger.error("Bad answer to %s: %s", self._scope["path"], error)
                raise Failure(500, "Server error", "The answer could not be sent.") from error
            for event in events:
                await self._pass_on(event)
            self._note_stream(content, events)
            more = not events or events[-1]["more_body"]
            if more:  # the sender may go on; after the last part all is forgotten anyway
                if direct:
                    self._bus.replies.drained(reply_channel)
                self._check_client()

    async def _pass_on(self, event: dict[str, Any]) -> None:
        self._status = event.get("status", self._status)
        self._size += len(event.get("body", b""))
        await self._send(event)

    async def _next_answer(self) -> tuple[dict[str, Any], bool]:
        if not self._answers:
            await self._wait()
        return self._answers.take()

    async def _wait(self) -> None:
        """Wait for the next part, while the client is there, for ``http_timeout`` at most.

        The time begins anew with each part of the body that the worker takes. An event stream
        gets its heartbeats meanwhile, and lives on if nobody is at work on it.
        """
        began = asyncio.get_running_loop().time()
        pause = self._stream.pause if self._stream is not None else math.inf
        while not self._answers:
            left = self._time_left(began)
            if left <= 0:
                text = "The application did not answer in time."
                raise Failure(504, "Gateway timeout", text, retry_after=5)
            await self._wait_once(min(left, pause))
            if pause <= left and not self._answers:
                await self._beat()

    def _time_left(self, began: float) -> float:
        if self._stream is not None and self._stream.is_endless:
            return math.inf
        since = max(began, self._upload.taken_at)
        return since + self._options.http_timeout - asyncio.get_running_loop().time()

    async def _beat(self) -> None:
        self._answers.forget_replay()
        if self._stream is not None and (beat := self._stream.beat()):
            await self._pass_on({"type": "http.response.body", "body": beat, "more_body": True})

    async def _wait_once(self, seconds: float) -> None:
        """Return when a part has come, or after ``seconds``; ``ClientGone`` if so."""
        loop = asyncio.get_running_loop()
        arrived = self._arrived = loop.create_future()
        # Most answers come soon: only then is the rest worth its cost.
        timer = loop.call_later(_SOON, self._wait_longer, seconds)
        try:
            await arrived
        finally:
            timer.cancel()
            if self._late is not None:
                self._late.cancel()

    def _wait_longer(self, seconds: float) -> None:
        if self._watch_client().done():
            self._on_left()
        elif seconds < math.inf:
            loop = asyncio.get_running_loop()
            self._late = loop.call_later(max(0, seconds - _SOON), self._wake)

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _watch_client(self) -> asyncio.Task[None]:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._left())
            self._leaving.add_done_callback(self._on_left)
        return self._leaving

    def _on_left(self, *task: object) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(ClientGone())

    def _check_client(self) -> None:
        if self._watch_client().done():
            raise ClientGone

    async def _left(self) -> None:
        """Return when the client has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _note_stream(self, content: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Whether the answer is an event stream is known by its head."""
        if self._stream is None and len(events) == 2:
            self._stream = stream_of(
                events[0]["headers"],
                heartbeat=self._options.heartbeat,
                own_heartbeat=content.get("heartbeat"),
            )
            if self._stream is not None:
                self._bus.streams.add(self)
                self._bus.replies.duty.streams = len(self._bus.streams)
        if self._stream is not None and events:
            self._stream.passed_on(events[-1]["body"])

    def _overflow(self) -> None:
        """Cut the answer: its client does not read what groups send."""
        if self._cut is None or self._cut.when() is not None:
            return
        self._bus.replies.count(self._bus.replies.process, "overflow_count")
        text = (
            f"Cut an answer to {self._scope['path']}, whose client does not read: "
            f"{self._answers.pending} messages ({self._answers.pending_bytes} bytes) waited"
        )
        self._bus.say(logging.WARNING, "overflow", text)
        self._cut.reschedule(0)

    async def _fail(self, failure: Failure) -> None:
        """Answer with the page of the failure, or cut the connection if an answer has begun."""
        if self._status:
            logger.error("Cut an answer to %s short: %s", self._scope["path"], failure)
            raise failure
        head, body = failure.events
        if not self._upload.has_more or self._scope.get("http_version") not in _ONE_BY_ONE:
            await self._pass_on(head)
            await self._pass_on(body)
            return
        head["headers"].append((b"connection", b"close"))
        await self._pass_on(head)
        await self._pass_on({**body, "more_body": True})
        await self._upload.linger()
        await self._pass_on({**body, "body": b""})

    def _log(self, seconds: float) -> None:
        if self._options.action_logger is None:
            return
        query = self._scope.get("query_string", b"").decode("latin-1")
        client = self._scope.get("client")
        details = {
            "path": quote(self._scope["path"]) + (f"?{query}" if query else ""),
            "status": self._status,
            "method": self._scope["method"],
            "client": f"{client[0]}:{client[1]}" if client else None,
            "time_taken": seconds,
            "size": self._size,
            "request_id": self._request_id,
            "scheme": self._scope.get("scheme", "http"),
            "http_version": self._scope.get("http_version", "1.1"),
            "headers": self._scope["headers"],
        }
        if trace := self._span.trace_id:
            details["trace_id"] = trace
        self._options.action_logger("http", "complete", details)


def _unavailable(text: str) -> Failure:
    return Failure(503, "Service unavailable", text, retry_after=1)
