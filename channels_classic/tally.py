"""Counts that wait until the bus answers."""

from __future__ import annotations

import collections
import threading

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter


class Tally:
    """Adds up what a worker counts, and hands it to the layer now and then. Thread-safe."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._lock = threading.Lock()
        self._counts: collections.Counter[tuple[str, Counter]] = collections.Counter()

    def add(self, channel: str, counter: Counter, number: int = 1) -> None:
        """Count now; nobody waits for the bus."""
        with self._lock:
            self._counts[channel, counter] += number

    def flush(self) -> None:
        """Hand everything to the layer; what it does not take is kept for the next time."""
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
