"""Client: sends messages, runs their consumers in the test, and receives the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels_classic.asgi import ChannelLayerWrapper, channel_layers
from channels_classic.channel import Group
from channels_classic.conf import DEFAULT_CHANNEL_LAYER
from channels_classic.layers.names import random_letters
from channels_classic.message import Message
from channels_classic.test import commits, running


class Client:
    """One client with a reply channel of its own, on the layer ``alias``.

    It needs no event loop and no worker: ``consume`` runs consumers, async ones too, in the thread
    of the test. In an async test, call it through ``sync_to_async``.
    """

    def __init__(self, alias: str = DEFAULT_CHANNEL_LAYER) -> None:
        self.alias = alias
        self.reply_channel = alias + random_letters(5)

    @property
    def channel_layer(self) -> ChannelLayerWrapper:
        """The layer that ``alias`` stands for at this moment."""
        return channel_layers[self.alias]

    def send(self, to: str, content: Mapping[str, Any] | None = None) -> None:
        """Send ``content`` to the channel ``to``, at once, with the reply channel added.

        Raises what the layer's ``send`` raises.
        """
        self.channel_layer.send(to, {"reply_channel": self.reply_channel, **(content or {})})

    def get_next_message(self, channel: str) -> Message | None:
        """Take the next message off ``channel``, or None."""
        return next_message(self.channel_layer, channel)

    def get_consumer_by_channel(self, channel: str) -> Any:
        """The consumer of a message on ``channel`` with an empty text, or None."""
        match = running.match_of(Message({"text": ""}, channel, self.channel_layer))
        return None if match is None else match.consumer

    def consume(self, channel: str, fail_on_none: bool = True) -> Any:
        """Take the next message off ``channel``, run its consumer, and return what that returns.

        It runs as in a worker: between the same signals, with its sends held back until it has
        ended. ``DenyConnection`` and ``WebsocketCloseException`` answer the socket. A consumer
        that raises ``ConsumeLater`` is run again at once, as often as a worker would. Any other
        exception comes out of here.

        Without a message, or a route for it, ``AssertionError``, or None unless ``fail_on_none``.
        """
        message = self.get_next_message(channel)
        if message is None:
            if fail_on_none:
                raise AssertionError(f"There is no message on {channel}")
            return None
        match = running.match_of(message)
        if match is not None:
            return running.consume(message, match, sender=type(self))
        if fail_on_none:
            raise AssertionError(running.no_consumer(message))
        return None

    def send_and_consume(
        self, channel: str, content: Mapping[str, Any] | None = None, fail_on_none: bool = True
    ) -> Any:
        """``send``, then ``consume``."""
        self.send(channel, content)
        return self.consume(channel, fail_on_none=fail_on_none)

    def receive(self) -> Any:
        """The content of the next answer to this client, or None."""
        message = self.get_next_message(self.reply_channel)
        return None if message is None else message.content

    def join_group(self, name: str) -> None:
        """Become a member of the group ``name``."""
        Group(name, channel_layer=self.channel_layer).add(self.reply_channel)


def next_message(layer: ChannelLayerWrapper, channel: str) -> Message | None:
    """Take the next message off ``channel``, once sends that wait for a commit are made."""
    commits.make_sends()
    name, content = layer.receive([channel])
    return None if content is None else Message(content, name, layer)
