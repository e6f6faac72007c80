"""Message: what consumers receive."""

from __future__ import annotations

import copy
from collections.abc import ItemsView, KeysView, ValuesView
from functools import cached_property
from typing import TYPE_CHECKING, Any

from channels_classic.channel import Channel
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
