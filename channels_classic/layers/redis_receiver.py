"""A worker thread's end of the Redis layer: one round trip carries answers out and messages in."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from channels_classic.exceptions import UndecodableMessage
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.ends import Receiver
from channels_classic.layers.links import TIMEOUT, Link
from channels_classic.layers.names import random_letters
from channels_classic.layers.shard import Shard
from channels_classic.layers.traffic import Content, Delivery, Envelope, Exchange
from channels_classic.layers.wire import WORKERS, Command, Step

logger = logging.getLogger("channels_classic.layers")

#: The longest wait of one exchange, in seconds.
LONGEST_WAIT = 5.0


class _Token(NamedTuple):
    """Where a message is, and since when it is on the bus."""

    entry_id: bytes
    arrived_ms: int


class RedisReceiver(Receiver):
    """Takes messages as one consumer of the group "workers" on each channel's stream."""

    def __init__(self, layer: BaseChannelLayer, shard: Shard, channels: Sequence[str]) -> None:
        super().__init__(layer, channels)
        self._shard = shard
        self.name = random_letters(12)
        self._link = Link(shard.node, timeout=LONGEST_WAIT + TIMEOUT)
        self._names = {shard.keys.channel(name).encode(): name for name in self.channels}
        self._has_groups = False

    def exchange(
        self,
        *,
        done: Sequence[Delivery],
        sends: Sequence[Envelope],
        limit: int,
        timeout: float,
    ) -> Exchange:
        before = acknowledgements(self._shard, done)
        steps = self._shard.planner.steps(sends)
        first, last = len(before), len(before) + len(steps)
        read = self._read_command(limit, min(timeout, LONGEST_WAIT))
        groups = [] if self._has_groups else self._group_commands()
        replies = self._link.call(
            [*before, *(step.command for step in steps), *groups, read, ("TIME",)]
        )
        refused = self._refused(steps, replies[first:last])
        found, (seconds, micros) = replies[-2], replies[-1]
        self._has_groups = not isinstance(found, Exception)
        if isinstance(found, Exception) and not str(found).startswith(("NOGROUP", "UNBLOCKED")):
            logger.error("Redis refuses to hand out messages: %s", found)
        if not found or isinstance(found, Exception):
            return Exchange([], refused)
        return Exchange(self._deliveries(found, int(seconds) * 1000 + int(micros) // 1000), refused)

    def _group_commands(self) -> list[Command]:
        """The groups exist before the first read, and again after somebody emptied Redis."""
        create = ("XGROUP", "CREATE")
        return [(*create, key, WORKERS, "0", "MKSTREAM") for key in self._names]

    def _read_command(self, limit: int, timeout: float) -> Command:
        block = ("BLOCK", max(1, int(timeout * 1000))) if timeout > 0 else ()
        ids = (">",) * len(self._names)
        group = ("XREADGROUP", "GROUP", WORKERS, self.name, "COUNT", limit)
        return (*group, *block, "STREAMS", *self._names, *ids)

    def _refused(self, steps: list[Step], replies: list[Any]) -> list[Envelope]:
        carried_out: list[tuple[Step, Any]] = []
        for step, reply in zip(steps, replies, strict=True):
            if isinstance(reply, Exception):
                logger.error("Redis refuses a send to %s: %s", step.envelopes[0].name, reply)
            else:
                carried_out.append((step, reply))
        return self._shard.finish(carried_out)

    def _deliveries(self, found: list[Any], now_ms: int) -> list[Delivery]:
        deliveries: list[Delivery] = []
        unusable: list[Delivery] = []
        for key, entries in found:
            name = self._names[key]
            for entry_id, fields in entries:
                values = dict(zip(fields[::2], fields[1::2], strict=False)) if fields else {}
                token = _Token(entry_id, _arrived(entry_id, values))
                is_young = now_ms - token.arrived_ms <= self._shard.expiry_ms
                content = self._content(name, values) if is_young else None
                if content is None:
                    unusable.append(Delivery(name, {}, token))
                else:
                    deliveries.append(Delivery(name, content, token))
        if unusable:
            self._link.call(acknowledgements(self._shard, unusable))
        return deliveries

    def _content(self, name: str, values: dict[bytes, bytes]) -> Content | None:
        try:
            return self._shard.codec.decode(values[b"m"])
        except (UndecodableMessage, KeyError) as error:
            logger.error("Passed over an entry of channel %s: %r", name, error)
            return None

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        before = acknowledgements(self._shard, done)
        steps = self._shard.planner.steps(sends)
        commands = [*before, *(step.command for step in steps)]
        replies = self._link.call(commands) if commands else []
        return self._refused(steps, replies[len(before) :])

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        return await self._shard.writer().deliver(sends, acknowledgements(self._shard, [done]))

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """To the tail of their channels, with the age they have; no capacity is asked."""
        if not deliveries:
            return
        codec, keys = self._shard.codec, self._shard.keys
        commands = acknowledgements(self._shard, deliveries)
        commands += self._group_commands()  # if Redis was emptied since
        for delivery in deliveries:
            key = keys.channel(delivery.channel)
            fields = ("m", codec.encode(delivery.content), "t", delivery.token.arrived_ms)
            commands += [("XADD", key, "*", *fields), ("PEXPIRE", key, self._shard.lives_ms)]
        self._link.call(commands)

    def close(self) -> None:
        """Leave the groups, so that no trace of this worker stays."""
        if self._has_groups:
            self._drop_what_is_held()
            leave = ("XGROUP", "DELCONSUMER")
            self._link.call([(*leave, key, WORKERS, self.name) for key in self._names])
        self._link.close()

    def _drop_what_is_held(self) -> None:
        """What this worker has taken and not acknowledged must not stay behind as waiting."""
        pending = [("XPENDING", key, WORKERS, "-", "+", 1000, self.name) for key in self._names]
        commands: list[Command] = []
        for key, entries in zip(self._names, self._link.call(pending), strict=True):
            ids = [] if isinstance(entries, Exception) else [entry[0] for entry in entries]
            commands += _removal(key, ids) if ids else []
        if commands:
            self._link.call(commands)


def _arrived(entry_id: bytes, values: dict[bytes, bytes]) -> int:
    """When the message first came: one that was given back is as old as it was."""
    first = values.get(b"t", b"")
    known = first.isdigit() and len(first) < 20  # nobody knows what a foreign entry holds
    return int(first if known else entry_id.partition(b"-")[0])


def acknowledgements(shard: Shard, done: Sequence[Delivery]) -> list[Command]:
    """The commands after which the messages in ``done`` are no longer on the bus."""
    by_channel: defaultdict[str, list[bytes]] = defaultdict(list)
    for delivery in done:
        by_channel[delivery.channel].append(delivery.token.entry_id)
    commands: list[Command] = []
    for name, ids in by_channel.items():
        commands += _removal(shard.keys.channel(name), ids)
    return commands


def _removal(key: str | bytes, ids: Sequence[bytes]) -> list[Command]:
    return [("XACK", key, WORKERS, *ids), ("XDEL", key, *ids)]
