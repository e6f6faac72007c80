"""Sockets of users in rooms; the path says who it is."""

from __future__ import annotations

import json

import journal

from channels_classic.message import Message
from channels_classic.presence import join, leave, users_in


def connect(message: Message, room: str, user: str) -> None:
    """The user joins the room."""
    message.reply_channel.send({"accept": True})
    join(message, room, int(user))


def receive(message: Message, room: str, user: str) -> None:
    """Whatever is said, the answer is who is there."""
    message.reply_channel.send({"text": json.dumps({"users": sorted(users_in(room))})})


def disconnect(message: Message, room: str, user: str) -> None:
    """The user leaves the room."""
    leave(message)
    journal.write("left", user, message["code"])
