"""Tasks of this project as plain consumers: each runs at most once."""

from __future__ import annotations

from benchmarks.sites.tasks import work
from channels_classic import route
from channels_classic.message import Message


def nothing(message: Message) -> None:
    """The shortest task."""
    work.nothing(message.content["number"], message.content["sent"])


def pause(message: Message) -> None:
    """A task that waits."""
    work.pause(message.content["number"], message.content["sent"])


channel_routing = [route("tasks.nothing", nothing), route("tasks.pause", pause)]
