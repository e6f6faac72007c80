"""What goes in and out at the two ends of a channel layer."""

from __future__ import annotations

from typing import Any, NamedTuple

Content = dict[str, Any]


class Envelope(NamedTuple):
    """One send, checked and encoded: ready to be put on the bus at any time."""

    name: str
    payload: Any
    to_group: bool = False
    #: Who gets the receipt once the message has been dealt with: "<reply channel> <number>".
    lane: str = ""
    #: Seconds until the message is put on its channel.
    delay: float = 0
    #: How often its consumer was run before, and how many of those runs ended the worker.
    attempts: int = 0
    crashes: int = 0


class Delivery(NamedTuple):
    """One message in a worker's hands, until it is acknowledged."""

    channel: str
    content: Content
    token: Any = None
    #: See ``Envelope``.
    lane: str = ""
    attempts: int = 0
    crashes: int = 0
    #: The content as it was on the bus, to be sent again unchanged; None if the layer keeps none.
    payload: Any = None


class Exchange(NamedTuple):
    """What one round trip of a worker brought: new messages, and sends that were refused."""

    deliveries: list[Delivery]
    refused: list[Envelope]


class Pulse(NamedTuple):
    """What one beat of a worker process brought."""

    #: Messages that dead workers left behind; they are now in the hands of the one who asked.
    lapsed: list[Delivery]
    #: Seconds until the next delayed message is due, if one is known.
    next_due: float | None = None


class Load(NamedTuple):
    """What waits on one plain channel, and what is done about it."""

    #: Messages that no worker has taken, and for how many seconds the first of them has waited.
    waiting: int
    oldest: float
    #: Messages that workers have dealt with; see ``Counter.COMPLETED``.
    completed: int
    #: Live worker processes that read the channel.
    workers: int


class Arrival(NamedTuple):
    """One message for connections of this process, named by their local parts."""

    locals: tuple[str, ...]
    content: Content
    #: Sent to the one connection itself, so its sender waits for ``Inbox.drained``.
    direct: bool = True


class DeadLetter(NamedTuple):
    """A message that was given up, and why."""

    id: str
    channel: str
    #: None when it cannot be decoded with this layer's keys.
    content: Content | None
    attempts: int
    #: One line, and the whole traceback; empty where there was no exception.
    error: str
    traceback: str
    worker: str
    #: When it was given up, in seconds since 1970.
    died: float


class Reasons(NamedTuple):
    """Why a message is given up: the part of a dead letter that only the worker knows."""

    error: str
    traceback: str = ""
    worker: str = ""


def lane_of(reply_channel: str, number: int) -> str:
    """The ``lane`` of the message with ``number`` from ``reply_channel``."""
    return f"{reply_channel} {number}"


def split_lane(lane: str) -> tuple[str, int] | None:
    """The reply channel and the number in ``lane``; None when it is not one of ours."""
    reply_channel, _, number = lane.partition(" ")
    if "!" in reply_channel and number.isdecimal() and len(number) < 20:
        return reply_channel, int(number)
    return None
