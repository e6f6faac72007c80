"""Upload: the body of one request, from its client to the worker that takes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from channels_classic.exceptions import ChannelFull, LayerUnavailable
from channels_classic.server.body import Spool
from channels_classic.server.client import ClientGone, Failure, Receive

if TYPE_CHECKING:
    from channels_classic.server.bus import Bus
    from channels_classic.server.options import ServerOptions
    from channels_classic.server.translate import Scope

logger = logging.getLogger("channels_classic.server")

#: How long a client that still sends its body may take to see that it was refused, in seconds.
LINGER = 2.0


class Upload:
    """Read it whole first: a slow client occupies this server, never a worker."""

    def __init__(self, scope: Scope, receive: Receive, *, bus: Bus, options: ServerOptions) -> None:
        self._scope = scope
        self._receive = receive
        self._bus = bus
        self._options = options
        self._spool: Spool | None = None
        self._rest: AsyncIterator[bytes] | None = None
        self._feeding: asyncio.Task[None] | None = None
        #: Whether the client has more of it to send.
        self.has_more = _has_body(scope)
        #: What carries all but the start of a long one.
        self.channel: str | None = None
        #: When the worker last took a part, by the event loop's clock.
        self.taken_at = 0.0

    # From the client ------------------------------------------------------------------------

    async def read(self) -> bytes:
        """All of it, or of a long one the start; ``feed`` sends what is left.

        Raises ``ClientGone``, and ``Failure`` for one that is too long or cannot be stored.
        """
        self._check_length(self._announced_length())
        body = await self.next_part()
        self._check_length(len(body))
        if not self.has_more and len(body) <= self._options.body_part:
            return body
        spool = self._spool = Spool()
        await self._keep(body)
        while self.has_more:
            body = await self.next_part()
            self._check_length(spool.size + len(body))
            await self._keep(body)
        parts = spool.parts(self._options.body_part)
        if spool.size > self._options.body_part:
            self.channel = self._bus.layer.new_channel("http.request.body?")
            self._rest = parts
        try:
            return await anext(parts, b"")
        except OSError as error:
            raise self._no_room(error) from error

    async def next_part(self) -> bytes:
        """What the client sends next, or ``ClientGone``."""
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        self.has_more = event.get("more_body", False)
        part: bytes = event.get("body", b"")
        return part

    async def linger(self) -> None:
        """Read on for a while: a client whose connection is cut while it sends sees no answer."""
        with contextlib.suppress(ClientGone, TimeoutError):
            async with asyncio.timeout(LINGER):
                while self.has_more:
                    await self.next_part()

    def _announced_length(self) -> int:
        lengths = [value for name, value in self._scope["headers"] if name == b"content-length"]
        return int(lengths[0]) if lengths and lengths[0].isdigit() else 0

    def _check_length(self, length: int) -> None:
        if length > self._options.max_body:
            text = f"The request body may have {self._options.max_body:,} bytes at most."
            raise Failure(413, "Content too large", text)

    async def _keep(self, part: bytes) -> None:
        if self._spool is not None:
            try:
                await self._spool.add(part)
            except OSError as error:
                raise self._no_room(error) from error

    def _no_room(self, error: OSError) -> Failure:
        text = f"Cannot store the body of a request to {self._scope['path']}: {error}"
        self._bus.say(logging.ERROR, "no room", text)
        return Failure(507, "Insufficient storage", "The server has no room for this request body.")

    # To the worker --------------------------------------------------------------------------

    def feed(self) -> None:
        """Begin to send what ``read`` has left, by a task of its own."""
        if self._rest is not None and self._spool is not None and self.channel is not None:
            left = self._spool.size - self._options.body_part
            self._feeding = asyncio.create_task(self._feed(self.channel, self._rest, left))

    async def _feed(self, channel: str, rest: AsyncIterator[bytes], left: int) -> None:
        """No faster than the worker takes it."""
        try:
            async for part in rest:
                left -= len(part)
                content = {"content": part, "more_content": left > 0}
                await self._bus.send(channel, content, wait=self._options.http_timeout)
                self.taken_at = asyncio.get_running_loop().time()
        except (ChannelFull, LayerUnavailable, OSError) as error:
            logger.warning("The body of a request did not get through: %s", error)

    async def abandon(self) -> None:
        """The worker that waits for the rest of the body need not wait any longer."""
        if self._feeding is None or self.channel is None or self._feeding.done():
            return
        self._feeding.cancel()
        with contextlib.suppress(ChannelFull, LayerUnavailable):  # it gives up by itself, later
            await self._bus.send(self.channel, {"closed": True}, wait=self._options.full_wait)

    def close(self) -> None:
        """Forget it."""
        if self._feeding is not None:
            self._feeding.cancel()
        if self._spool is not None:
            self._spool.close()


def _has_body(scope: Scope) -> bool:
    """Whether a request comes with a body, as its headers tell."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            return True
    return False
