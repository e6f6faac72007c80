"""Channel and Group: what users send with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels_classic import outbox
from channels_classic.asgi import channel_layers
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.exceptions import ChannelFull, InvalidName
from channels_classic.layers.traffic import Content

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

    def send(self, content: Content, immediately: bool = False) -> None:
        """Send ``content``, a dict of what msgpack can carry.

        Inside a consumer the send waits until the consumer has ended, unless ``immediately``.
        Raises ``InvalidContent``, ``InvalidName`` or ``MessageTooLarge`` at once in either case;
        a send that is made at once also raises ``ChannelFull`` and ``LayerUnavailable``.
        """
        layer = self.channel_layer.channel_layer
        pending = None if immediately else outbox.current()
        if pending is not None:
            pending.add(layer, self.name, content, to_group=self._to_group)
        elif self._to_group:
            layer.send_group(self.name, content)
        else:
            layer.send(self.name, content)


class Channel(_Target):
    """A channel by its name, on the layer ``alias`` or on the one given."""

    def send(self, content: Content, immediately: bool = False, delay: float = 0) -> None:
        """As for a group, and with a ``delay`` in seconds the message comes that much later.

        It counts from when the send is made: inside a consumer, from the end of the consumer.
        Raises ``ValueError`` for a delay that cannot be had.
        """
        if not delay:
            super().send(content, immediately)
            return
        layer = self.channel_layer.channel_layer
        pending = None if immediately else outbox.current()
        if pending is not None:
            pending.add(layer, self.name, content, delay=delay)
        elif layer.deliver([layer.prepare(self.name, content, delay=delay)]):
            raise ChannelFull(f"{self.name} is full: {ChannelFull.__doc__}")


class Group(_Target):
    """A group by its name: what is sent to it reaches every channel that was added to it."""

    _to_group = True

    def add(self, channel: Channel | str) -> None:
        """Make ``channel`` a member, at once: it gets every later send, until it is closed."""
        self.channel_layer.group_add(self.name, _name_of(channel))

    def discard(self, channel: Channel | str) -> None:
        """End the membership of ``channel``, at once."""
        self.channel_layer.group_discard(self.name, _name_of(channel))


def _name_of(channel: Channel | str) -> str:
    return channel.name if isinstance(channel, Channel) else channel


def _as_text(name: str | bytes) -> str:
    if isinstance(name, bytes):
        try:
            return name.decode("ascii")
        except UnicodeDecodeError:
            raise InvalidName(f"{name!r:.120} is not a channel or group name") from None
    return name
