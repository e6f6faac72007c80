"""The channel layer on Redis: a thin verb around each command or script."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers.base import BaseChannelLayer, Received
from channels_classic.layers.codec import Codec
from channels_classic.layers.ends import (
    Inbox,
    IsOpen,
    OnReceipt,
    Receiver,
    always_open,
    no_receipts,
)
from channels_classic.layers.links import TIMEOUT, AsyncLink, Links, good
from channels_classic.layers.names import (
    non_local_name,
    valid_channel_name,
    valid_group_name,
    valid_receive_names,
    valid_worker_names,
)
from channels_classic.layers.reception import BLOCK, Reception
from channels_classic.layers.redis_inbox import RedisInbox
from channels_classic.layers.redis_receiver import RedisReceiver
from channels_classic.layers.ring import Host, nodes
from channels_classic.layers.shard import GRACE, Shard
from channels_classic.layers.traffic import Content, Envelope
from channels_classic.layers.wire import (
    ALIVE,
    ANNOUNCE,
    CLOSED,
    JOIN,
    LEAVE,
    Command,
)

_COUNTS = ("messages_count", "channel_full_count")
_GLOB = re.compile(r"[*?\[\]\\]")


class RedisChannelLayer(BaseChannelLayer):
    """Channels and groups on Redis 6.2 or newer, or Valkey, for any number of processes.

    Options, next to those of ``BaseChannelLayer``: ``hosts``, a list of one ``(name, port)`` or URL
    (``redis://``, ``rediss://``, ``unix://``); ``prefix`` of every key;
    ``symmetric_encryption_keys``, of which the first encrypts and all decrypt;
    ``connection_kwargs`` for redis-py; ``max_connections`` at once for sends and group calls of
    this process; ``inbox_limit``, the entries that a server may lag behind before it misses sends
    to groups.

    Raises ``ValueError`` for an option it cannot use; nothing is connected until the first call.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush", "statistics", "async"]

    def __init__(
        self,
        *,
        hosts: Sequence[Host] | None = None,
        prefix: str = "asgi:",
        symmetric_encryption_keys: Iterable[str | bytes] | None = None,
        connection_kwargs: Mapping[str, Any] | None = None,
        max_connections: int = 50,
        inbox_limit: int = 10_000,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(prefix, str):
            raise ValueError(f"prefix must be a str, not {prefix!r}")
        [node] = nodes(hosts, connection_kwargs)
        self.prefix = prefix
        self.codec = Codec(max_size=int(self.max_message_size), keys=symmetric_encryption_keys)
        self.shard = Shard(
            node,
            prefix=prefix,
            codec=self.codec,
            capacity=self.get_capacity,
            expiry=self.expiry,
            max_connections=max_connections,
            inbox_limit=inbox_limit,
        )
        self._waiting_links = Links(node, max_connections, timeout=BLOCK + TIMEOUT)
        self._reception = Reception(self.shard)

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.shard.node.name})"

    def encode(self, content: Content) -> bytes:
        return self.codec.encode(content)

    # Sending --------------------------------------------------------------------------

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        return self.shard.deliver(envelopes)

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        return await self.shard.writer().deliver(envelopes)

    # Receiving ------------------------------------------------------------------------

    def receive(self, channels: Sequence[str], block: bool = False) -> Received:
        steps = self._reception.receive(valid_receive_names(channels), block)
        try:
            commands, waits = next(steps)
            while True:
                call = self._waiting_call if waits else self.shard.call
                commands, waits = steps.send(call(*commands))
        except StopIteration as stop:
            received: Received = stop.value
            return received

    def _waiting_call(self, *commands: Command) -> list[Any]:
        return good(self.shard.node.name, self._waiting_links.call(commands))

    async def receive_async(self, channels: Sequence[str]) -> Received:
        steps = self._reception.receive(valid_receive_names(channels), True)
        link = AsyncLink(self.shard.node)
        try:
            commands, _ = next(steps)
            while True:
                replies = await link.call(commands, timeout=BLOCK + TIMEOUT)
                commands, _ = steps.send(good(self.shard.node.name, replies))
        except StopIteration as stop:
            received: Received = stop.value
            return received
        finally:
            await link.close()

    def receiver(self, channels: Sequence[str], *, worker: str = "") -> Receiver:
        return RedisReceiver(self, self.shard, valid_worker_names(channels))

    def inbox(
        self, process: str, is_open: IsOpen = always_open, on_receipt: OnReceipt = no_receipts
    ) -> Inbox:
        return RedisInbox(self, self.shard, process, is_open)

    # Groups ---------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        if "!" in channel:
            self.shard.call(self.shard.membership(JOIN, group, channel))
        else:
            ends = int((time.time() + self.group_expiry) * 1000)
            self.shard.call(("ZADD", self.shard.keys.group(group), ends, channel))

    def group_discard(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        if "!" in channel:
            self.shard.call(self.shard.membership(LEAVE, group, channel))
        else:
            self.shard.call(("ZREM", self.shard.keys.group(group), channel))

    def group_channels(self, group: str) -> list[str]:
        key = self.shard.keys.group(valid_group_name(group))
        now = int(time.time() * 1000)
        [found] = self.shard.call(("ZRANGE", key, f"({now}", "+inf", "BYSCORE"))
        names = [name.decode("ascii") for name in found]
        processes = [name for name in names if name.endswith("!")]
        members = self.shard.call(
            *(("SMEMBERS", self.shard.keys.members(group, p)) for p in processes)
        )
        return [name for name in names if not name.endswith("!")] + [
            process + local.decode("ascii")
            for process, locals_ in zip(processes, members, strict=True)
            for local in locals_
        ]

    # The rest of the contract -----------------------------------------------------------

    def flush(self) -> None:
        cursor = b"0"
        while True:
            [(cursor, found)] = self.shard.call(self._scan(cursor, ""))
            if found:
                self.shard.call(("UNLINK", *found))
            if cursor == b"0":
                break
        self._reception.clear()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        name = non_local_name(valid_channel_name(channel))
        is_process = name.endswith("!")
        stream = self.shard.keys.inbox(name) if is_process else self.shard.keys.channel(name)
        counts, length, first, (seconds, micros) = self.shard.call(
            ("HMGET", self.shard.keys.stats(name), *_COUNTS),
            ("XLEN", stream),
            ("XRANGE", stream, "-", "+", "COUNT", 1),
            ("TIME",),
        )
        began = int(first[0][0].split(b"-")[0]) / 1000 if first else None
        now = int(seconds) + int(micros) / 1e6
        return {
            **{key: int(count or 0) for key, count in zip(_COUNTS, counts, strict=True)},
            "messages_pending": length,
            "messages_max_age": max(0.0, now - began) if began else 0.0,
        }

    def global_statistics(self) -> dict[str, float]:
        totals = dict.fromkeys(_COUNTS, 0.0)
        cursor = b"0"
        while True:
            [(cursor, found)] = self.shard.call(self._scan(cursor, "stats:"))
            for counts in self.shard.call(*(("HMGET", key, *_COUNTS) for key in found)):
                for key, count in zip(_COUNTS, counts, strict=True):
                    totals[key] += int(count or 0)
            if cursor == b"0":
                return totals

    def _scan(self, cursor: bytes, kind: str) -> Command:
        pattern = _GLOB.sub(r"\\\g<0>", self.prefix) + kind + "*"
        return ("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)

    def announce(self, worker: str, channels: Sequence[str], *, ttl: float) -> None:
        lives = int(ttl + GRACE) * 1000
        self.shard.call(
            *(
                ANNOUNCE.command(
                    [self.shard.keys.workers(channel)], [worker, int(ttl * 1000), lives]
                )
                for channel in channels
            )
        )

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        self.announce(worker, channels, ttl=0)

    def is_gone(self, channel: str) -> bool:
        process = non_local_name(channel)
        [count] = self.shard.call(
            ("HGET", self.shard.keys.waiting(process), channel[len(process) :])
        )
        return int(count or 0) >= CLOSED // 2

    async def has_worker(self, channel: str) -> bool:
        [count] = await self.shard.writer().call(
            [ALIVE.command([self.shard.keys.workers(channel)], [])]
        )
        return bool(count)

    def close(self) -> None:
        self.shard.close()
        self._waiting_links.close()

    async def close_async(self) -> None:
        await self.shard.close_async()
