"""The contract every channel layer keeps: names, sizes, capacity, and the verbs of the bus."""

from __future__ import annotations

import asyncio
import copy
import logging
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.exceptions import ChannelFull, InvalidContent, InvalidName, MessageTooLarge
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import (
    Inbox,
    IsOpen,
    OnReceipt,
    Receiver,
    always_open,
    no_receipts,
)
from channels_classic.layers.ledger import Ledger
from channels_classic.layers.names import (
    ByPattern,
    positive,
    random_letters,
    valid_channel_name,
    valid_group_name,
    valid_key,
)
from channels_classic.layers.traffic import (
    Content,
    DeadLetter,
    Delivery,
    Envelope,
    Load,
    Pulse,
    Reasons,
)
from channels_classic.log import Sparingly

logger = logging.getLogger("channels_classic.layers")

Received = tuple[str, Content] | tuple[None, None]

#: How often ``receive_async`` asks, and its pause between two tries in seconds: for 5 s in all.
_POLLS = 500
_PAUSE = 0.01

#: Messages of any size that may be on their way to one connection.
_FEWEST = 2


class BaseChannelLayer:
    """What users, workers and servers call; a layer of your own defines the classic verbs.

    The classic verbs are ``send``, ``receive``, ``new_channel``, the groups and ``flush``. The
    others have a default made of those, which a layer overrides to be faster.

    ``expiry`` and ``group_expiry`` are seconds; an ``expiry`` of None is never. ``capacity``
    counts the messages that wait on one channel. ``channel_capacity`` and ``channel_expiry`` map
    patterns (globs, or compiled regular expressions) to others, the first match wins; so does
    ``channel_overflow`` to what a full channel does, ``"refuse"`` (the default) or
    ``"drop_oldest"``. ``max_message_size`` counts bytes after encoding. ``later_limit`` delayed
    messages may wait on one channel, and ``dead_limit`` dead letters are kept. ``reply_window``
    bytes may be on their way to one connection, in messages of one size.
    """

    extensions: ClassVar[list[str]] = []
    #: Whether the lanes of messages get receipts.
    receipts: ClassVar[bool] = False
    #: Whether messages may be delayed, tried again and buried.
    later: ClassVar[bool] = False
    #: Whether connections may have attachments.
    attachments: ClassVar[bool] = False
    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(
        self,
        *,
        expiry: float | None = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[str | re.Pattern[str], int] | None = None,
        channel_expiry: Mapping[str | re.Pattern[str], float | None] | None = None,
        channel_overflow: Mapping[str | re.Pattern[str], str] | None = None,
        max_message_size: int = 1024 * 1024,
        later_limit: int = 100_000,
        dead_limit: int = 10_000,
        reply_window: int = 4 * 1024 * 1024,
    ) -> None:
        self.expiry = _expiry("expiry", expiry)
        self.group_expiry = positive("group_expiry", group_expiry)
        self.capacity = positive("capacity", capacity)
        self.max_message_size = positive("max_message_size", max_message_size)
        self.later_limit = int(positive("later_limit", later_limit))
        self.dead_limit = int(positive("dead_limit", dead_limit))
        self.reply_window = int(positive("reply_window", reply_window))
        self._capacities = ByPattern(
            "channel_capacity", channel_capacity, self.capacity, lambda *a: int(positive(*a))
        )
        self._expiries = ByPattern("channel_expiry", channel_expiry, self.expiry, _expiry)
        self._overflows = ByPattern("channel_overflow", channel_overflow, "refuse", _overflow)
        #: For those who run the site: who is on the bus, and what waits where.
        self.ledger = Ledger()
        self._say = Sparingly(logger)

    @property
    def channel_capacity(self) -> list[tuple[re.Pattern[str], int]]:
        """The patterns with a capacity of their own, in their order."""
        return self._capacities.patterns

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

    def group_count(self, group: str) -> int:
        """How many members ``group`` has; cheap on our layers, however many there are."""
        return len(list(self.group_channels(group)))

    def send_group(self, group: str, content: Content) -> None:
        """Put ``content`` on every channel of ``group``; full ones are passed over."""
        self.deliver([self.prepare(group, content, to_group=True)])

    # What is known of a connection, for as long as it lives: only with ``attachments`` -------

    def attach(self, channel: str, key: str, content: Content) -> None:
        """Keep ``content`` under ``key`` for the connection of the reply channel ``channel``.

        It replaces what was there. Once the connection has closed, what it has is still there for
        its ``websocket.disconnect``, and is gone soon after; on a channel of no interface server
        it lives ``group_expiry`` seconds. When a server dies, what its connections have is still
        there for their wills. It is gone when the layer has lost its data: nobody restores it, as
        groups are. Raises ``InvalidName``, ``InvalidContent``, ``MessageTooLarge`` or
        ``LayerUnavailable``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no attachments")

    def attached(self, channels: Sequence[str], key: str) -> list[Content | None]:
        """What is attached to each of ``channels`` under ``key``; None where nothing is.

        It costs one round trip for each shard, however many ``channels`` there are.
        """
        raise NotImplementedError(f"{type(self).__name__} has no attachments")

    def detach(self, channel: str, key: str) -> None:
        """Forget what is attached to ``channel`` under ``key``; no error when nothing is."""
        raise NotImplementedError(f"{type(self).__name__} has no attachments")

    def encode_attachment(self, channel: str, key: str, content: Content) -> Any:
        """Check what is to be attached, and encode it; raises as ``attach``."""
        valid_channel_name(channel), valid_key(key)
        if not isinstance(content, dict):
            raise InvalidContent(f"what is attached is a dict, not {content!r:.80}")
        return self.encode(content)

    def flush(self) -> None:
        """Remove every message, every group and every attachment."""
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

    def prepare(
        self,
        name: str,
        content: Content,
        *,
        to_group: bool = False,
        lane: str = "",
        delay: float = 0,
        attempts: int = 0,
    ) -> Envelope:
        """Check and encode one send, so that what is wrong with it is known at once.

        See ``Envelope``. Raises ``InvalidName``, ``InvalidContent``, ``MessageTooLarge``, and
        ``ValueError`` for a delay that cannot be had.
        """
        valid_group_name(name) if to_group else valid_channel_name(name)
        if delay:
            self._check_delay(name, delay, to_group)
        if not isinstance(content, dict):
            raise InvalidContent(f"the content of a message is a dict, not {content!r:.80}")
        return Envelope(name, self.encode(content), to_group, lane, delay, attempts)

    def _check_delay(self, name: str, delay: float, to_group: bool) -> None:
        if not self.later:
            raise ValueError(f"{type(self).__name__} has no delayed messages")
        if to_group or "?" in name:
            raise ValueError(f"a delay is for a channel that workers read, or a reply: not {name}")
        if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay < 1e10:
            raise ValueError(f"the delay is a number of seconds, not {delay!r}")

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
            content = envelope.payload
            if envelope.attempts:
                content = {**content, "__retries__": envelope.attempts}
            try:
                getattr(self, verb)(envelope.name, content)
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

    def receiver(self, channels: Sequence[str], *, worker: str = "") -> Receiver:
        """What one thread of the process ``worker`` takes the messages of ``channels`` with."""
        return Receiver(self, channels)

    def inbox(
        self, process: str, is_open: IsOpen = always_open, on_receipt: OnReceipt = no_receipts
    ) -> Inbox:
        """What an interface server reads with; ``process`` ends in ``!`` and is its own.

        ``is_open`` says of the local part of a name whether that connection is still there: a join
        that comes after its close must not leave a member behind. ``on_receipt`` hears what became
        of messages with a lane of this process.
        """
        return Inbox(self, process)

    def beat(
        self, worker: str, channels: Sequence[str], *, ttl: float, recover: bool = True
    ) -> Pulse:
        """Say that ``worker`` lives and reads ``channels``, for the next ``ttl`` seconds.

        Also puts delayed messages that are due on ``channels``. With ``recover`` it cleans up
        after dead servers, and takes the messages that dead workers had in hand: the caller
        settles, loses or buries each. A caller that could not beat in time asks for no recovery
        until it has for a while, as the others may have had the same trouble.
        """
        return Pulse([])

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        """Say that ``worker`` is gone."""

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        """``Receiver.settle`` for messages in the hands of no receiver. Thread-safe."""
        return self.deliver(sends) if sends else []

    def lose(self, deliveries: Sequence[Delivery], counter: Counter) -> None:
        """Take messages off the bus whose fate nobody knows: their lanes hear that, too."""

    def bury(self, delivery: Delivery, reasons: Reasons) -> None:
        """Take a message off the bus, to the dead letters. The lane gets its receipt."""
        self.note(delivery.channel, Counter.DEAD, detail=f"dropped: {reasons.error}")

    def dead_letters(self, channel: str | None = None) -> Iterable[DeadLetter]:
        """The dead letters, of one channel or of all, oldest first."""
        return []

    def requeue_dead(self, letters: Iterable[DeadLetter]) -> int:
        """Put messages back on their channels, as if never tried; returns how many.

        Raises ``ChannelFull``; what comes before it was put back.
        """
        return 0

    def delete_dead(self, letters: Iterable[DeadLetter]) -> int:
        """Remove dead letters for good; returns how many there were."""
        return 0

    def is_gone(self, channel: str) -> bool:
        """Whether the connection of the reply channel ``channel`` is known to be closed."""
        return False

    async def has_worker(self, channel: str) -> bool:
        """Whether a live worker reads ``channel``. A layer that cannot know says True."""
        return True

    async def loads(self, channels: Sequence[str]) -> dict[str, Load]:
        """The load of each of the plain ``channels``, in one round trip to each shard.

        Empty when the layer cannot tell. Raises ``LayerUnavailable``.
        """
        return {}

    def close(self) -> None:
        """Let go of every connection; the next call opens new ones."""

    async def close_async(self) -> None:
        """Let go of the connections of this event loop."""

    # Limits and losses ------------------------------------------------------------------

    def get_capacity(self, channel: str) -> int:
        """How many messages may wait on ``channel``, or on one connection of a process."""
        capacity: int = self._capacities[channel]
        return capacity

    def get_room(self, channel: str, size: int) -> int:
        """How many messages of ``size`` bytes ``channel`` takes; the large ones to one connection
        are fewer than its capacity, so that a client which does not read cannot fill the server.
        """
        capacity = self.get_capacity(channel)
        if "!" not in channel:
            return capacity
        return min(capacity, max(_FEWEST, self.reply_window // max(1, size)))

    def get_expiry(self, channel: str) -> float | None:
        """Seconds that a message waits on ``channel`` before it vanishes; None is for ever."""
        expiry: float | None = self._expiries[channel]
        return expiry

    def get_overflow(self, channel: str) -> str:
        """What a full ``channel`` does: ``"refuse"`` or ``"drop_oldest"``."""
        return self._overflows[channel]

    def count(self, channel: str, counter: Counter, number: int = 1) -> None:
        """Add to a counter of ``channel_statistics``."""

    def note(self, channel: str, counter: Counter, number: int = 1, *, detail: str = "") -> None:
        """Log what happened to messages: at most once in 10 s for each channel and counter."""
        what = counter.value.removesuffix("_count").replace("_", " ")
        text = f"{channel}: {number} {what}" + (f" ({detail})" if detail else "")
        self._say(logging.WARNING, (channel, counter), text)


def _expiry(name: str, value: Any) -> Any:
    return None if value is None else positive(name, value)


def _overflow(name: str, value: Any) -> str:
    if value not in ("refuse", "drop_oldest"):
        raise ValueError(f"{name} must be 'refuse' or 'drop_oldest', not {value!r}")
    return str(value)
