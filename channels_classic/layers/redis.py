"""The channel layer on Redis: a thin verb around each command or script."""

from __future__ import annotations

import asyncio
import re
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from channels_classic.layers.base import (
    BaseChannelLayer,
    Content,
    Envelope,
    Inbox,
    IsOpen,
    Received,
    Receiver,
    always_open,
    non_local_name,
    valid_channel_name,
    valid_group_name,
    valid_receive_names,
)
from channels_classic.layers.codec import Codec
from channels_classic.layers.links import TIMEOUT, AsyncLink, Links, good
from channels_classic.layers.reception import BLOCK, Reception
from channels_classic.layers.redis_inbox import RedisInbox
from channels_classic.layers.redis_receiver import RedisReceiver
from channels_classic.layers.ring import Host, nodes
from channels_classic.layers.wire import (
    ALIVE,
    ANNOUNCE,
    CLOSED,
    JOIN,
    LEAVE,
    Command,
    Keys,
    Planner,
    Script,
)
from channels_classic.layers.writer import Writer

#: Keys of channels outlive the last send to them by the expiry and this, in seconds.
GRACE = 60

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
        [self.node] = nodes(hosts, connection_kwargs)
        self.prefix = prefix
        self.keys = Keys(prefix)
        self.codec = Codec(max_size=int(self.max_message_size), keys=symmetric_encryption_keys)
        self.expiry_ms = int(self.expiry * 1000)
        self.planner = Planner(
            self.keys,
            self.get_capacity,
            expiry_ms=self.expiry_ms,
            lives_ms=self.expiry_ms + GRACE * 1000,
            inbox_limit=inbox_limit,
        )
        self._links = Links(self.node, max_connections)
        self._waiting_links = Links(self.node, max_connections, timeout=BLOCK + TIMEOUT)
        self._reception = Reception(self)
        self._writers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Writer] = (
            weakref.WeakKeyDictionary()
        )
        self._last_writer: tuple[asyncio.AbstractEventLoop | None, Writer | None] = (None, None)

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.node.name})"

    def encode(self, content: Content) -> bytes:
        return self.codec.encode(content)

    def call(self, *commands: Command) -> list[Any]:
        """The replies to ``commands``, none of them an error, or ``LayerUnavailable``."""
        return good(self.node.name, self._links.call(commands)) if commands else []

    # Sending --------------------------------------------------------------------------

    def deliver(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        steps = self.planner.steps(envelopes)
        refused: list[Envelope] = []
        forwards: list[Envelope] = []
        for step, reply in zip(steps, self.call(*(step.command for step in steps)), strict=True):
            refused += step.refused(reply)
            forwards += step.forwards(reply)
        if forwards:
            self.deliver(forwards)  # a group passes over its full members
        return refused

    async def deliver_async(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        return await self.writer().deliver(envelopes)

    def writer(self) -> Writer:
        """What this event loop writes with: the sends of one turn in one round trip."""
        loop = asyncio.get_running_loop()
        last, writer = self._last_writer
        if loop is last and writer is not None:  # a look-up with weak keys takes its time
            return writer
        if (writer := self._writers.get(loop)) is None:
            writer = self._writers[loop] = Writer(self.node, self.planner)
        self._last_writer = loop, writer
        return writer

    # Receiving ------------------------------------------------------------------------

    def receive(self, channels: Sequence[str], block: bool = False) -> Received:
        steps = self._reception.receive(valid_receive_names(channels), block)
        try:
            commands, waits = next(steps)
            while True:
                links = self._waiting_links if waits else self._links
                commands, waits = steps.send(good(self.node.name, links.call(commands)))
        except StopIteration as stop:
            received: Received = stop.value
            return received

    async def receive_async(self, channels: Sequence[str]) -> Received:
        steps = self._reception.receive(valid_receive_names(channels), True)
        link = AsyncLink(self.node)
        try:
            commands, _ = next(steps)
            while True:
                replies = await link.call(commands, timeout=BLOCK + TIMEOUT)
                commands, _ = steps.send(good(self.node.name, replies))
        except StopIteration as stop:
            received: Received = stop.value
            return received
        finally:
            await link.close()

    def receiver(self, channels: Sequence[str]) -> Receiver:
        return RedisReceiver(self, valid_receive_names(channels))

    def inbox(self, process: str, is_open: IsOpen = always_open) -> Inbox:
        return RedisInbox(self, process, is_open)

    # Groups ---------------------------------------------------------------------------

    def group_add(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        if "!" in channel:
            self.call(self.membership(JOIN, group, channel))
        else:
            ends = int((time.time() + self.group_expiry) * 1000)
            self.call(("ZADD", self.keys.group(group), ends, channel))

    def group_discard(self, group: str, channel: str) -> None:
        valid_group_name(group), valid_channel_name(channel)
        if "!" in channel:
            self.call(self.membership(LEAVE, group, channel))
        else:
            self.call(("ZREM", self.keys.group(group), channel))

    def group_channels(self, group: str) -> list[str]:
        key = self.keys.group(valid_group_name(group))
        now = int(time.time() * 1000)
        [found] = self.call(("ZRANGE", key, f"({now}", "+inf", "BYSCORE"))
        names = [name.decode("ascii") for name in found]
        processes = [name for name in names if name.endswith("!")]
        members = self.call(*(("SMEMBERS", self.keys.members(group, p)) for p in processes))
        return [name for name in names if not name.endswith("!")] + [
            process + local.decode("ascii")
            for process, locals_ in zip(processes, members, strict=True)
            for local in locals_
        ]

    def membership(self, script: Script, group: str, channel: str) -> Command:
        """The command that makes ``channel``, of some process, join or leave ``group``."""
        process = non_local_name(channel)
        keys = (
            self.keys.group(group),
            self.keys.members(group, process),
            self.keys.joined(process),
            self.keys.inbox(process),
            self.keys.changed(process),
        )
        args = (group, process, channel[len(process) :], self.planner.lives_ms)
        return script.command(keys, args)

    # The rest of the contract -----------------------------------------------------------

    def flush(self) -> None:
        cursor = b"0"
        while True:
            [(cursor, found)] = self.call(self._scan(cursor, ""))
            if found:
                self.call(("UNLINK", *found))
            if cursor == b"0":
                break
        self._reception.clear()

    def channel_statistics(self, channel: str) -> dict[str, float]:
        name = non_local_name(valid_channel_name(channel))
        is_process = name.endswith("!")
        stream = self.keys.inbox(name) if is_process else self.keys.channel(name)
        counts, length, first, (seconds, micros) = self.call(
            ("HMGET", self.keys.stats(name), *_COUNTS),
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
            [(cursor, found)] = self.call(self._scan(cursor, "stats:"))
            for counts in self.call(*(("HMGET", key, *_COUNTS) for key in found)):
                for key, count in zip(_COUNTS, counts, strict=True):
                    totals[key] += int(count or 0)
            if cursor == b"0":
                return totals

    def _scan(self, cursor: bytes, kind: str) -> Command:
        pattern = _GLOB.sub(r"\\\g<0>", self.prefix) + kind + "*"
        return ("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)

    def announce(self, worker: str, channels: Sequence[str], *, ttl: float) -> None:
        lives = int(ttl + GRACE) * 1000
        self.call(
            *(
                ANNOUNCE.command([self.keys.workers(channel)], [worker, int(ttl * 1000), lives])
                for channel in channels
            )
        )

    def withdraw(self, worker: str, channels: Sequence[str]) -> None:
        self.announce(worker, channels, ttl=0)

    def is_gone(self, channel: str) -> bool:
        process = non_local_name(channel)
        [count] = self.call(("HGET", self.keys.waiting(process), channel[len(process) :]))
        return int(count or 0) >= CLOSED // 2

    async def has_worker(self, channel: str) -> bool:
        [count] = await self.writer().call([ALIVE.command([self.keys.workers(channel)], [])])
        return bool(count)

    def close(self) -> None:
        self._links.close()
        self._waiting_links.close()

    async def close_async(self) -> None:
        self._last_writer = (None, None)
        writer = self._writers.pop(asyncio.get_running_loop(), None)
        if writer is not None:
            await writer.close()
