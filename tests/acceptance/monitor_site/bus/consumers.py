"""Consumers whose end is known."""

from __future__ import annotations

import time
from pathlib import Path

from channels_classic.message import Message
from channels_classic.policy import consumer


def accept(message: Message) -> None:
    """Open a socket that is told nothing."""
    message.reply_channel.send({"accept": True})


def well(message: Message) -> None:
    """Nothing goes wrong."""


@consumer(max_attempts=3, backoff=0.05)
def failing(message: Message) -> None:
    """Fails, until there is a file with the name that the message has."""
    if not Path(message["mended"]).exists():
        raise ValueError(f"photo {message['number']} is broken: <b>no</b> header")


@consumer(max_attempts=5)
def slow(message: Message) -> None:
    """Runs until there is a file with the name that the message has."""
    while not Path(message["until"]).exists():
        time.sleep(0.05)
