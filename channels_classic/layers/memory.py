"""The channel layer inside one process: for tests and for ``runserver``."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, ClassVar

from channels_classic.exceptions import ChannelFull
from channels_classic.layers.base import BaseChannelLayer, Received
from channels_classic.layers.codec import Codec
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import (
    LAST,
    Inbox,
    IsOpen,
    OnReceipt,
    Receiver,
    always_open,
    no_receipts,
)
from channels_classic.layers.in_memory.ends import MemoryInbox, MemoryReceiver
from channels_classic.layers.in_memory.ledger import MemoryLedger
from channels_classic.layers.in_memory.store import Store, Taken
from channels_classic.layers.names import (
    non_local_name,
    valid_channel_name,
    valid_group_name,
    valid_key,
    valid_receive_names,
    valid_worker_names,
)
from channels_classic.layers.traffic import (
    Content,
    DeadLetter,
    Delivery,
    Envelope,
    Load,
    Pulse,
    Reasons,
)

#: How long a blocking receive waits before it gives up, in seconds.
BLOCK = 5.0
#: How long the attachments of a connection outlive the last message to its consumers, in seconds.
GRACE = 60.0


class InMemoryChannelLayer(BaseChannelLayer):
    """Channels and groups in this process's memory; blocking receives really wait.

    Messages are encoded as on every other layer, so that what works here works there. Options:
    those of ``BaseChannelLayer``. A channel with ``!`` always refuses what is over its capacity.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics", "async"]
    receipts = True
    later = True
    attachments = True
    #: Other processes cannot see this layer; ``runworker`` refuses it.
    local_only = True

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock
        self._codec = Codec(max_size=int(self.max_message_size))
        self._changed = threading.Condition()
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()
        self._workers: dict[str, dict[str, float]] = {}
        self.store = Store(self, self._codec, clock)
        self._ledger = self.ledger = MemoryLedger(self, self._codec)

    def __str__(self) -> str:
        return "InMemoryChannelLayer (this process only)"

    def encode(self, content: Content) -> bytes:
        return self._codec.encode(content)

    @contextmanager
    def hold(self) -> Iterator[Store]:
        """The lock, and what it guards; those who wait hear of changes, the log of losses."""
        with self._changed:
            self.store.tick()
            yield self.store
            self._wake()
            notes = self.store.take_notes()
        for channel, counter, number in notes:
            self.note(channel, counter, number)

    # Waiting --------------------------------------------------------------------------

    def wait(self, names: Sequence[str], timeout: float) -> None:
        """Within ``hold``: until there is something under ``names``, or ``timeout`` has passed."""
        end = time.monotonic() + timeout
        while not self.store.has_any(names) and (left := end - time.monotonic()) > 0:
            self._wake()  # what is due by now may be for others
            self._changed.wait(min(left, self.store.due_in()))
            self.store.tick()

    async def wait_async(self, take: Callable[[], Any]) -> Any:
        """What ``take`` finds, asked again after each change until ``BLOCK`` has passed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BLOCK
        while True:
            future: asyncio.Future[None] = loop.create_future()
            with self.hold() as store:
                if found := take():
                    return found
                self._sleepers.add((loop, future))
                due_in = store.due_in()
            try:
                async with asyncio.timeout_at(min(end, loop.time() + due_in)):
                    await future
            except TimeoutError:
                if loop.time() >= end:
                    return None
            finally:
                with self._changed:
                    self._sleepers.discard((loop, future))

    def _wake(self) -> None:
        if not self.store.changed:
            return
        self.store.changed = False
        self._changed.notify_all()
        for loop, future in self._sleepers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_finish, future)
        self._sleepers.clear()

    # Sending and receiving --------------------------------------------------------------

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        with self.hold() as store:
            return [envelope for envelope in envelopes if not store.put(envelope)]

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        return self.deliver(envelopes)

    def receive(self, channels: Sequence[str], block: bool = False) -> Received:
        names = valid_receive_names(channels)
        with self.hold():
            if block and names:
                self.wait(names, BLOCK)
            return self._take_one(names) or (None, None)

    async def receive_async(self, channels: Sequence[str]) -> Received:
        names = valid_receive_names(channels)
        found: Received | None = await self.wait_async(lambda: self._take_one(names))
        return found or (None, None)

    def _take_one(self, names: Sequence[str]) -> tuple[str, Content] | None:
        """Look in random order, so that no busy channel starves the others."""
        for name in random.sample(names, len(names)):
            taken = self.store.take(name)
            if taken is not None:
                full_name = self._first_local(name, taken) if "!" in name else name
                self.store.receipt(taken.entry.lane, lost=False)  # nobody will acknowledge it
                return full_name, taken.content
        return None

    def _first_local(self, process: str, taken: Taken) -> str:
        """One member of one entry; the rest of a group's entry stays for the next call."""
        first, *rest = taken.entry.locals
        if rest:
            self.store.put_back(process, taken.entry._replace(locals=tuple(rest)))
        if taken.entry.direct:
            self.store.drained(process + first)
        return process + first

    def receiver(self, channels: Sequence[str], *, worker: str = "") -> Receiver:
        return MemoryReceiver(self, valid_worker_names(channels))

    def inbox(
        self, process: str, is_open: IsOpen = always_open, on_receipt: OnReceipt = no_receipts
    ) -> Inbox:
        with self.hold() as store:
            store.is_open[process] = is_open
        return MemoryInbox(self, process, on_receipt)

    # What becomes of messages that were taken ---------------------------------------------

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        with self.hold() as store:
            return store.settle(done, sends)

    def lose(self, deliveries: Sequence[Delivery], counter: Counter) -> None:
        with self.hold() as store:
            for delivery in deliveries:
                store.happened(delivery.channel, counter)
                store.receipt(delivery.lane, lost=True)

    def bury(self, delivery: Delivery, reasons: Reasons) -> None:
        with self.hold() as store:
            forgotten = store.dead.add(delivery, reasons)
            store.count(delivery.channel, Counter.DEAD)
            if forgotten is not None:
                store.happened(forgotten, Counter.DROPPED)
            store.receipt(delivery.lane, lost=False)
        self.note(delivery.channel, Counter.DEAD, detail=reasons.error)

    def dead_letters(self, channel: str | None = None) -> list[DeadLetter]:
        with self.hold() as store:
            return store.dead.of(channel)

    def requeue_dead(self, letters: Iterable[DeadLetter]) -> int:
        number = 0
        for letter in letters:
            with self.hold() as store:
                payload = store.dead.payload(letter)
                is_back = payload is not None and store.put_one(Envelope(letter.channel, payload))
                number += is_back and store.dead.remove(letter)
            if payload is not None and not is_back:
                raise ChannelFull(f"{letter.channel} is full: {ChannelFull.__doc__}")
        return number

    def delete_dead(self, letters: Iterable[DeadLetter]) -> int:
        with self.hold() as store:
            return sum(store.dead.remove(letter) for letter in letters)

    # Groups ---------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        lives = inf if "!" in channel else self._clock() + self.group_expiry
        process = non_local_name(channel)
        is_open = self.store.is_open.get(process, always_open)
        if not is_open(channel[len(process) :]):
            return  # the join comes after the close
        with self.hold() as store:
            store.groups.add(group, channel, until=lives)

    def group_discard(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        with self.hold() as store:
            store.groups.discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        valid_group_name(group)
        with self.hold() as store:
            return store.groups.of(group)

    def group_count(self, group: str) -> int:
        valid_group_name(group)
        with self.hold() as store:
            return store.groups.count(group)

    # Attachments ------------------------------------------------------------------------

    def attach(self, channel: str, key: str, content: Content) -> None:
        payload = self.encode_attachment(channel, key, content)
        process = non_local_name(channel)
        is_open = self.store.is_open.get(process)
        if is_open is None:
            until = self._clock() + self.group_expiry
        else:
            is_late = not is_open(channel[len(process) :])
            until = self.attachments_end() if is_late else inf
        with self.hold() as store:
            store.attachments.put(channel, key, payload, until=until)

    def attached(self, channels: Sequence[str], key: str) -> list[Content | None]:
        names = [valid_channel_name(channel) for channel in channels]
        valid_key(key)
        with self.hold() as store:
            now = store.clock()
            found = [store.attachments.get(name, key, now=now) for name in names]
        return [None if each is None else self._codec.decode(each) for each in found]

    def detach(self, channel: str, key: str) -> None:
        valid_channel_name(channel), valid_key(key)
        with self.hold() as store:
            store.attachments.remove(channel, key)

    def attachments_end(self) -> float:
        """Until when connections that close now keep what is attached to them."""
        expiry = self.get_expiry(LAST)
        return self._clock() + GRACE + (self.group_expiry if expiry is None else expiry)

    # The rest of the contract -----------------------------------------------------------

    def flush(self) -> None:
        with self.hold() as store:
            store.clear()
            self._ledger.clear()

    def count(self, channel: str, counter: Counter, number: int = 1) -> None:
        with self.hold() as store:
            store.count(non_local_name(channel), counter, number)

    def channel_statistics(self, channel: str) -> dict[str, float]:
        valid_channel_name(channel)
        with self.hold() as store:
            return store.statistics(non_local_name(channel))

    def global_statistics(self) -> dict[str, float]:
        with self.hold() as store:
            waiting = [store.statistics(name) for name in store.channels]
            return {
                **store.totals,
                "messages_pending": sum(each["messages_pending"] for each in waiting),
                "messages_max_age": max((each["messages_max_age"] for each in waiting), default=0),
            }

    def beat(
        self, worker: str, channels: Sequence[str], *, ttl: float, recover: bool = True
    ) -> Pulse:
        now = self._clock()
        with self.hold() as store:
            for channel in channels:
                known = self._workers.get(channel, {})
                alive = {name: lives for name, lives in known.items() if lives > now}
                self._workers[channel] = {**alive, worker: now + ttl}
            due = store.later.next_due(channels)
        return Pulse([], None if due == inf else due - now)

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        with self._changed:
            for channel in channels:
                self._workers.get(channel, {}).pop(worker, None)

    def is_gone(self, channel: str) -> bool:
        return self.store.is_gone(channel)

    async def has_worker(self, channel: str) -> bool:
        with self._changed:
            return self.live_workers(channel) > 0

    async def loads(self, channels: Sequence[str]) -> dict[str, Load]:
        with self.hold() as store:
            return {
                name: store.load(name, workers=self.live_workers(name))
                for name in valid_worker_names(channels)
            }

    def read_channels(self) -> list[str]:
        """Within ``hold``: the channels that workers read, or have read."""
        return list(self._workers)

    def live_workers(self, channel: str) -> int:
        """Within ``hold``: how many worker processes read ``channel``."""
        now = self._clock()
        return sum(lives > now for lives in self._workers.get(channel, {}).values())


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
