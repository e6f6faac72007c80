"""HttpConnection: one request, from its body to the last part of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from channels_classic.exceptions import ChannelFull, LayerUnavailable, MessageTooLarge
from channels_classic.server import translate
from channels_classic.server.bus import Bus

if TYPE_CHECKING:
    from channels_classic.server.options import ServerOptions

logger = logging.getLogger("channels_classic.server")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: An answer that comes this soon needs no watch for a client that leaves.
_SOON = 0.05


class ClientGone(Exception):
    """The client closed the connection."""


class Failure(Exception):
    """The server answers by itself: status, title, text and the Retry-After in seconds."""

    def __init__(self, status: int, title: str, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.events = translate.error_events(status, title, text, retry_after=retry_after)


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
        self._answers: deque[tuple[dict[str, Any], bool]] = deque()
        self._body_channel: str | None = None
        self._file: BinaryIO | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._late: asyncio.TimerHandle | None = None
        self._status = 0
        self._size = 0

    def deliver(self, content: dict[str, Any], *, direct: bool) -> None:
        """One part of the answer has come; a view may have left it to a group."""
        self._answers.append((content, direct))
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def run(self) -> None:
        """Serve the request; when this returns, the answer is complete or the client gone."""
        began = time.monotonic()
        reply_channel = self._bus.replies.open(self)
        try:
            await self._serve(reply_channel)
        except Failure as failure:
            await self._fail(failure)
        except ClientGone:
            logger.debug("A client left before it had the answer to %s", self._scope["path"])
        finally:
            for ending in (self._leaving, self._feeding):
                if ending is not None:
                    ending.cancel()
            if self._file is not None:
                self._file.close()
            self._bus.replies.close(reply_channel)
        self._log(time.monotonic() - began)

    async def _serve(self, reply_channel: str) -> None:
        if not await self._bus.has_worker("http.request"):
            raise _unavailable("No worker is running to serve this page.")
        await self._ask(reply_channel, await self._read_body())
        try:
            await self._answer(reply_channel)
        except Failure:
            await self._abandon_body()
            raise
        except ClientGone:
            await self._abandon_body()
            content = translate.http_disconnect(self._scope, reply_channel=reply_channel)
            await self._bus.tell("http.disconnect", content)
            raise

    # The request ----------------------------------------------------------------------

    async def _read_body(self) -> bytes | BinaryIO:
        """The whole body: bytes when it is short, else a temporary file at its start.

        A slow client occupies this server, never a worker.
        """
        self._check_length(self._announced_length())
        event = await self._next_event()
        body: bytes = event.get("body", b"")
        self._check_length(len(body))
        if not event.get("more_body") and len(body) <= self._options.body_part:
            return body
        file = self._file = _spool(body)
        while event.get("more_body"):
            event = await self._next_event()
            file.write(event.get("body", b""))
            self._check_length(file.tell())
        is_short = file.tell() <= self._options.body_part
        file.seek(0)
        return file.read() if is_short else file

    async def _next_event(self) -> dict[str, Any]:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        return event

    def _announced_length(self) -> int:
        lengths = [value for name, value in self._scope["headers"] if name == b"content-length"]
        return int(lengths[0]) if lengths and lengths[0].isdigit() else 0

    def _check_length(self, length: int) -> None:
        if length > self._options.max_body:
            text = f"The request body may have {self._options.max_body:,} bytes at most."
            raise Failure(413, "Content too large", text)

    async def _ask(self, reply_channel: str, body: bytes | BinaryIO) -> None:
        """Send the request; a long body follows in parts, by a task of its own."""
        if isinstance(body, bytes):
            first = body
        else:
            first = body.read(self._options.body_part)
            self._body_channel = self._bus.layer.new_channel("http.request.body?")
        content = translate.http_request(
            self._scope,
            reply_channel=reply_channel,
            root_path=self._options.root_path,
            body=first,
            body_channel=self._body_channel,
        )
        try:
            await self._bus.send("http.request", content, wait=self._options.full_wait)
        except ChannelFull:
            raise _unavailable("The server is busy.") from None
        except LayerUnavailable:
            raise _unavailable("The server cannot reach its workers.") from None
        except MessageTooLarge as error:
            raise Failure(431, "Request too large", "The request head is too large.") from error
        if not isinstance(body, bytes) and self._body_channel is not None:
            self._feeding = asyncio.create_task(self._feed(self._body_channel, body))

    async def _feed(self, channel: str, body: BinaryIO) -> None:
        """The rest of the body, no faster than the worker takes it."""
        part = body.read(self._options.body_part)
        while part:
            following = body.read(self._options.body_part)
            content = {"content": part, "more_content": bool(following)}
            try:
                await self._bus.send(channel, content, wait=self._options.http_timeout)
            except (ChannelFull, LayerUnavailable) as error:
                logger.warning("The body of a request did not get through: %s", error)
                return
            part = following

    async def _abandon_body(self) -> None:
        """The worker that waits for the rest of the body need not wait any longer."""
        if self._feeding is None or self._body_channel is None or self._feeding.done():
            return
        self._feeding.cancel()
        with contextlib.suppress(ChannelFull, LayerUnavailable):  # it gives up by itself, later
            wait = self._options.full_wait
            await self._bus.send(self._body_channel, {"closed": True}, wait=wait)

    # The answer -----------------------------------------------------------------------

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
        return self._answers.popleft()

    async def _wait(self) -> None:
        """Wait for an answer, while the client is there, for ``http_timeout`` at most."""
        loop = asyncio.get_running_loop()
        self._arrived = loop.create_future()
        # Most answers come soon: only then is the rest worth its cost.
        timer = loop.call_later(_SOON, self._wait_longer, self._arrived)
        try:
            await self._arrived
        finally:
            timer.cancel()
            if self._late is not None:
                self._late.cancel()

    def _wait_longer(self, arrived: asyncio.Future[None]) -> None:
        self._watch_client().add_done_callback(lambda _: _give_up(arrived, ClientGone()))
        text = "The application did not answer in time."
        failure = Failure(504, "Gateway timeout", text, retry_after=5)
        self._late = asyncio.get_running_loop().call_later(
            self._options.http_timeout, _give_up, arrived, failure
        )

    def _watch_client(self) -> asyncio.Task[None]:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._left())
        return self._leaving

    def _check_client(self) -> None:
        if self._watch_client().done():
            raise ClientGone

    async def _left(self) -> None:
        """Return when the client has gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _fail(self, failure: Failure) -> None:
        """Answer with the page of the failure, or cut the connection if an answer has begun."""
        if self._status:
            logger.error("Cut an answer to %s short: %s", self._scope["path"], failure)
            raise failure
        for event in failure.events:
            await self._pass_on(event)

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
        }
        self._options.action_logger("http", "complete", details)


def _give_up(arrived: asyncio.Future[None], error: Exception) -> None:
    if not arrived.done():
        arrived.set_exception(error)


def _spool(start: bytes) -> BinaryIO:
    file = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115 - closed by run
    file.write(start)
    return file  # type: ignore[return-value]


def _unavailable(text: str) -> Failure:
    return Failure(503, "Service unavailable", text, retry_after=1)
