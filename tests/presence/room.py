"""A room to join and leave, with somebody who watches it; no server and no worker is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User

from channels_classic import outbox
from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.channel import Group
from channels_classic.exceptions import ConsumeLater
from channels_classic.message import Message
from channels_classic.presence import join, leave, routing, users_in
from channels_classic.presence.seats import CHECK, check

ANN = User(pk=1, username="ann")
BOB = User(pk=2, username="bob")
SERVER = "server.reply.abc!"


class Room:
    """The group "room" on a layer; connections are named by their local parts."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.wrapper = ChannelLayerWrapper(layer, "default", routing)
        self.group = Group("room", channel_layer=self.wrapper)
        self.group.add("watch")

    def message(self, local: str, **content: Any) -> Message:
        """A message of a connection."""
        content = {"reply_channel": SERVER + local, "path": "/", **content}
        return Message(content, "websocket.receive", self.wrapper)

    def run(self, consumer: Callable[[Message], Any], message: Message) -> None:
        """As a worker does: what is sent goes at the end, unless it is to be run later."""
        try:
            with outbox.holding() as box:
                consumer(message)
        except ConsumeLater:
            box.discard()
        box.flush()

    def join(self, local: str, user: Any, group: str = "room", **content: Any) -> None:
        self.run(lambda message: join(message, group, user), self.message(local, **content))

    def leave(self, local: str, group: str | None = None, **content: Any) -> None:
        self.run(lambda message: leave(message, group), self.message(local, **content))

    def check(self, **content: Any) -> int:
        """Make the checks that are due; how many there were."""
        number = 0
        while (found := self.layer.receive([CHECK])[1]) is not None:
            self.run(check, Message({**found, **content}, CHECK, self.wrapper))
            number += 1
        return number

    def notices(self) -> list[tuple[str, Any]]:
        """What was announced in the room since the last call."""
        found = []
        while (content := self.layer.receive(["watch"])[1]) is not None:
            notice = json.loads(content["text"])
            found.append((notice["presence"], notice["user"]["id"]))
        return found

    @property
    def users(self) -> set[Any]:
        return users_in(self.group)
