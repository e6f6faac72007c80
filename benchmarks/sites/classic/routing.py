"""This project: an echo and groups, as consumers in a worker."""

from __future__ import annotations

from channels_classic import Group, route
from channels_classic.message import Message


def echo(message: Message) -> None:
    """Sends back what it gets."""
    message.reply_channel.send({"text": message.content["text"]})


def join(message: Message, group: str) -> None:
    """Joins the group that the path names."""
    Group(group).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def leave(message: Message, group: str) -> None:
    """Leaves it again."""
    Group(group).discard(message.reply_channel)


MEMBER = r"^/group/(?P<group>[a-z0-9-]+)/$"

channel_routing = [
    route("websocket.connect", join, path=MEMBER),
    route("websocket.disconnect", leave, path=MEMBER),
    route("websocket.receive", echo, path=r"^/echo/$"),
]
