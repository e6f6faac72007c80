"""Consumers whose workers die, and consumers that fail."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import journal
from django.conf import settings

from channels_classic.message import Message
from channels_classic.policy import consumer

#: Longer than any test waits for a message in the hands of a dead worker, in seconds.
FOREVER = 120


def plain(message: Message) -> None:
    """Delivered at most once; with ``hold`` its worker is busy for ever."""
    journal.write("ran", "plain", message["number"])
    if message.get("hold"):
        time.sleep(FOREVER)


def lasting_once(message: Message) -> None:
    """Delivered at most once; takes so many seconds."""
    journal.write("began", message["number"])
    time.sleep(message["seconds"])
    journal.write("ran", "lasting-once", message["number"])


@consumer(max_attempts=5)
def lasting(message: Message) -> None:
    """Delivered at least once; takes so many seconds."""
    journal.write("began", message["number"])
    time.sleep(message["seconds"])
    journal.write("ran", "lasting", message["number"])


@consumer(max_attempts=5, backoff=0.1)
def precious(message: Message) -> None:
    """Delivered at least once; on the first attempt its worker is busy for ever."""
    journal.write("began", message["number"], message.get("__retries__", 0))
    if not message.get("__retries__"):
        time.sleep(FOREVER)
    journal.write("ran", "precious", message["number"])


@consumer(max_attempts=20, backoff=0.1)
def risky(message: Message) -> None:
    """Delivered at least once; with ``poison`` it kills its worker."""
    if message.get("poison"):
        journal.write("poison", message["number"], message.get("__retries__", 0))
        os.kill(os.getpid(), signal.SIGKILL)
    journal.write("ran", "risky", message["number"])


@consumer(max_attempts=3, backoff=0.2)
def failing(message: Message) -> None:
    """Fails until somebody mends it: until there is a file with the name that the message has."""
    journal.write("tried", message["number"], message.get("__retries__", 0))
    if not Path(settings.JOURNAL).with_name(message["mended"]).exists():
        raise ValueError("not yet mended")
    journal.write("ran", "failing", message["number"])


def talk(message: Message) -> None:
    """Answers what it is told, unless it is told to hold its worker or to raise."""
    text = message["text"]
    if text == "raise":
        raise ValueError("as I was told")
    if text == "hold" and not message.get("__retries__"):
        journal.write("held", message.reply_channel)
        time.sleep(FOREVER)
    message.reply_channel.send({"text": f"{os.getpid()} {text}"})


@consumer(max_attempts=5)
def safe_talk(message: Message) -> None:
    """The same, delivered at least once."""
    talk(message)
