"""Lane: the messages of one connection, on the bus one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from channels_classic.exceptions import LayerUnavailable

if TYPE_CHECKING:
    from channels_classic.layers.traffic import Envelope
    from channels_classic.server.bus import Bus
    from channels_classic.server.options import ServerOptions

logger = logging.getLogger("channels_classic.server")

#: How long a receipt that may be lost is waited for, in seconds.
DOUBT = 3.0

#: The number of no message.
_NONE = -1


class Lane:
    """Sends a message when the one before it has been dealt with: its receipt says so.

    Not ``ordered``, each is sent at once. There is one per socket and most are idle, so that an
    idle one is small: it has no task, no timer and no store.
    """

    __slots__ = (
        "_bus",
        "_bytes",
        "_in_flight",
        "_options",
        "_reply_channel",
        "_sending",
        "_since",
        "_task",
        "_timer",
        "_waiter",
        "_waiting",
        "on_dealt_with",
        "ordered",
    )

    def __init__(
        self, bus: Bus, reply_channel: str, options: ServerOptions, *, ordered: bool
    ) -> None:
        self.ordered = ordered
        #: Told the number of each message that has been dealt with, and whether it is lost.
        self.on_dealt_with: Callable[[int, bool], None] | None = None
        self._bus = bus
        self._reply_channel = reply_channel
        self._options = options
        #: The number of the message whose receipt is to come, and while its send is under way.
        self._in_flight = _NONE
        self._sending = _NONE
        self._since = 0.0
        #: Number, message and size of each that waits; the bytes of all of them.
        self._waiting: deque[tuple[int, Envelope, int]] | None = None
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # Sending --------------------------------------------------------------------------

    async def connect(self, content: dict[str, Any], *, wait: float) -> None:
        """Send the ``websocket.connect`` message, number 0, within ``wait`` seconds.

        Raises ``ChannelFull``, ``LayerUnavailable`` or ``MessageTooLarge``.
        """
        await self._put(0, self._prepare(0, content), wait=wait)

    async def receive(self, content: dict[str, Any], *, number: int, size: int) -> None:
        """Send a ``websocket.receive`` message in its turn; return when there is room for more.

        ``size`` counts its bytes while it waits. Raises ``MessageTooLarge``.
        """
        envelope = self._prepare(number, content)
        if not self.ordered:
            await self._flush()
            await self._put_or_doubt(number, envelope)
        elif self._in_flight == _NONE:
            await self._put_or_doubt(number, envelope)
        else:
            self._waiting = self._waiting or deque()
            self._waiting.append((number, envelope, size))
            self._bytes += size
            while self.ordered and self._is_full():
                await self._next_change()

    def _prepare(self, number: int, content: dict[str, Any]) -> Envelope:
        lane = f"{self._reply_channel} {number}" if self.ordered else ""
        return self._bus.layer.prepare(_channel(number), content, lane=lane)

    async def _put(self, number: int, envelope: Envelope, *, wait: float | None) -> None:
        self._in_flight = self._sending = number
        self._since = time.monotonic()
        try:
            await self._bus.put(envelope, wait=wait)
        except asyncio.CancelledError:
            self._bus.replies.count(envelope.name, "in_doubt_count")
            raise
        finally:
            if self._sending == number:  # its receipt may have been faster
                self._sending = _NONE

    async def _put_or_doubt(self, number: int, envelope: Envelope) -> None:
        try:
            await self._put(number, envelope, wait=None)
            return
        except LayerUnavailable as error:
            text = f"A message of a WebSocket may be lost: {error}"
            self._bus.say(logging.ERROR, "in doubt", text)
        except Exception:  # a mistake of ours or of a layer's must not stop the lane
            logger.exception("Error while sending a message of a WebSocket")
        if not self.ordered:  # nobody will ever know
            self._bus.replies.count(envelope.name, "in_doubt_count")
        elif self._in_flight == number:
            self.doubt()

    def _is_full(self) -> bool:
        options = self._options
        return self._waiting is not None and (
            len(self._waiting) >= options.max_lane or self._bytes >= options.max_lane_bytes
        )

    # What becomes of the message on the bus ---------------------------------------------

    def on_receipt(self, number: int, lost: bool) -> None:
        """The message with ``number`` has been dealt with; ``lost``: nobody knows how far."""
        if number != self._in_flight:
            return  # it was given up
        if lost:
            self._say_lost("its worker died, or nobody took it in time")
        self._go_on(lost=lost)

    def doubt(self) -> None:
        """The receipt of the message on the bus may never come: do not wait for long."""
        if self._in_flight != _NONE and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DOUBT, self._give_up)

    def waits_for(self) -> tuple[str, float] | None:
        """The channel of the message on the bus, and since when it is there; None without one."""
        if self._in_flight in (_NONE, self._sending):
            return None
        return _channel(self._in_flight), self._since

    def _give_up(self) -> None:
        self._timer = None
        if self._sending == self._in_flight:  # it is not on the bus yet
            self.doubt()
            return
        self._bus.replies.count(_channel(self._in_flight), "lost_count")
        self._say_lost("the bus has lost it, or its receipt")
        self._go_on(lost=True)

    def _say_lost(self, why: str) -> None:
        text = f"Lost message {self._in_flight} of the WebSocket {self._reply_channel}: {why}"
        self._bus.say(logging.WARNING, "lost", text)

    def _go_on(self, *, lost: bool) -> None:
        if self.on_dealt_with is not None:
            self.on_dealt_with(self._in_flight, lost)
        self._in_flight = _NONE
        self._stop_timer()
        if self._waiting:
            number, envelope, size = self._waiting.popleft()
            self._waiting = self._waiting or None
            self._bytes -= size
            self._in_flight = self._sending = number  # the task begins later
            self._task = asyncio.create_task(self._put_or_doubt(number, envelope))
        self._wake()

    # Waiting, and the end ---------------------------------------------------------------

    async def finish(self) -> None:
        """Return once all messages have been dealt with.

        When there is no time for that, what waits is sent at once, in its order.
        """
        try:
            while self.ordered and self._in_flight != _NONE:
                await self._next_change()
        finally:
            self.ordered = False
            self._stop_timer()
            await self._flush()

    def hurry(self) -> None:
        """The server stops: no receipts come any more."""
        self.ordered = False
        self._wake()

    async def _flush(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            self._bytes = 0
            await self._bus.put_all([envelope for _, envelope, _ in waiting])

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _next_change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _channel(number: int) -> str:
    return "websocket.receive" if number else "websocket.connect"
