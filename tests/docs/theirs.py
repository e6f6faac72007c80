"""What the tests ask of the other side of the bus, which is made of the page alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def fields_in(foreign: ModuleType, process: str) -> list[str]:
    """The fields in an inbox, in their order."""
    entries = foreign.bus.xread({foreign.key("inbox", process): "0-0"})[0][1]
    return [field.decode() for _, flat in entries for field in flat[::2]]


def has_answers(foreign: ModuleType, process: str) -> bool:
    """Whether an answer is on its way to a connection of the process."""
    return bool(foreign.bus.exists(foreign.key("waiting", process)))


def take_one(foreign: ModuleType, channel: str) -> tuple[str, bytes, dict[bytes, bytes]]:
    """The one message that the foreign worker takes."""
    foreign.beat_worker("theirs", [channel])
    [message] = foreign.take("theirs/1", [channel])
    return message


def look(foreign: ModuleType) -> list[Any]:
    """What dead workers had in hand, as the foreign worker finds it with its beat."""
    found: list[Any] = foreign.lapsed("theirs", "work")
    foreign.beat_worker("theirs", ["work"])
    return found
