"""The ledger: who is on the bus, what each process does and what waits where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from channels_classic.layers.traffic import Content, DeadLetter, Load

#: Channels that one census tells of, processes, and groups that a server names, at most.
MOST_CHANNELS, MOST_REPORTS, MOST_GROUPS = 1000, 1000, 20
#: How long a survey is good for, in seconds: for it the name of every key is looked at.
SURVEY_LASTS = 10.0


class ChannelFacts(NamedTuple):
    """One plain channel at one time."""

    load: Load
    #: By the values of ``Counter``; what was counted is gone a day after it began.
    counts: dict[str, int]
    #: Messages whose time has not come, and the seconds until that of the first.
    delayed: int
    next_due: float | None


class Census(NamedTuple):
    """All that there is to see at one time."""

    channels: dict[str, ChannelFacts]
    #: By the names of live processes, what each has reported last.
    reports: dict[str, Content]
    #: Messages that were given up.
    dead: int
    #: Groups with members; it may be some seconds old.
    groups: int


class Delayed(NamedTuple):
    """A message whose time has not come."""

    channel: str
    #: Seconds until it is put on its channel.
    due_in: float
    #: None when it cannot be decoded with this layer's keys.
    content: Content | None


class Ledger:
    """What a layer made of the classic verbs can tell: nothing.

    All verbs raise ``LayerUnavailable``.
    """

    def report(self, process: str, content: Content, *, ttl: float) -> None:
        """What ``process`` says of itself, for ``ttl`` seconds; 0 ends what it has said before."""

    def census(self, channels: Sequence[str] = (), *, others: bool = True) -> Census:
        """The live processes, and the channels: those that are known, and ``channels`` anyway.

        Without ``others`` it tells of ``channels`` and the dead letters alone, and costs two round
        trips; else the names of all keys are looked at, now and then.
        """
        return Census({}, {}, 0, 0)

    def delayed(self, channel: str, limit: int = 100) -> list[Delayed]:
        """The first messages that wait for their time to come on ``channel``."""
        return []

    def newest_dead(self, limit: int) -> list[DeadLetter]:
        """The last ``limit`` dead letters, the newest first."""
        return []

    def dead_letter(self, id_: str) -> DeadLetter | None:
        """The dead letter with this id, if it is still there."""
        return None

    def claim(self, name: str, seconds: float) -> bool:
        """Whether the caller is the first to ask for ``name`` in so many seconds."""
        return False

    def record(self, content: Content, *, limit: int) -> None:
        """Add to the history that all processes share, of which the last ``limit`` are kept."""

    def recorded(self, limit: int) -> list[tuple[float, Content]]:
        """The last ``limit`` of the history, oldest first, with their times in Unix seconds."""
        return []
