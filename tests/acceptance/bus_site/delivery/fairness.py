"""Fast consumers beside slow ones; each says how long its message has waited."""

from __future__ import annotations

import time

import journal

from channels_classic.message import Message

SLOW = 5.0


def mixed(message: Message) -> None:
    """Ends at once, or with ``slow`` after two seconds."""
    _write("slow" if message.get("slow") else "fast", message)
    if message.get("slow"):
        time.sleep(SLOW)
        journal.write("slept", message["kind"])


def busy(message: Message) -> None:
    """Takes a millisecond."""
    _write("busy", message)
    time.sleep(0.001)


def quiet(message: Message) -> None:
    """Ends at once."""
    _write("quiet", message)


def _write(what: str, message: Message) -> None:
    """Write down the seconds since the message was sent: all processes have the same clock."""
    waited = time.monotonic() - message["sent"]
    journal.write(what, message.get("kind", "any"), f"{waited:.6f}")
