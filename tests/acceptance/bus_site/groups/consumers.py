"""Sockets that do with groups what their client says, and channels that meet each fate there is."""

from __future__ import annotations

import json
import os
import signal

import journal

from channels_classic import Group
from channels_classic.message import Message
from channels_classic.policy import consumer

# Sockets: a client sends [verb, argument] and gets texts ------------------------------------


def connect(message: Message, group: str) -> None:
    """Accept the socket, as a member of the group in its path if there is one."""
    journal.write("connect", message["reply_channel"])
    if group:
        Group(group).add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def receive(message: Message, group: str) -> None:
    """Do what the client says."""
    verb, argument = json.loads(message["text"])
    VERBS[verb](message, argument)


def disconnect(message: Message, group: str) -> None:
    """Write down how it ended."""
    journal.write("disconnect", message["reply_channel"], message["code"])


def echo(message: Message, text: str) -> None:
    """The text comes back."""
    message.reply_channel.send({"text": text})


def name(message: Message, argument: str) -> None:
    """What the consumers know this socket by."""
    message.reply_channel.send({"text": message["reply_channel"]})


def join(message: Message, group: str) -> None:
    """The answer comes once this socket is a member."""
    Group(group).add(message.reply_channel)
    message.reply_channel.send({"text": "joined"})


def leave(message: Message, group: str) -> None:
    """The answer comes once this socket is no member any more."""
    Group(group).discard(message.reply_channel)
    message.reply_channel.send({"text": "left"})


def join_and_send(message: Message, group: str) -> None:
    """Who is added first gets what is sent next."""
    Group(group).add(message.reply_channel)
    Group(group).send({"text": group})


VERBS = {
    "echo": echo,
    "name": name,
    "join": join,
    "leave": leave,
    "join_and_send": join_and_send,
}

# Channels: each message has a number ---------------------------------------------------------


def plain(message: Message) -> None:
    """Write it down: at most once."""
    journal.write(message.channel_name, message["number"])


@consumer(max_attempts=5, backoff=0.05)
def task(message: Message) -> None:
    """Write it down: at least once."""
    journal.write("groups.task", message["number"])


@consumer(max_attempts=4, backoff=0.02)
def fails(message: Message) -> None:
    """Fail at every attempt."""
    journal.write("groups.fails", message["number"])
    raise RuntimeError("as it was asked to")


def hold(message: Message) -> None:
    """Never end."""
    journal.write("groups.hold", message["number"])
    signal.pause()


@consumer(max_attempts=2)
def kills(message: Message) -> None:
    """End the worker at the first attempt."""
    journal.write("groups.kills", message["number"], message.get("__retries__", 0))
    if not message.get("__retries__"):
        os.kill(os.getpid(), signal.SIGKILL)
