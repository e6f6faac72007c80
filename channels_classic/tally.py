"""Counts that wait until the bus answers."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter

#: Seconds between two reports of what was completed, which is nearly all: of the rest, each flush.
EVERY = 1.0


class Tally:
    """Adds up what a worker counts, and hands it to the layer now and then. Thread-safe."""

    def __init__(
        self, layer: BaseChannelLayer, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._layer = layer
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: collections.Counter[tuple[str, Counter]] = collections.Counter()
        self._completed: dict[str, int] = {}
        #: All that was completed, by channel; and when the last was, by the clock, 0 before.
        self.totals: dict[str, int] = {}
        self.completed_at = 0.0
        self._reported = clock()

    def add(self, channel: str, counter: Counter, number: int = 1) -> None:
        """Count now; nobody waits for the bus."""
        with self._lock:
            self._counts[channel, counter] += number

    def complete(self, channel: str) -> None:
        """Count a message that was dealt with."""
        with self._lock:
            self.totals[channel] = self.totals.get(channel, 0) + 1
            self.completed_at = self._clock()
            self._completed[channel] = self._completed.get(channel, 0) + 1

    def flush(self, *, everything: bool = False) -> None:
        """Hand all that is due, or ``everything``, to the layer; what it does not take is kept."""
        if self._completed and (everything or self._clock() - self._reported >= EVERY):
            self._report_completed()
        if not self._counts:
            return
        with self._lock:
            counts, self._counts = self._counts, collections.Counter()
        try:
            for channel, counter in list(counts):
                self._layer.count(channel, counter, counts[channel, counter])
                del counts[channel, counter]
        except LayerUnavailable:
            with self._lock:
                self._counts += counts

    def _report_completed(self) -> None:
        self._reported = self._clock()
        with self._lock:
            completed, self._completed = self._completed, {}
        for channel, number in completed.items():
            self.add(channel, Counter.COMPLETED, number)
