"""The contract every channel layer keeps: names, sizes, capacity, and the verbs of the bus."""

from __future__ import annotations

import asyncio
import copy
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from channels_classic.exceptions import ChannelFull, InvalidContent, InvalidName, MessageTooLarge
from channels_classic.layers.names import (
    compile_capacities,
    non_local_name,
    positive,
    random_letters,
    valid_channel_name,
    valid_group_name,
)

logger = logging.getLogger("channels_classic.layers")

Content = dict[str, Any]
#: Whether a connection, by its local part, is still there.
IsOpen = Callable[[str], bool]
Received = tuple[str, Content] | tuple[None, None]

#: How long sends to a closed connection are refused once it was noticed, in seconds.
GONE = 60.0
#: How often ``receive_async`` asks, and its pause between two tries in seconds: for 5 s in all.
_POLLS = 500
_PAUSE = 0.01


def always_open(local: str) -> bool:
    """For readers without connections that close."""
    return True


class Envelope(NamedTuple):
    """One send, checked and encoded: ready to be put on the bus at any time."""

    name: str
    payload: Any
    to_group: bool = False


class Delivery(NamedTuple):
    """One message in a worker's hands, until it is acknowledged."""

    channel: str
    content: Content
    token: Any = None


class Arrival(NamedTuple):
    """One message for connections of this process, named by their local parts."""

    locals: tuple[str, ...]
    content: Content
    #: Sent to the one connection itself, so its sender waits for ``Inbox.drained``.
    direct: bool = True


class Exchange(NamedTuple):
    """What one round trip of a worker brought: new messages, and sends that were refused."""

    deliveries: list[Delivery]
    refused: list[Envelope]


