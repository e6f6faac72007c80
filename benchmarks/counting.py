"""What a send makes Redis write, by Redis' own count of its commands."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from benchmarks.group_load import Send

#: Commands that Redis does not class as writes, though they put something on the bus.
ALSO = ("publish", "spublish")


class Counting:
    """``send``, with a count of what was written meanwhile; for one send at a time."""

    def __init__(self, send: Send, redis: Path) -> None:
        self._send = send
        self._redis = Redis(unix_socket_path=str(redis), decode_responses=True)
        known = self._redis.command_list(category="write")
        self._names = {f"cmdstat_{name}" for name in (*known, *ALSO)}
        self._counts: list[int] = []

    def __call__(self, **order: object) -> list[int]:
        """Carry out the order, and count."""
        before = self._written()
        cost = self._send(**order)
        self._counts.append(self._written() - before)
        return cost

    def writes(self) -> int:
        """The least of the counts: others hold what a server or a worker wrote meanwhile."""
        return min(self._counts)

    def close(self) -> None:
        """Let go of Redis."""
        self._redis.close()

    def _written(self) -> int:
        statistics = self._redis.info("commandstats")
        return sum(found["calls"] for name, found in statistics.items() if name in self._names)
