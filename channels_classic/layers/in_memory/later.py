"""Delayed messages in this process's memory, by channel and by the time at which they are due."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from math import inf

from channels_classic.layers.traffic import Envelope


class Later:
    """Its caller holds the lock; a process has its delayed replies under one name."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[tuple[float, int, Envelope]]] = {}
        self._serial = itertools.count()
        #: When the next message of any channel is due.
        self.first_due = inf

    def __len__(self) -> int:
        return sum(map(len, self._heaps.values()))

    def __iter__(self) -> Iterator[Envelope]:
        return (envelope for heap in self._heaps.values() for _, _, envelope in heap)

    def add(self, name: str, due: float, envelope: Envelope) -> None:
        """Keep ``envelope`` under ``name`` until the time ``due``."""
        heap = self._heaps.setdefault(name, [])
        heapq.heappush(heap, (due, next(self._serial), envelope))
        self.first_due = min(due, self.first_due)

    def waiting(self, name: str) -> int:
        """How many messages wait for their time under ``name``."""
        return len(self._heaps.get(name, ()))

    def next_due(self, names: Iterable[str]) -> float:
        """When the next message of any of ``names`` is due; infinity when there is none."""
        return min((self._heaps[name][0][0] for name in names if name in self._heaps), default=inf)

    def first(self, name: str, limit: int) -> list[tuple[float, Envelope]]:
        """The first ``limit`` messages under ``name``, with the times at which they are due."""
        found = heapq.nsmallest(limit, self._heaps.get(name, ()))
        return [(due, envelope) for due, _, envelope in found]

    def take_due(self, now: float) -> list[Envelope]:
        """Remove what is due by ``now``, in that order."""
        if now < self.first_due:
            return []
        due = []
        for heap in self._heaps.values():
            while heap and heap[0][0] <= now:
                due.append(heapq.heappop(heap))
        self._tidy()
        return [envelope for _, _, envelope in sorted(due)]

    def drop(self, name: str) -> None:
        """Forget what waits under ``name``."""
        self._heaps.pop(name, None)
        self._tidy()

    def _tidy(self) -> None:
        self._heaps = {name: heap for name, heap in self._heaps.items() if heap}
        self.first_due = self.next_due(self._heaps)
