"""The beat of a worker process on several shards: each for itself, so that none holds up others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.presence import Presence
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.traffic import Delivery, Pulse

#: How long the shards are waited for, in seconds; what comes later is in the next pulse.
PROMPT = 0.2

#: Beats once on a shard; ``True`` asks for the recovery of what dead workers left there.
BeatOne = Callable[[Shard, bool], Pulse]


class SpreadBeat:
    """One beat at a time is under way on each shard; it also finds out which ones are away.

    What dead workers left on a shard is recovered by those who have beaten there in time for a
    while: when it was away for all, all seem dead.
    """

    def __init__(self, shards: Sequence[Shard], presence: Presence) -> None:
        self._shards = shards
        self._presence = presence
        self._pool = ThreadPoolExecutor(thread_name_prefix="beat")
        self._under_way: dict[tuple[str, Shard], Future[Pulse]] = {}
        self._trouble: dict[tuple[str, Shard], float] = {}

    def beat(self, worker: str, beat_one: BeatOne, *, ttl: float, recover: bool) -> Pulse:
        """What the shards have answered since the last beat; ``LayerUnavailable`` if none has."""
        keys = [(worker, shard) for shard in self._shards]
        for key in keys:
            if key not in self._under_way:
                is_steady = time.monotonic() - self._trouble.get(key, -ttl) >= ttl
                self._under_way[key] = self._pool.submit(
                    self._on_one, key, beat_one, recover and is_steady
                )
        wait([self._under_way[key] for key in keys], timeout=PROMPT)
        pulses, problems = self._collect(keys)
        if not pulses:
            raise problems[0] if problems else LayerUnavailable("no shard answers in time")
        due = [pulse.next_due for pulse in pulses if pulse.next_due is not None]
        lapsed: list[Delivery] = [each for pulse in pulses for each in pulse.lapsed]
        return Pulse(lapsed, min(due, default=None))

    def _on_one(self, key: tuple[str, Shard], beat_one: BeatOne, recover: bool) -> Pulse:
        with self._presence.noted(key[1]):
            return beat_one(key[1], recover)

    def _collect(self, keys: list[tuple[str, Shard]]) -> tuple[list[Pulse], list[LayerUnavailable]]:
        pulses: list[Pulse] = []
        problems: list[LayerUnavailable] = []
        for key in keys:
            if not self._under_way[key].done():
                self._trouble[key] = time.monotonic()
                continue
            try:
                pulses.append(self._under_way.pop(key).result())
            except LayerUnavailable as error:
                self._trouble[key] = time.monotonic()
                problems.append(error)
        return pulses, problems

    def close(self) -> None:
        """End the threads that have nothing to do."""
        self._pool.shutdown(wait=False)
        self._pool = ThreadPoolExecutor(thread_name_prefix="beat")
