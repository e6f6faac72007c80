"""Group load: many sockets in a group, sends from a process of its own, each delivery counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Self

from benchmarks.load import without_garbage_collection
from benchmarks.sockets import Crowd, Socket, percentile, until

#: Tells the sender to send ``count`` texts to a group, numbered from ``first``, ``gap`` apart;
#: returns what each send took it, in nanoseconds. Blocks.
Send = Callable[..., list[int]]


@dataclass
class Deliveries:
    """What arrived at the members, all together."""

    age: list[int] = field(default_factory=list)
    last: int = 0
    wrong: int = 0


class Member(Socket):
    """Notes when each text arrived; one that is not later than those before it is wrong."""

    deliveries: Deliveries
    newest = -1

    def text_received(self, text: bytes) -> None:
        deliveries = self.deliveries
        number, _, sent = text.partition(b" ")
        if int(number) <= self.newest:
            deliveries.wrong += 1
        self.newest = int(number)
        deliveries.last = time.monotonic_ns()
        deliveries.age.append(deliveries.last - int(sent))


@dataclass(frozen=True)
class Burst:
    """Sends at once: deliveries a second until the last one, and the share that never came."""

    per_second: float
    lost_percent: float
    wrong: int


@dataclass(frozen=True)
class Paced:
    """Sends with pauses: from send to receive, and what a send took the sender."""

    p50_ms: float
    p99_ms: float
    cost_ms: float
    lost_percent: float
    wrong: int


class Room:
    """A group with ``members`` sockets in it, to be used with ``async with``."""

    def __init__(self, port: int, group: str, members: int, send: Send) -> None:
        self.group, self.members, self._send = group, members, send
        self._crowd = Crowd(port, Member, f"/group/{group}/")
        self._next = 0

    async def __aenter__(self) -> Self:
        try:
            await self._crowd.open(self.members)
        except BaseException:
            await self._crowd.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._crowd.close()

    async def burst(self, count: int) -> Burst:
        """``count`` sends, as fast as the sender can."""
        began = time.monotonic_ns()
        deliveries, _ = await self._deliver(count, gap=0)
        took = max(deliveries.last - began, 1) / 1e9
        arrived = len(deliveries.age)
        return Burst(arrived / took, self._lost(arrived, count), deliveries.wrong)

    async def paced(self, count: int, gap: float) -> Paced:
        """``count`` sends, ``gap`` seconds apart."""
        deliveries, cost = await self._deliver(count, gap)
        return Paced(
            p50_ms=percentile(deliveries.age, 50) / 1e6,
            p99_ms=percentile(deliveries.age, 99) / 1e6,
            cost_ms=median(cost) / 1e6,
            lost_percent=self._lost(len(deliveries.age), count),
            wrong=deliveries.wrong,
        )

    def _lost(self, arrived: int, count: int) -> float:
        return 100 * (1 - arrived / (count * self.members))

    async def _deliver(self, count: int, gap: float) -> tuple[Deliveries, list[int]]:
        deliveries = Deliveries()
        for socket in self._crowd.sockets:
            socket.deliveries = deliveries
        first, self._next = self._next, self._next + count
        with without_garbage_collection():
            cost = await asyncio.to_thread(
                self._send, to=self.group, first=first, count=count, gap=gap
            )
            await self._all_arrived(deliveries, count * self.members)
        return deliveries, cost

    async def _all_arrived(self, deliveries: Deliveries, expected: int) -> None:
        """Until all are here, or for 3 seconds nothing more has come."""
        arrived = -1
        while arrived < len(deliveries.age) < expected:
            arrived = len(deliveries.age)
            await until(lambda: len(deliveries.age) >= expected, within=3)
