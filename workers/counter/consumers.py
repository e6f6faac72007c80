"""The sockets of the counter's pages, which only listen."""

from __future__ import annotations

import json

from channels_classic import Group
from channels_classic.message import Message
from counter.models import GROUP, Counter


def connect(message: Message) -> None:
    """Join the group, then hear the stored value.

    In this order nothing is missed: what was counted before the value is read is in the value, and
    what is counted later comes through the group. ``stored`` marks it as where a page starts from.
    """
    Group(GROUP).add(message.reply_channel)
    message.reply_channel.send({"accept": True})
    message.reply_channel.send({"text": json.dumps({"value": Counter.current(), "stored": True})})
