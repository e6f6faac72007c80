"""The echo: one function for each kind of message."""

from __future__ import annotations

from channels_classic.message import Message


def connect(message: Message) -> None:
    """Let everybody in."""
    message.reply_channel.send({"accept": True})


def receive(message: Message) -> None:
    """Answer what was said; binary messages carry ``bytes`` instead of ``text``."""
    if "bytes" in message:
        message.reply_channel.send({"bytes": message["bytes"]})
    else:
        message.reply_channel.send({"text": f"You said: {message['text']}"})
