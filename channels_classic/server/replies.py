"""ReplyListener: one reader per process, to each connection's own queue."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from channels_classic.backoff import Backoff
from channels_classic.exceptions import LayerUnavailable
from channels_classic.server.duty import Duty

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer
    from channels_classic.layers.counters import Counter
    from channels_classic.layers.traffic import Arrival, Envelope
    from channels_classic.server.lane import Lane

logger = logging.getLogger("channels_classic.server")

#: The pause after an error that nobody foresaw, in seconds.
_PAUSE = 1.0
#: The pause between two beats, and how long the process is believed to live after one, in seconds.
BEAT, TTL = 1.0, 10.0
#: How long after its expiry a message may still be taken, in seconds.
LATE = 5.0


#: What is handed out between two pauses: bytes, of which each answer weighs some by itself.
AT_ONCE, _WEIGHT = 256 * 1024, 1024


class Connection(Protocol):
    """What answers are delivered to."""

    def deliver(self, content: dict[str, Any], *, direct: bool) -> None:
        """Take one answer, without waiting; ``direct`` ones are to be reported ``drained``."""


class ReplyListener:
    """Reads what comes for this process and hands it to the connections, by their local names."""

    def __init__(
        self, layer: BaseChannelLayer, on_count: Callable[[str], None] | None = None
    ) -> None:
        self._layer = layer
        self._on_count = on_count
        self.process = f"server.reply.{secrets.token_hex(6)}!"
        self._connections: dict[str, Connection] = {}
        self._lanes: dict[str, Lane] = {}
        #: Connections whose consumers have been told of their end by others.
        self._ended: set[str] = set()
        self._inbox = layer.inbox(self.process, self._connections.__contains__, self._on_receipt)
        #: What this process does.
        self.duty = Duty()
        self._numbers = itertools.count(1)
        #: When this process last read, or tried to; None before it began.
        self.read_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

    # Connections ----------------------------------------------------------------------

    def open(self, connection: Connection) -> str:
        """The reply channel of a new connection."""
        local = f"{next(self._numbers):x}"
        self._connections[local] = connection
        if self._task is None:
            self.start()
        return self.process + local

    def drained(self, reply_channel: str) -> None:
        """One direct answer has reached the client."""
        self._inbox.drained(reply_channel[len(self.process) :])

    def close(self, reply_channel: str) -> None:
        """The connection is over: it leaves its groups, and later answers are dropped."""
        local = reply_channel[len(self.process) :]
        del self._connections[local]
        self._inbox.forget(local)

    def add_lane(self, reply_channel: str, lane: Lane) -> None:
        """Hand receipts to ``lane``, also after the connection's close."""
        self._lanes[reply_channel[len(self.process) :]] = lane

    def remove_lane(self, reply_channel: str) -> None:
        """No receipts are wanted any more."""
        self._lanes.pop(reply_channel[len(self.process) :], None)

    def hurry(self) -> None:
        """No receipts will come any more."""
        for lane in self._lanes.values():
            lane.hurry()

    def leave_will(self, reply_channel: str, will: Envelope) -> None:
        """Have ``will`` sent by others should this process die."""
        self._inbox.leave_will(reply_channel[len(self.process) :], will)

    def withdraw_will(self, reply_channel: str) -> None:
        """The will of the connection was carried out, in person or by others."""
        local = reply_channel[len(self.process) :]
        self._ended.discard(local)
        self._inbox.withdraw_will(local)

    def has_ended(self, reply_channel: str) -> bool:
        """Whether others have carried out the will of the connection."""
        return reply_channel[len(self.process) :] in self._ended

    def count(self, channel: str, counter: str) -> None:
        """Count one more of what ``counter`` says, a value of the layers' ``Counter``."""
        self._inbox.count(channel, cast("Counter", counter))
        if self._on_count is not None:
            self._on_count(counter)

    # Starting and stopping ------------------------------------------------------------

    def start(self) -> None:
        """Begin to read, and to say that this process lives."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="reply listener")
            self._beating = asyncio.create_task(self._beat(), name="beat")

    async def stop(self) -> None:
        """Stop reading, and take the process off the bus."""
        await _end(self._beating)
        await _end(self._task)
        try:
            await self._inbox.close()
            await self._layer.close_async()
        except LayerUnavailable as error:
            logger.warning("Could not leave the channel layer: %s", error)

    async def _beat(self) -> None:
        while True:
            try:
                if await self._inbox.beat(ttl=TTL):
                    for lane in self._lanes.values():
                        lane.doubt()
                self._close_ended(self._inbox.take_ended())
                await self._doubt_old()
                self._inbox.report(self.duty.report(), ttl=TTL)
            except LayerUnavailable:
                pass  # the reader says so
            except Exception:  # a mistake of ours or of a layer's must not end the process's life
                logger.exception("Error while saying that this server lives")
            await asyncio.sleep(BEAT)

    def _close_ended(self, ended: list[str]) -> None:
        """To their consumers these sockets are no more: the clients are to connect again."""
        found = [(local, self._connections[local]) for local in ended if local in self._connections]
        if found:
            logger.warning(
                "This server was cut off for so long that it was taken for dead: closing %d "
                "WebSocket(s) whose consumers have been told so",
                len(found),
            )
        for local, connection in found:
            self._ended.add(local)
            connection.deliver({"close": 1012}, direct=False)

    async def _doubt_old(self) -> None:
        """A message that has expired with no worker there to say so will get no receipt."""
        now = time.monotonic()
        old: dict[str, list[Lane]] = {}
        for lane in self._lanes.values():
            waits = lane.waits_for()
            expiry = self._layer.get_expiry(waits[0]) if waits else None
            if waits and expiry and now - waits[1] > expiry + LATE:
                old.setdefault(waits[0], []).append(lane)
        for channel, lanes in old.items():
            if not await self._layer.has_worker(channel):
                for lane in lanes:
                    lane.doubt()

    # Reading --------------------------------------------------------------------------

    async def _run(self) -> None:
        backoff = Backoff(logger, "No answers reach this server")
        while True:
            self.read_at = time.monotonic()
            try:
                arrivals = await self._inbox.read()
                backoff.worked()
                await self._deliver_all(arrivals)
            except LayerUnavailable as error:
                await asyncio.sleep(backoff.failed(error))
            except Exception:  # a mistake of ours or of a layer's must not silence the server
                logger.exception("Error while reading answers")
                await asyncio.sleep(_PAUSE)

    async def _deliver_all(self, arrivals: list[Arrival]) -> None:
        """With pauses in which the connections pass on what they have got."""
        size = 0
        for arrival in arrivals:
            self._deliver(arrival)
            size += _WEIGHT + sum(map(_length, arrival.content.values()))
            if size > AT_ONCE:
                size = 0
                await asyncio.sleep(0)

    def _deliver(self, arrival: Arrival) -> None:
        for local in arrival.locals:
            connection = self._connections.get(local)
            if connection is None:
                self._late(local, arrival)
                continue
            try:
                connection.deliver(arrival.content, direct=arrival.direct)
            except Exception:  # the others must get theirs
                logger.exception("Error while handing an answer to its connection")

    def _on_receipt(self, local: str, number: int, lost: bool) -> None:
        lane = self._lanes.get(local)
        if lane is not None:
            lane.on_receipt(number, lost)

    def _late(self, local: str, arrival: Arrival) -> None:
        """The client has gone; whoever streams to it is to notice."""
        self._inbox.forget(local)
        if arrival.direct and arrival.content.get("more_content"):
            self._inbox.refuse(local)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes)) else 0


async def _end(task: asyncio.Task[None] | None) -> None:
    while task is not None and not task.done():
        task.cancel()  # again: before Python 3.12 wait_for() may overlook it
        await asyncio.wait([task], timeout=0.1)
