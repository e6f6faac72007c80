"""Submits tasks of this project; they are messages on a channel."""

from __future__ import annotations

import django

from channels_classic import Channel

django.setup()


def submit(task: str, number: int, sent: int) -> None:
    """Send the message that makes a worker run ``task``."""
    Channel(f"tasks.{task}").send({"number": number, "sent": sent})
