"""The ledger of an in-memory layer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from channels_classic.layers.ledger import (
    MOST_CHANNELS,
    MOST_REPORTS,
    Census,
    ChannelFacts,
    Delayed,
    Ledger,
)
from channels_classic.layers.names import is_plain

if TYPE_CHECKING:
    from channels_classic.layers.codec import Codec
    from channels_classic.layers.in_memory.store import Store
    from channels_classic.layers.memory import InMemoryChannelLayer
    from channels_classic.layers.traffic import Content, DeadLetter


class MemoryLedger(Ledger):
    """Holds the reports and the history; the rest is in the store of the layer."""

    def __init__(self, layer: InMemoryChannelLayer, codec: Codec) -> None:
        self._layer = layer
        self._codec = codec
        self._reports: dict[str, tuple[float, bytes]] = {}
        self._claims: dict[str, float] = {}
        self._history: deque[tuple[float, bytes]] = deque()

    def clear(self) -> None:
        """Forget everything."""
        self._reports.clear()
        self._claims.clear()
        self._history.clear()

    def report(self, process: str, content: Content, *, ttl: float) -> None:
        payload = self._codec.encode(content)
        with self._layer.hold() as store:
            now = store.clock()
            self._reports[process] = (now + ttl, payload)
            self._reports = {name: each for name, each in self._reports.items() if each[0] > now}

    def census(self, channels: Sequence[str] = (), *, others: bool = True) -> Census:
        with self._layer.hold() as store:
            now = store.clock()
            reports = {
                name: self._codec.decode(payload)
                for name, (ends, payload) in list(self._reports.items())[:MOST_REPORTS]
                if ends > now
            }
            if not others:
                facts = {name: self._facts(store, name) for name in channels}
                return Census(facts, {}, len(store.dead), 0)
            known = sorted(filter(is_plain, {*store.counts, *self._layer.read_channels()}))
            names = list(dict.fromkeys([*channels, *known]))[:MOST_CHANNELS]
            facts = {name: self._facts(store, name) for name in names}
            return Census(facts, reports, len(store.dead), len(store.groups))

    def _facts(self, store: Store, name: str) -> ChannelFacts:
        due = store.later.next_due([name])
        counts = {key: int(number) for key, number in store.counts[name].items()}
        waiting = store.later.waiting(name)
        load = store.load(name, workers=self._layer.live_workers(name))
        return ChannelFacts(load, counts, waiting, due - store.clock() if waiting else None)

    def delayed(self, channel: str, limit: int = 100) -> list[Delayed]:
        with self._layer.hold() as store:
            now = store.clock()
            first = store.later.first(channel, limit)
            return [
                Delayed(channel, max(0, due - now), self._codec.decode(envelope.payload))
                for due, envelope in first
            ]

    def newest_dead(self, limit: int) -> list[DeadLetter]:
        with self._layer.hold() as store:
            return store.dead.newest(limit)

    def dead_letter(self, id_: str) -> DeadLetter | None:
        with self._layer.hold() as store:
            return store.dead.get(id_)

    def claim(self, name: str, seconds: float) -> bool:
        with self._layer.hold() as store:
            now = store.clock()
            self._claims = {each: ends for each, ends in self._claims.items() if ends > now}
            return self._claims.setdefault(name, now + seconds) == now + seconds

    def record(self, content: Content, *, limit: int) -> None:
        payload = self._codec.encode(content)
        with self._layer.hold():
            self._history.append((time.time(), payload))
            while len(self._history) > limit:
                self._history.popleft()

    def recorded(self, limit: int) -> list[tuple[float, Content]]:
        with self._layer.hold():
            last = list(self._history)[-limit:]
        return [(when, self._codec.decode(payload)) for when, payload in last]
