"""The channel layer inside one process: for tests and for ``runserver``."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from channels_classic.layers.base import BaseChannelLayer, Received
from channels_classic.layers.codec import Codec
from channels_classic.layers.ends import (
    GONE,
    Inbox,
    IsOpen,
    OnReceipt,
    Receiver,
    always_open,
    no_receipts,
)
from channels_classic.layers.memberships import Memberships
from channels_classic.layers.names import (
    non_local_name,
    valid_channel_name,
    valid_group_name,
    valid_receive_names,
    valid_worker_names,
)
from channels_classic.layers.traffic import Arrival, Delivery, Envelope, Exchange

#: How long a blocking receive waits before it gives up, in seconds.
BLOCK = 5.0


class _Entry(NamedTuple):
    deadline: float
    payload: bytes
    #: Local parts, for an entry in the inbox of a process; empty on any other channel.
    locals: tuple[str, ...] = ()
    direct: bool = True


class InMemoryChannelLayer(BaseChannelLayer):
    """Channels and groups in this process's memory; blocking receives really wait.

    Messages are encoded as on every other layer, so that what works here works there. Options:
    those of ``BaseChannelLayer``.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics", "async"]
    #: Other processes cannot see this layer; ``runworker`` refuses it.
    local_only = True

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        super().__init__(**options)
        self._clock = clock
        self._codec = Codec(max_size=int(self.max_message_size))
        self._changed = threading.Condition()
        self._is_open: dict[str, IsOpen] = {}
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()
        self._empty()

    def _empty(self) -> None:
        self._channels: dict[str, deque[_Entry]] = {}
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._groups = Memberships(self._clock)
        self._workers: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._counts: defaultdict[str, dict[str, float]] = defaultdict(_no_counts)
        self._gone: dict[str, float] = {}
        self._sweep_at = self._clock() + self.expiry

    def __str__(self) -> str:
        return "InMemoryChannelLayer (this process only)"

    def encode(self, content: dict[str, Any]) -> bytes:
        return self._codec.encode(content)

    # Sending --------------------------------------------------------------------------

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        with self._changed:
            if self._clock() >= self._sweep_at:
                self._sweep()
            refused = [envelope for envelope in envelopes if not self._put(envelope)]
            self._wake()
        return refused

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        return self.deliver(envelopes)

    def _sweep(self) -> None:
        """Drop what has expired on channels and in groups that nobody asks for any more."""
        self._sweep_at = self._clock() + self.expiry
        for name, entries in list(self._channels.items()):
            self._expire(name, entries)
            if not entries:
                del self._channels[name]
        self._groups.expire()

    def _put(self, envelope: Envelope) -> bool:
        if envelope.to_group:
            self._put_group(envelope)
            return True
        return self._put_one(envelope.name, envelope.payload)

    def _put_one(self, name: str, payload: bytes) -> bool:
        stored = non_local_name(name)
        entries = self._channels.setdefault(stored, deque())
        self._expire(stored, entries)
        counts = self._counts[_counted(stored)]
        waiting = self._waiting.get(name, 0) if "!" in name else len(entries)
        if waiting >= self.get_capacity(name) or self.is_gone(name):
            counts["channel_full_count"] += 1
            return False
        counts["messages_count"] += 1
        local = (name[len(stored) :],) if "!" in name else ()
        if local:
            self._waiting[name] += 1
        entries.append(_Entry(self._clock() + self.expiry, payload, local))
        return True

    def _put_group(self, envelope: Envelope) -> None:
        """One entry for each process, whatever the number of its members."""
        processes: defaultdict[str, list[str]] = defaultdict(list)
        for member in self._groups.of(envelope.name):
            if "!" in member:
                process = non_local_name(member)
                processes[process].append(member[len(process) :])
            else:
                self._put_one(member, envelope.payload)
        for process, locals_ in processes.items():
            entry = _Entry(self._clock() + self.expiry, envelope.payload, tuple(locals_), False)
            self._channels.setdefault(process, deque()).append(entry)

    def _wake(self) -> None:
        self._changed.notify_all()
        for loop, future in self._sleepers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_finish, future)
        self._sleepers.clear()

    # Receiving ------------------------------------------------------------------------

    def receive(self, channels: Sequence[str], block: bool = False) -> Received:
        names = valid_receive_names(channels)
        with self._changed:
            taken = self._take_one(names)
            if taken is None and block and names:
                self._changed.wait_for(lambda: self._has_any(names), BLOCK)
                taken = self._take_one(names)
        return (None, None) if taken is None else (taken[0], self._codec.decode(taken[1]))

    async def receive_async(self, channels: Sequence[str]) -> Received:
        names = valid_receive_names(channels)
        taken = await self._wait_async(lambda: self._take_one(names))
        return (None, None) if taken is None else (taken[0], self._codec.decode(taken[1]))

    def receiver(self, channels: Sequence[str], *, worker: str = "") -> Receiver:
        return _MemoryReceiver(self, valid_worker_names(channels))

    def inbox(
        self, process: str, is_open: IsOpen = always_open, on_receipt: OnReceipt = no_receipts
    ) -> Inbox:
        self._is_open[process] = is_open
        return _MemoryInbox(self, process)

    def _take_one(self, names: Sequence[str]) -> tuple[str, bytes] | None:
        """Look in random order, so that no busy channel starves the others."""
        for name in random.sample(names, len(names)):
            if name.endswith("!"):
                taken = self._take_local(name)
                if taken is not None:
                    return taken
            elif entry := self._pop(name):
                return name, entry.payload
        return None

    def _take_local(self, process: str) -> tuple[str, bytes] | None:
        """One member of one entry; the rest of a group's entry stays for the next call."""
        entry = self._pop(process)
        if entry is None:
            return None
        first, *rest = entry.locals
        if rest:
            self._channels.setdefault(process, deque()).appendleft(
                entry._replace(locals=tuple(rest))
            )
        if entry.direct:
            self._drained(process + first)
        return process + first, entry.payload

    def _pop(self, name: str) -> _Entry | None:
        entries = self._channels.get(name)
        if entries is None:
            return None
        self._expire(name, entries)
        entry = entries.popleft() if entries else None
        if not entries:
            del self._channels[name]
        return entry

    def _has_any(self, names: Iterable[str]) -> bool:
        return any(self._channels.get(name) for name in names)

    def _expire(self, name: str, entries: deque[_Entry]) -> None:
        now = self._clock()
        while entries and entries[0].deadline <= now:
            entry = entries.popleft()
            if entry.direct and entry.locals:
                self._drained(name + entry.locals[0])

    def _drained(self, name: str) -> None:
        left = self._waiting.pop(name, 0) - 1
        if left > 0:
            self._waiting[name] = left

    async def _wait_async(self, take: Callable[[], Any]) -> Any:
        """What ``take`` finds, asked again after each change until ``BLOCK`` has passed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BLOCK
        while True:
            future: asyncio.Future[None] = loop.create_future()
            with self._changed:
                if found := take():
                    return found
                self._sleepers.add((loop, future))
            try:
                async with asyncio.timeout_at(end):
                    await future
            except TimeoutError:
                return None
            finally:
                with self._changed:
                    self._sleepers.discard((loop, future))

    # Groups ---------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        lives = float("inf") if "!" in channel else self._clock() + self.group_expiry
        process = non_local_name(channel)
        is_open = self._is_open.get(process)
        if is_open is not None and not is_open(channel[len(process) :]):
            return  # the join comes after the close
        with self._changed:
            self._groups.add(group, channel, until=lives)

    def group_discard(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        with self._changed:
            self._groups.discard(group, channel)

    def group_channels(self, group: str) -> list[str]:
        valid_group_name(group)
        with self._changed:
            return self._groups.of(group)

    # The rest of the contract -----------------------------------------------------------

    def flush(self) -> None:
        with self._changed:
            self._empty()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        valid_channel_name(channel)
        name = non_local_name(channel)
        with self._changed:
            entries = self._channels.get(name) or ()
            oldest = entries[0].deadline - self.expiry if entries else self._clock()
            return {
                **self._counts.get(_counted(name), _no_counts()),
                "messages_pending": len(entries),
                "messages_max_age": max(0.0, self._clock() - oldest),
            }

    def global_statistics(self) -> dict[str, float]:
        with self._changed:
            return {
                key: sum(counts[key] for counts in self._counts.values()) for key in _no_counts()
            }

    def announce(self, worker: str, channels: Sequence[str], *, ttl: float) -> None:
        with self._changed:
            for channel in channels:
                self._workers[channel][worker] = self._clock() + ttl

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        with self._changed:
            for channel in channels:
                self._workers[channel].pop(worker, None)

    def is_gone(self, channel: str) -> bool:
        return self._gone.get(channel, 0) > self._clock()

    async def has_worker(self, channel: str) -> bool:
        now = self._clock()
        with self._changed:
            return any(lives > now for lives in self._workers[channel].values())


class _MemoryReceiver(Receiver):
    layer: InMemoryChannelLayer

    def exchange(
        self,
        *,
        done: Sequence[Delivery],
        sends: Sequence[Envelope],
        limit: int,
        timeout: float,
    ) -> Exchange:
        layer = self.layer
        refused = layer.deliver(sends) if sends else []
        with layer._changed:
            layer._changed.wait_for(lambda: layer._has_any(self.channels), timeout)
            taken = [
                (name, entry)
                for name in random.sample(self.channels, len(self.channels))
                for entry in (layer._pop(name) for _ in range(limit))
                if entry is not None
            ]
        decode = layer._codec.decode
        return Exchange([Delivery(name, decode(e.payload), e) for name, e in taken], refused)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """To the head of their channels, as old as they are; no capacity is asked."""
        layer = self.layer
        with layer._changed:
            for delivery in reversed(deliveries):
                layer._channels.setdefault(delivery.channel, deque()).appendleft(delivery.token)
            layer._wake()


class _MemoryInbox(Inbox):
    layer: InMemoryChannelLayer

    async def read(self) -> list[Arrival]:
        entry = await self.layer._wait_async(lambda: self.layer._pop(self.process))
        if entry is None:
            return []
        return [Arrival(entry.locals, self.layer._codec.decode(entry.payload), entry.direct)]

    def drained(self, local: str) -> None:
        with self.layer._changed:
            self.layer._drained(self.process + local)

    def forget(self, local: str) -> None:
        gone = self.process + local
        with self.layer._changed:
            self.layer._waiting.pop(gone, None)
            self.layer._groups.forget(lambda name: name == gone)

    def refuse(self, local: str) -> None:
        layer, now = self.layer, self.layer._clock()
        with layer._changed:
            layer._gone = {name: until for name, until in layer._gone.items() if until > now}
            layer._gone[self.process + local] = now + GONE

    async def close(self) -> None:
        layer = self.layer
        with layer._changed:
            layer._groups.forget(lambda name: name.startswith(self.process))
            for kept in (layer._channels, layer._is_open, layer._counts):
                kept.pop(self.process, None)
            for name in [name for name in layer._waiting if name.startswith(self.process)]:
                del layer._waiting[name]


def _counted(name: str) -> str:
    """What a channel is counted under: all with one base together, where names are random."""
    return name[: name.find("?") + 1] or name


def _no_counts() -> dict[str, float]:
    return {"messages_count": 0, "channel_full_count": 0}


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
