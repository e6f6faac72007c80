"""Two sockets: one says every text again, the other who its client is."""

from __future__ import annotations

import os

from channels_classic import route
from channels_classic.auth import channel_session_user_from_http
from channels_classic.message import Message
from pages import work


def echo(message: Message) -> None:
    """Send the text back, with the process that did it."""
    message.reply_channel.send({"text": f"{os.getpid()} {message['text']}"})


@channel_session_user_from_http
def who(message: Message) -> None:
    """Say the name that the client has logged in with, on a page."""
    message.reply_channel.send({"accept": True, "text": message.user.get_username() or "nobody"})


channel_routing = [
    route("websocket.receive", echo, path=r"^/echo/$"),
    route("websocket.connect", who, path=r"^/who/$"),
    *work.routing,
]
