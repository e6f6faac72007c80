"""The two ends of an in-memory layer: what workers and interface servers of this process use."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import GONE, Inbox, OnReceipt, Receiver
from channels_classic.layers.in_memory.store import Receipt, Taken
from channels_classic.layers.ledger import MOST_GROUPS
from channels_classic.layers.traffic import Arrival, Content, Delivery, Envelope, Exchange

if TYPE_CHECKING:
    from channels_classic.layers.memory import InMemoryChannelLayer


class MemoryReceiver(Receiver):
    """What it has taken is nowhere else: one process lives and dies as a whole."""

    layer: InMemoryChannelLayer

    def exchange(
        self,
        *,
        done: Sequence[Delivery],
        sends: Sequence[Envelope],
        limit: int,
        timeout: float,
    ) -> Exchange:
        with self.layer.hold() as store:
            refused = store.settle(done, sends)
            self.layer.wait(self.channels, timeout)
            taken = [
                _delivery(name, found)
                for name in random.sample(self.channels, len(self.channels))
                for found in (store.take(name) for _ in range(limit))
                if found is not None
            ]
        return Exchange(taken, refused)

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        return self.layer.settle(done, sends)

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        return self.layer.settle([done], sends)

    def waited(self, delivery: Delivery) -> float | None:
        born: float = delivery.token.born
        return max(0.0, self.layer.store.clock() - born)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """To the head of their channels, as old as they are; no capacity is asked."""
        with self.layer.hold() as store:
            for delivery in reversed(deliveries):
                store.put_back(delivery.channel, delivery.token)


def _delivery(name: str, taken: Taken) -> Delivery:
    entry = taken.entry
    return Delivery(
        name, taken.content, entry, entry.lane, entry.attempts, entry.crashes, entry.payload
    )


class MemoryInbox(Inbox):
    """No will of its connections is kept: what would send it dies with them."""

    layer: InMemoryChannelLayer

    def __init__(self, layer: InMemoryChannelLayer, process: str, on_receipt: OnReceipt) -> None:
        super().__init__(layer, process)
        self._on_receipt = on_receipt

    async def read(self) -> list[Arrival]:
        found: tuple[list[Receipt], Taken | None]
        found = await self.layer.wait_async(self._take) or ([], None)
        receipts, taken = found
        for receipt in receipts:
            self._on_receipt(*receipt)
        if taken is None:
            return []
        return [Arrival(taken.entry.locals, taken.content, taken.entry.direct)]

    def _take(self) -> tuple[list[Receipt], Taken | None] | None:
        receipts: list[Receipt] = []
        taken = self.layer.store.take(self.process, receipts)
        return (receipts, taken) if receipts or taken else None

    async def beat(self, *, ttl: float) -> bool:
        with self.layer.hold():
            return False

    def report(self, content: Content, *, ttl: float) -> None:
        with self.layer.hold() as store:
            number, largest = store.groups.largest(self.process, MOST_GROUPS)
        full = {**content, "groups": number, "largest": largest}
        self.layer.ledger.report(self.process, full, ttl=ttl)

    def drained(self, local: str) -> None:
        with self.layer.hold() as store:
            store.drained(self.process + local)

    def forget(self, local: str) -> None:
        with self.layer.hold() as store:
            store.waiting.pop(self.process + local, None)
            store.groups.forget(self.process + local)
            store.attachments.end(self.process + local, until=self.layer.attachments_end())

    def refuse(self, local: str) -> None:
        with self.layer.hold() as store:
            store.gone[self.process + local] = store.clock() + GONE

    def count(self, channel: str, counter: Counter, number: int = 1) -> None:
        self.layer.count(channel, counter, number)

    async def close(self) -> None:
        process = self.process
        self.layer.ledger.report(process, {}, ttl=0)
        with self.layer.hold() as store:
            store.groups.forget_process(process)
            store.attachments.end_process(process, until=self.layer.attachments_end())
            store.later.drop(process)
            store.channels.pop(process, None)
            store.is_open.pop(process, None)
            store.counts.pop(process, None)
            for name in [name for name in store.waiting if name.startswith(process)]:
                del store.waiting[name]
