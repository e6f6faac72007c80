"""The two ends of the bus, a worker's and a server's, made of the classic verbs of any layer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from channels_classic.layers.counters import Counter
from channels_classic.layers.traffic import Arrival, Content, Delivery, Envelope, Exchange

if TYPE_CHECKING:
    from channels_classic.layers.base import BaseChannelLayer

logger = logging.getLogger("channels_classic.layers")

#: Whether a connection, by its local part, is still there.
IsOpen = Callable[[str], bool]
#: Told, with local part and number, that a message of a lane has been dealt with; True: it is
#: lost, as its worker died or it expired.
OnReceipt = Callable[[str, int, bool], None]

#: How long sends to a closed connection are refused once it was noticed, in seconds.
GONE = 60.0

#: The channel of the last message of a connection: what is attached to one outlives its close for
#: as long as that message may wait.
LAST = "websocket.disconnect"


def always_open(local: str) -> bool:
    """For readers without connections that close."""
    return True


def no_receipts(local: str, number: int, lost: bool) -> None:
    """For readers that send nothing with a lane."""


class Receiver:
    """One worker thread's end of the bus: answers out and new messages in, in one call."""

    def __init__(self, layer: BaseChannelLayer, channels: Sequence[str]) -> None:
        self.layer = layer
        self.channels = list(channels)

    def exchange(
        self,
        *,
        done: Sequence[Delivery],
        sends: Sequence[Envelope],
        limit: int,
        timeout: float,
    ) -> Exchange:
        """Acknowledge ``done``, put ``sends`` on the bus, wait for up to ``limit`` messages.

        Returns after ``timeout`` seconds when nothing came. ``limit`` is per channel, so that a
        busy channel never starves a quiet one. The lanes of ``done`` get their receipts, behind
        the sends. Raises ``LayerUnavailable``; to acknowledge once more is harmless.
        """
        refused = self.layer.deliver(sends) if sends else []
        channel, content = self.layer.receive(self.channels, block=timeout > 0)
        if channel is None or content is None:
            return Exchange([], refused)
        attempts = content.pop("__retries__", 0)
        known = isinstance(attempts, int)  # anybody may have sent it, with anything in it
        return Exchange([Delivery(channel, content, attempts=attempts if known else 0)], refused)

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        """``exchange`` without taking anything new; returns the refused sends."""
        return self.layer.deliver(sends) if sends else []

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        """``settle`` from an event loop, beside a thread that waits in ``exchange``."""
        return await self.layer.deliver_async(sends)

    def waited(self, delivery: Delivery) -> float | None:
        """For how many seconds a message in hand has been on the bus; None if nobody knows."""
        return None

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Put messages that were taken and not started back, for other workers. Thread-safe.

        Here, what finds its channel full by now is counted, logged and lost.
        """
        for delivery in deliveries:
            again = self.layer.prepare(
                delivery.channel, delivery.content, attempts=delivery.attempts
            )
            if self.layer.deliver([again]):
                self.layer.note(delivery.channel, Counter.DROPPED, detail="given back, but full")

    def close(self) -> None:
        """Leave the bus; what is still in hand is not given back by this."""


class Inbox:
    """One interface server's end of the bus: everything meant for its connections.

    All but ``read``, ``beat`` and ``close`` return at once.
    """

    def __init__(self, layer: BaseChannelLayer, process: str) -> None:
        self.layer = layer
        self.process = process

    async def read(self) -> list[Arrival]:
        """What has come, in order, waiting for it; an empty list after some quiet seconds.

        Receipts are handed to ``on_receipt`` meanwhile.
        """
        channel, content = await self.layer.receive_async([self.process])
        if channel is None or content is None:
            return []
        return [Arrival((channel[len(self.process) :],), content)]

    async def beat(self, *, ttl: float) -> bool:
        """Say that this server lives, for the next ``ttl`` seconds; put due messages in its inbox.

        True when the bus has lost some of what it held since the last beat. The memberships of
        this server's connections are then restored, and messages that wait for a receipt may be
        lost. Raises ``LayerUnavailable``.
        """
        return False

    def report(self, content: Content, *, ttl: float) -> None:
        """``Ledger.report`` of this server, with its groups; nobody waits for it.

        Added are ``groups``, their number, and ``largest``, the members here of some of them.
        """

    def leave_will(self, local: str, will: Envelope) -> None:
        """Have ``will`` sent if this server dies while the connection is open.

        Ends with ``withdraw_will``, which is for when the same was sent in person.
        """

    def withdraw_will(self, local: str) -> None:
        """``will`` is not to be sent."""

    def take_ended(self) -> list[str]:
        """Connections whose will others have sent since the last call.

        They took this server for dead, as it was cut off for too long.
        """
        return []

    def drained(self, local: str) -> None:
        """One direct message has reached the client of ``local``: its sender may send more."""

    def forget(self, local: str) -> None:
        """The connection is closed: end its memberships and what was kept for it."""

    def refuse(self, local: str) -> None:
        """Somebody still sends to the closed connection: answer that it is full, and gone."""

    def count(self, channel: str, counter: Counter, number: int = 1) -> None:
        """Add to a counter; nobody waits for it."""

    async def close(self) -> None:
        """The server stops: no process, group or connection of it stays on the bus."""
