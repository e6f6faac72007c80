"""Progress: which channels get nothing done, by what is seen of them now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from channels_classic.layers.traffic import Load


class Stall(NamedTuple):
    """Messages wait on a channel, and for so many seconds none was completed."""

    channel: str
    seconds: float
    load: Load

    def __str__(self) -> str:
        waiting, workers = self.load.waiting, self.load.workers
        wait = "1 message waits" if waiting == 1 else f"{waiting:,} messages wait"
        many = f"{workers} workers read it"
        readers = {0: "no worker reads it", 1: "1 worker reads it"}.get(workers, many)
        return f"{self.channel}: {wait}, none was completed in {self.seconds:.0f} s, {readers}"


class _Seen(NamedTuple):
    load: Load
    #: Since when messages wait and none was completed.
    since: float
    #: Whether it was ever seen otherwise.
    has_moved: bool


class Progress:
    """Pure: whoever asks the bus notes what it said. A channel stalls after some seconds."""

    def __init__(self, stalled_after: float) -> None:
        self._stalled_after = stalled_after
        self._seen: dict[str, _Seen] = {}
        self._now = 0.0

    def note(self, loads: Mapping[str, Load], *, now: float) -> None:
        """These are the loads of the channels at the time ``now``, in seconds."""
        self._seen = {name: self._next(name, load, now) for name, load in loads.items()}
        self._now = now

    def _next(self, name: str, load: Load, now: float) -> _Seen:
        seen = self._seen.get(name)
        if seen is None:
            return _Seen(load, now, has_moved=not load.waiting)
        moves = not load.waiting or load.completed != seen.load.completed
        began = not seen.load.waiting
        since = now if moves or began else seen.since
        return _Seen(load, since, has_moved=seen.has_moved or moves)

    def forget(self) -> None:
        """Nobody knows what happened since the last note: that is no stall."""
        self._seen = {}

    def stalls(self) -> list[Stall]:
        """The channels that stall, by the last note."""
        waits = [(name, self._now - seen.since, seen.load) for name, seen in self._seen.items()]
        return [
            Stall(name, seconds, load)
            for name, seconds, load in waits
            if load.waiting and seconds >= self._stalled_after
        ]

    def undecided(self) -> bool:
        """Whether a channel has neither moved so far, nor stalled yet."""
        still = sum(not seen.has_moved for seen in self._seen.values())
        return still > len(self.stalls())
