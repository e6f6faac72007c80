"""Presence: which of several shards answer, so that nobody waits for the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis.exceptions import ResponseError

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.on_redis.shard import Shard

logger = logging.getLogger("channels_classic.layers")

#: The pause between two tries to reach a shard that is away, in seconds.
PAUSE = 0.2


class Presence:
    """What all calls to the shards of one layer have found out. Thread-safe.

    A shard that does not answer is left alone, but for one thread that tries it until it does. The
    only shard of a layer is never left alone.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._lock = threading.Lock()
        self._away: dict[Shard, threading.Thread] = {}

    def present(self) -> Sequence[Shard]:
        """The shards that have answered lately; all, when none has."""
        if not self._away:  # as nearly always
            return self._shards
        return [each for each in self._shards if each not in self._away] or self._shards

    def is_away(self, shard: Shard) -> bool:
        """Whether ``shard`` is to be left alone."""
        return shard in self._away

    @contextmanager
    def noted(self, shard: Shard) -> Iterator[None]:
        """Note whether ``shard`` answers the call in the block."""
        try:
            yield
        except LayerUnavailable as error:
            if not isinstance(error.__cause__, ResponseError):  # else it did answer
                self._went(shard, error)
            raise

    def _went(self, shard: Shard, error: LayerUnavailable) -> None:
        if len(self._shards) == 1:
            return
        with self._lock:
            if shard in self._away:
                return
            thread = threading.Thread(
                target=self._try, args=(shard,), name="try a shard", daemon=True
            )
            self._away[shard] = thread
        logger.error("A shard is left alone until it answers: %s", error)
        thread.start()

    def _try(self, shard: Shard) -> None:
        while self._away.get(shard) is threading.current_thread():
            try:
                shard.call(("PING",))
            except LayerUnavailable:
                time.sleep(PAUSE)
            else:
                with self._lock:
                    self._away.pop(shard, None)
                logger.info("The shard at %s answers again.", shard.node.name)

    def close(self) -> None:
        """Try no more: the next call finds out anew."""
        with self._lock:
            self._away.clear()


def left_alone(shard: Shard) -> LayerUnavailable:
    """What a call to a shard that is away ends with, at once."""
    return LayerUnavailable(f"Redis at {shard.node.name} has not answered lately")
