"""Sockets whose consumers write down when they begin and when they end."""

from __future__ import annotations

import random
import time

import journal

from channels_classic.message import Message
from channels_classic.policy import consumer

#: How many of the consumers are slow, and how slow at most, in seconds.
SLOW_ONES, SLOWEST = 0.02, 0.004
FAILING_ONES = 0.1


def step(message: Message) -> None:
    """One message of a socket, of whatever kind; some take longer than others."""
    socket, number = str(message.reply_channel), message.get("order", 0)
    journal.write("begin", socket, number)
    if random.random() < SLOW_ONES:
        time.sleep(random.uniform(0, SLOWEST))
    journal.write("end", socket, number)
    if message.channel_name == "websocket.connect":
        message.reply_channel.send({"accept": True})
    elif message.channel_name == "websocket.disconnect":
        journal.write("gone", socket, number)


@consumer(max_attempts=20, backoff=0.02)
def stubborn(message: Message) -> None:
    """Fails now and then, and is tried again."""
    socket, number = message.reply_channel, message["order"]
    journal.write("begin", socket, number)
    fails = random.random() < FAILING_ONES
    journal.write("end" if fails else "done", socket, number)
    if fails:
        raise ValueError("by chance")
    journal.write("end", socket, number)