class BaseChannelLayer:
    """What users, workers and servers call; a layer of your own defines the classic verbs.

    The classic verbs are ``send``, ``receive``, ``new_channel``, the groups and ``flush``. The
    others have a default made of those, which a layer overrides to be faster.

    ``expiry`` and ``group_expiry`` are seconds. ``capacity`` counts the messages that wait on one
    channel; ``channel_capacity`` maps patterns (globs, or compiled regular expressions) to other
    capacities, the first match wins. ``max_message_size`` counts bytes after encoding.
    """

    extensions: ClassVar[list[str]] = []
    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(
        self,
        *,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[str | re.Pattern[str], int] | None = None,
        max_message_size: int = 1024 * 1024,
    ) -> None:
        self.expiry = positive("expiry", expiry)
        self.group_expiry = positive("group_expiry", group_expiry)
        self.capacity = positive("capacity", capacity)
        self.max_message_size = positive("max_message_size", max_message_size)
        self.channel_capacity = compile_capacities(channel_capacity or {})
        self._capacities: dict[str, int] = {}

    # The classic verbs ----------------------------------------------------------------

    def send(self, channel: str, content: Content) -> None:
        """Put ``content`` on ``channel``, never waiting.

        Raises ``ChannelFull``, ``MessageTooLarge``, ``InvalidName``, ``InvalidContent`` or
        ``LayerUnavailable``.
        """
        if self.deliver([self.prepare(channel, content)]):
            raise ChannelFull(f"{channel} is full: {ChannelFull.__doc__}")

    def receive(self, channels: Sequence[str], block: bool = False) -> Received:
        """The next message of any of ``channels`` as (name, content), or (None, None).

        With ``block`` it waits some seconds before it gives up; callers loop.
        """
        raise NotImplementedError

    def new_channel(self, pattern: str) -> str:
        """A fresh single-reader channel: ``pattern``, which ends in ``?``, and random letters."""
        if not isinstance(pattern, str) or not pattern.endswith("?"):
            raise InvalidName(f"new_channel() takes a name that ends in '?', not {pattern!r}")
        return valid_channel_name(pattern + random_letters(12))

    def group_add(self, group: str, channel: str) -> None:
        """Make ``channel`` a member of ``group``; adding again renews the membership."""
        raise NotImplementedError

    def group_discard(self, group: str, channel: str) -> None:
        """End the membership; no error when there was none."""
        raise NotImplementedError

    def group_channels(self, group: str) -> Iterable[str]:
        """The names of the members of ``group``."""
        raise NotImplementedError

    def send_group(self, group: str, content: Content) -> None:
        """Put ``content`` on every channel of ``group``; full ones are passed over."""
        self.deliver([self.prepare(group, content, to_group=True)])

    def flush(self) -> None:
        """Remove every message and every group."""
        raise NotImplementedError

    def channel_statistics(self, channel: str) -> dict[str, float]:
        """Counters of one channel; any of the keys of the channel layer specification."""
        raise NotImplementedError

    def global_statistics(self) -> dict[str, float]:
        """The same counters over all channels."""
        raise NotImplementedError

    def receive_many(self, channels: Sequence[str], block: bool = False) -> Received:
        """The old name of ``receive``."""
        warnings.warn("receive_many() is now receive()", DeprecationWarning, stacklevel=2)
        return self.receive(channels, block)

    # Sends in two steps: checked and encoded now, put on the bus when their time comes ---

    def prepare(self, name: str, content: Content, *, to_group: bool = False) -> Envelope:
        """Check and encode one send, so that what is wrong with it is known at once."""
        valid_group_name(name) if to_group else valid_channel_name(name)
        if not isinstance(content, dict):
            raise InvalidContent(f"the content of a message is a dict, not {content!r:.80}")
        return Envelope(name, self.encode(content), to_group)

    def encode(self, content: Content) -> Any:
        """``content`` in the form in which this layer's ``deliver`` takes it: here, a copy."""
        return copy.deepcopy(content)

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Put the sends on the bus, in order, and return those a full channel refused."""
        refused: list[Envelope] = []
        for envelope in envelopes:
            verb = "send_group" if envelope.to_group else "send"
            if getattr(type(self), verb) is getattr(BaseChannelLayer, verb):
                raise NotImplementedError(f"{type(self).__name__} defines no {verb} or deliver")
            try:
                getattr(self, verb)(envelope.name, envelope.payload)
            except self.ChannelFull:
                refused.append(envelope)
        return refused

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """``deliver`` for an event loop."""
        return await asyncio.to_thread(self.deliver, envelopes)

    # For an event loop ----------------------------------------------------------------

    async def send_async(self, channel: str, content: Content) -> None:
        """``send`` for an event loop."""
        if await self.deliver_async([self.prepare(channel, content)]):
            raise ChannelFull(f"{channel} is full: {ChannelFull.__doc__}")

    async def receive_async(self, channels: Sequence[str]) -> Received:
        """``receive`` for an event loop; it may give up with (None, None).

        To cancel it loses nothing. Here it asks again and again: a thread that waits instead would
        take a message for a caller that has gone.
        """
        for _ in range(_POLLS):
            channel, content = self.receive(channels)
            if channel is not None and content is not None:
                return channel, content
            await asyncio.sleep(_PAUSE)
        return None, None

    # The two ends of the bus ----------------------------------------------------------

    def receiver(self, channels: Sequence[str]) -> Receiver:
        """What one worker thread takes the messages of ``channels`` with."""
        return Receiver(self, channels)

    def inbox(self, process: str, is_open: IsOpen = always_open) -> Inbox:
        """What an interface server reads with; ``process`` ends in ``!`` and is its own.

        ``is_open`` says of the local part of a name whether that connection is still there: a join
        that comes after its close must not leave a member behind.
        """
        return Inbox(self, process)

    def announce(self, worker: str, channels: Sequence[str], *, ttl: float) -> None:
        """Say that ``worker`` reads ``channels``, for the next ``ttl`` seconds."""

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        """Say that ``worker`` is gone."""

    def is_gone(self, channel: str) -> bool:
        """Whether the connection of the reply channel ``channel`` is known to be closed."""
        return False

    async def has_worker(self, channel: str) -> bool:
        """Whether a live worker reads ``channel``. A layer that cannot know says True."""
        return True

    def close(self) -> None:
        """Let go of every connection; the next call opens new ones."""

    async def close_async(self) -> None:
        """Let go of the connections of this event loop."""

    # Capacity -------------------------------------------------------------------------

    def get_capacity(self, channel: str) -> int:
        """How many messages may wait on ``channel``, or on one connection of a process."""
        name = non_local_name(channel)
        if (known := self._capacities.get(name)) is not None:
            return known
        matches = (limit for pattern, limit in self.channel_capacity if pattern.match(name))
        limit = next(matches, self.capacity)
        if "?" not in name:  # random names would fill this cache
            self._capacities[name] = limit
        return limit


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
        busy channel never starves a quiet one. Raises ``LayerUnavailable``.
        """
        refused = self.layer.deliver(sends) if sends else []
        channel, content = self.layer.receive(self.channels, block=timeout > 0)
        if channel is None or content is None:
            return Exchange([], refused)
        return Exchange([Delivery(channel, content)], refused)

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        """``exchange`` without taking anything new; returns the refused sends."""
        return self.layer.deliver(sends) if sends else []

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        """``settle`` from an event loop, beside a thread that waits in ``exchange``."""
        return await self.layer.deliver_async(sends)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Put messages that were taken and not started back, for other workers.

        Here, what finds its channel full by now is logged and lost.
        """
        sends = [self.layer.prepare(each.channel, each.content) for each in deliveries]
        if refused := self.layer.deliver(sends):
            names = ", ".join(sorted({each.name for each in refused}))
            logger.error("Lost %d message(s) given back to full channels: %s", len(refused), names)

    def close(self) -> None:
        """Leave the bus; what is still in hand is not given back by this."""


class Inbox:
    """One interface server's end of the bus: everything meant for its connections."""

    def __init__(self, layer: BaseChannelLayer, process: str) -> None:
        self.layer = layer
        self.process = process

    async def read(self) -> list[Arrival]:
        """What has come, waiting for it; an empty list after some quiet seconds."""
        channel, content = await self.layer.receive_async([self.process])
        if channel is None or content is None:
            return []
        return [Arrival((channel[len(self.process) :],), content)]

    def drained(self, local: str) -> None:
        """One direct message has reached the client of ``local``: its sender may send more."""

    def forget(self, local: str) -> None:
        """The connection is closed: end its memberships and what was kept for it."""

    def refuse(self, local: str) -> None:
        """Somebody still sends to the closed connection: answer that it is full, and gone."""

    async def close(self) -> None:
        """The server stops: no process, group or connection of it stays on the bus."""
