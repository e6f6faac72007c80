"""Presence: which of several shards answer, so that nobody waits for the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from redis.exceptions import ResponseError

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.shard import Shard

logger = logging.getLogger("channels_classic.layers")

#: How long a shard that does not answer is left alone, in seconds. Beats look more often, so that
#: in a worker or server nobody else has to find out.
AWAY = 4.0


class Presence:
    """What all calls to the shards of one layer have found out. Thread-safe.

    When a shard has been left alone for ``AWAY`` seconds, one caller may try it again.
    """

    def __init__(
        self, shards: Sequence[Shard], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shards = shards
        self._clock = clock
        self._lock = threading.Lock()
        self._away_until: dict[Shard, float] = {}

    def present(self) -> Sequence[Shard]:
        """The shards that have answered lately; all, when none has."""
        if not self._away_until:  # as nearly always
            return self._shards
        return [each for each in self._shards if each not in self._away_until] or self._shards

    def is_away(self, shard: Shard) -> bool:
        """Whether ``shard`` is to be left alone; if not, the caller is going to try it."""
        if shard not in self._away_until:  # as nearly always
            return False
        with self._lock:
            now = self._clock()
            if now < self._away_until.get(shard, 0):
                return True
            if shard in self._away_until:
                self._away_until[shard] = now + AWAY
            return False

    @contextmanager
    def noted(self, shard: Shard) -> Iterator[None]:
        """Note whether ``shard`` answers the call in the block."""
        try:
            yield
        except LayerUnavailable as error:
            if not isinstance(error.__cause__, ResponseError):  # else it did answer
                self._went(shard, error)
            raise
        if shard in self._away_until:
            self._came(shard)

    def _went(self, shard: Shard, error: LayerUnavailable) -> None:
        with self._lock:
            is_news = shard not in self._away_until
            self._away_until[shard] = self._clock() + AWAY
        if is_news:
            logger.error("A shard is left alone until it answers: %s", error)

    def _came(self, shard: Shard) -> None:
        with self._lock:
            was_away = self._away_until.pop(shard, None) is not None
        if was_away:
            logger.info("The shard at %s answers again.", shard.node.name)


def left_alone(shard: Shard) -> LayerUnavailable:
    """What a call to a shard that is away ends with, at once."""
    return LayerUnavailable(f"Redis at {shard.node.name} has not answered lately")
