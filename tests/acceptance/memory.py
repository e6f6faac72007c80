"""What processes and Redis use while something goes on."""

from __future__ import annotations

import threading
from typing import Self

import redis

from tests.acceptance.bus import rss
from tests.acceptance.processes import Process
from tests.conftest import RedisServer

MIB = 1024 * 1024


class Memory:
    """What the processes and Redis use while the ``with`` block runs."""

    def __init__(self, redis_server: RedisServer, processes: list[Process]) -> None:
        self._redis = redis.Redis.from_url(redis_server.url)
        self._processes = processes
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._first = self._most = self._look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._redis.close()

    @property
    def growth(self) -> float:
        """The most that any of them used beyond its start, in MiB."""
        return max(self.growths)

    @property
    def growths(self) -> list[float]:
        """The same of each: of Redis, and of the processes in their order."""
        return [most - first for most, first in zip(self._most, self._first, strict=True)]

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self._most = [max(pair) for pair in zip(self._most, self._look(), strict=True)]

    def _look(self) -> list[float]:
        on_redis = int(self._redis.info("memory")["used_memory"]) / MIB
        return [on_redis, *map(rss, self._processes)]
