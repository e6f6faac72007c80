"""Messages that are only counted."""

from __future__ import annotations

import journal

from channels_classic.message import Message


def count(message: Message) -> None:
    """Write down the message's number."""
    journal.write("ran", "count", message["number"])
