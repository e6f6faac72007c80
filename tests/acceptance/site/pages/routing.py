"""One consumer: every text comes back."""

from __future__ import annotations

import os

from channels_classic import route
from channels_classic.message import Message


def echo(message: Message) -> None:
    """Send the text back, with the process that did it."""
    message.reply_channel.send({"text": f"{os.getpid()} {message['text']}"})


channel_routing = [route("websocket.receive", echo, path=r"^/echo/$")]
