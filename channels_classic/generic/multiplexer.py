"""WebsocketMultiplexer: several streams of JSON over one socket, on their way out."""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from channels_classic.channel import Channel, Group
from channels_classic.layers.traffic import Content


def as_json(content: Any) -> str:
    """``content`` as JSON; dates, decimals, UUIDs and lazy texts may be in it.

    Raises ``TypeError`` for what JSON cannot carry.
    """
    return json.dumps(content, cls=DjangoJSONEncoder)


class WebsocketMultiplexer:
    """Sends on one stream of the socket behind ``reply_channel``."""

    def __init__(self, stream: str, reply_channel: Channel) -> None:
        self.stream = stream
        self.reply_channel = reply_channel

    def send(self, payload: Any) -> None:
        """Send ``payload`` on the stream. Raises as ``Channel.send``."""
        self.reply_channel.send(self.encode(self.stream, payload))

    @classmethod
    def encode_json(cls, content: Any) -> str:
        """``content`` as JSON."""
        return as_json(content)

    @classmethod
    def encode(cls, stream: str, payload: Any) -> Content:
        """The message that carries ``payload`` on ``stream``."""
        return {"text": cls.encode_json({"stream": stream, "payload": payload})}

    @classmethod
    def group_send(cls, name: str, stream: str, payload: Any, close: bool | int = False) -> None:
        """Send ``payload`` on ``stream`` to the group ``name``, and close its sockets if asked."""
        message = cls.encode(stream, payload)
        if close:
            message["close"] = close
        Group(name).send(message)
