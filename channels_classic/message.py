"""Message: what consumers receive."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, KeysView, ValuesView
from functools import cached_property
from typing import TYPE_CHECKING, Any

from channels_classic import outbox
from channels_classic.channel import Channel, Group
from channels_classic.layers.traffic import Content

if TYPE_CHECKING:
    from channels_classic.asgi import ChannelLayerWrapper


class Message:
    """One message, with the channel it came on and the channel that answers go to.

    ``channel_name`` and ``channel_layer`` may be None in tests. ``user``, ``channel_session`` and
    ``http_session`` are None until a decorator of ``auth`` or ``sessions`` sets them.
    """

    def __init__(
        self,
        content: Content,
        channel_name: str | None,
        channel_layer: ChannelLayerWrapper | None,
    ) -> None:
        self.content = content
        self.channel_name = channel_name
        self.channel_layer = channel_layer
        self.user: Any = None
        self.channel_session: Any = None
        self.http_session: Any = None
        #: True on the last try of a message: it is not run again after this.
        self.__doomed__ = False

    @cached_property
    def channel(self) -> Channel | None:
        """The channel that the message came on."""
        if not self.channel_name:
            return None
        return Channel(self.channel_name, channel_layer=self.channel_layer)

    @cached_property
    def reply_channel(self) -> Channel | None:
        """The channel back to the client, or None when the message has none."""
        name = self.content.get("reply_channel")
        return Channel(name, channel_layer=self.channel_layer) if name else None

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def keys(self) -> KeysView[str]:
        """The keys of the content."""
        return self.content.keys()

    def values(self) -> ValuesView[Any]:
        """The values of the content."""
        return self.content.values()

    def items(self) -> ItemsView[str, Any]:
        """The items of the content."""
        return self.content.items()

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key`` in the content, or ``default``."""
        return self.content.get(key, default)

    def copy(self) -> Message:
        """A message of its own with a deep copy of the content; nothing else is carried over."""
        return Message(copy.deepcopy(self.content), self.channel_name, self.channel_layer)

    def __repr__(self) -> str:
        return f"<Message on {self.channel_name}: {', '.join(self.content)}>"


class PendingMessageStore:
    """The sends that wait for the end of the consumer, under their name in Channels 1.

    Consumers have an outbox without this. It is for code, of tests say, that has the sends of a
    stretch of its own held back: from ``prepare`` to ``send_and_flush``.
    """

    #: How long ``send_and_flush`` waits for full channels, in seconds.
    retry_time = outbox.FLUSH_DEADLINE

    @property
    def active(self) -> bool:
        """Whether sends are held back here, in this thread or task."""
        return outbox.current() is not None

    def prepare(self, **kwargs: Any) -> None:
        """Hold sends back from here on; what is held back already stays so."""
        outbox.begin()

    def append(self, sender: Channel | Group, content: Content) -> None:
        """``sender.send(content)``, which is held back while the store is active."""
        sender.send(content)

    def send_and_flush(self, **kwargs: Any) -> None:
        """Send what was held back, in its order, and hold back no more.

        What a channel refuses for ``retry_time`` seconds is counted, logged and dropped. Raises
        ``LayerUnavailable``.
        """
        held = outbox.current()
        if held is not None:
            held.is_over = True
            held.flush(deadline=self.retry_time)


#: The one there is.
pending_message_store = PendingMessageStore()
