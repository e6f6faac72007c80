"""What the consumers of one connection know of it: its reply channel and its groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from channels_classic.channel import Channel, Group
from channels_classic.message import Message
from channels_classic.utils import name_that_thing


class InGroups(Protocol):
    """A consumer whose connections are in groups."""

    def connection_groups(self, **kwargs: Any) -> Sequence[str]:
        """Their names, a list or tuple."""


def groups_of(consumer: InGroups, message: Message, kwargs: dict[str, Any]) -> list[Group]:
    """The groups that ``consumer`` names; ``TypeError`` for what is no list or tuple."""
    names = consumer.connection_groups(**kwargs)
    if not isinstance(names, (list, tuple)):
        raise TypeError(
            f"connection_groups() of {name_that_thing(type(consumer))} returns a list or tuple of "
            f"group names, not {names!r:.80}"
        )
    return [Group(name, channel_layer=message.channel_layer) for name in names]


def reply_channel_of(message: Message) -> Channel:
    """Where the client of ``message`` is answered, or ``ValueError``."""
    if message.reply_channel is None:
        raise ValueError(f"{message} has no reply channel: there is no client to answer")
    return message.reply_channel
