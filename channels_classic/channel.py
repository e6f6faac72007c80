"""Channel and Group: what users send with."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction

from channels_classic import outbox, tracing
from channels_classic.asgi import channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import ChannelFull, InvalidName
from channels_classic.layers.traffic import Content, Envelope

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper


class _Target:
    """A name on a channel layer that can be sent to."""

    _to_group = False

    def __init__(
        self,
        name: str | bytes,
        alias: str = DEFAULT_CHANNEL_LAYER,
        channel_layer: ChannelLayerWrapper | None = None,
    ) -> None:
        self.name = _as_text(name)
        self.channel_layer = channel_layer or channel_layers[alias]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _send(
        self, content: Content, *, immediately: bool, on_commit: bool | str, delay: float = 0
    ) -> None:
        envelope = self._prepared(content, delay)

        @functools.cache  # test tools run what waits for a commit, and a second one must not
        def put() -> None:
            if not self._held_back(envelope, immediately):
                self._check(self.channel_layer.channel_layer.deliver([envelope]))

        if not on_commit:
            return put()
        using = DEFAULT_DB_ALIAS if on_commit is True else on_commit
        # After a commit nobody is there to be told: Django logs what goes wrong then.
        robust = transaction.get_connection(using).in_atomic_block
        return transaction.on_commit(put, using=using, robust=robust)

    async def _asend(self, content: Content, *, immediately: bool, delay: float = 0) -> None:
        envelope = self._prepared(content, delay)
        if not self._held_back(envelope, immediately):
            self._check(await self.channel_layer.channel_layer.deliver_async([envelope]))

    def _prepared(self, content: Content, delay: float) -> Envelope:
        layer = self.channel_layer.channel_layer
        carried = tracing.sent(self.name, content, to_group=self._to_group, delay=delay)
        return layer.prepare(self.name, carried, to_group=self._to_group, delay=delay)

    def _held_back(self, envelope: Envelope, immediately: bool) -> bool:
        """Whether it goes with the other sends of the consumer that runs here."""
        pending = outbox.pending(self.name, immediately=immediately)
        if pending is None:
            return False
        pending.hold(self.channel_layer.channel_layer, envelope)
        return True

    def _check(self, refused: Sequence[Envelope]) -> None:
        if refused and not self._to_group:  # a group passes over its full members
            full: type[ChannelFull] = self.channel_layer.channel_layer.ChannelFull
            raise full(f"{self.name} is full: {ChannelFull.__doc__}")


class Channel(_Target):
    """A channel by its name, on the layer ``alias`` or on the one given."""

    def send(
        self,
        content: Content,
        immediately: bool = False,
        delay: float = 0,
        *,
        on_commit: bool | str = False,
    ) -> None:
        """Send ``content``, a dict of what msgpack can carry; it comes ``delay`` seconds later.

        Inside a consumer the send waits until the consumer has ended, unless ``immediately``. With
        ``on_commit`` it is made when the transaction under way has been committed, and never if it
        is rolled back: that of the default database, or of the one that ``on_commit`` names. Where
        there is no transaction it is made as without. The delay counts from when it is made.

        Raises ``InvalidContent``, ``InvalidName``, ``MessageTooLarge``, or ``ValueError`` for a
        delay that cannot be had, at once in each case; a send that is made at once also raises
        ``ChannelFull`` and ``LayerUnavailable``. What goes wrong after a commit is logged.

        Outside a consumer it waits for the channel layer: on an event loop, ``await asend(…)``.
        """
        self._send(content, immediately=immediately, on_commit=on_commit, delay=delay)

    async def asend(self, content: Content, immediately: bool = False, delay: float = 0) -> None:
        """``send`` for async code."""
        await self._asend(content, immediately=immediately, delay=delay)


class Group(_Target):
    """A group by its name: what is sent to it reaches every channel that was added to it."""

    _to_group = True

    def send(
        self, content: Content, immediately: bool = False, *, on_commit: bool | str = False
    ) -> None:
        """``send`` of a channel, without delay; members that are full are passed over."""
        self._send(content, immediately=immediately, on_commit=on_commit)

    async def asend(self, content: Content, immediately: bool = False) -> None:
        """``send`` for async code."""
        await self._asend(content, immediately=immediately)

    def add(self, channel: Channel | str) -> None:
        """Make ``channel`` a member, at once: it gets every later send, until it is closed."""
        self.channel_layer.group_add(self.name, _name_of(channel))

    def discard(self, channel: Channel | str) -> None:
        """End the membership of ``channel``, at once."""
        self.channel_layer.group_discard(self.name, _name_of(channel))

    async def aadd(self, channel: Channel | str) -> None:
        """``add`` for async code."""
        await asyncio.to_thread(self.add, channel)

    async def adiscard(self, channel: Channel | str) -> None:
        """``discard`` for async code."""
        await asyncio.to_thread(self.discard, channel)


def _name_of(channel: Channel | str) -> str:
    return channel.name if isinstance(channel, Channel) else channel


def _as_text(name: str | bytes) -> str:
    if isinstance(name, bytes):
        try:
            return name.decode("ascii")
        except UnicodeDecodeError:
            raise InvalidName(f"{name!r:.120} is not a channel or group name") from None
    return name
