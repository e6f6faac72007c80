"""A worker thread's end of the Redis layer: one round trip carries answers out and messages in."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from channels_classic.exceptions import LayerUnavailable
from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import Receiver
from channels_classic.layers.names import random_letters
from channels_classic.layers.on_redis.entries import acknowledgements, as_sent, read_entry, receipts
from channels_classic.layers.on_redis.links import TIMEOUT, Link
from channels_classic.layers.on_redis.plan import FIRST, Step, fields_of
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import GIVE_BACK, WORKERS, Command
from channels_classic.layers.traffic import Delivery, Envelope, Exchange

logger = logging.getLogger("channels_classic.layers")

#: The longest wait of one exchange, in seconds.
LONGEST_WAIT = 5.0
#: How long a channel whose key holds something else is left alone, in seconds.
FOREIGN = 10.0
#: Messages in hand that are looked for after a break of the connection, at most.
_IN_HAND = 1000

_numbers = itertools.count(1)


class RedisReceiver(Receiver):
    """Takes messages as one consumer of the group "workers" on each channel's stream."""

    def __init__(
        self, layer: BaseChannelLayer, shard: Shard, channels: Sequence[str], worker: str = ""
    ) -> None:
        super().__init__(layer, channels)
        self._shard = shard
        self._has_worker = bool(worker)
        self.name = f"{worker or random_letters(12)}/{next(_numbers)}"
        self._link = Link(shard.node, timeout=LONGEST_WAIT + TIMEOUT)
        self._names = {shard.keys.channel(name).encode(): name for name in self.channels}
        self._foreign_until: dict[bytes, float] = {}
        self._has_groups = False
        self._held: set[tuple[str, bytes]] = set()
        self._held_lock = threading.Lock()
        #: How Redis calls the connection, for who ends the waiting on one of several shards.
        self.client_id: int | None = None
        #: What the clock of Redis is ahead of the monotonic one of this machine, in milliseconds.
        self._ahead_ms = 0.0
        #: After a break, what was handed out and never arrived here is asked for first.
        self._looks_back = False

    def exchange(
        self,
        *,
        done: Sequence[Delivery],
        sends: Sequence[Envelope],
        limit: int,
        timeout: float,
    ) -> Exchange:
        steps, after = self._plan(done, sends)
        groups = [] if self._has_groups else self._group_commands()
        keys = self._readable()
        read = self._read_command(keys, limit, min(timeout, LONGEST_WAIT))
        commands = [*(step.command for step in steps), *after, *groups]
        who = [] if self._shard.is_alone else [("CLIENT", "ID")]  # it changes with each connection
        replies = self._call([*commands, *who, *read, ("TIME",)])
        self._let_go(done)
        if who and isinstance(replies[-3], int):
            self.client_id = replies[-3]
        refused = self._refused(steps, replies)
        found, (seconds, micros) = replies[-2], replies[-1]
        self._has_groups = not isinstance(found, Exception)
        if isinstance(found, Exception):
            self._cannot_read(found)
            return Exchange([], refused)
        self._looks_back = False
        if not found:
            return Exchange([], refused)
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        self._ahead_ms = now_ms - time.monotonic() * 1000
        return Exchange(self._deliveries(found, now_ms), refused)

    def _plan(
        self, done: Sequence[Delivery], sends: Sequence[Envelope]
    ) -> tuple[list[Step], list[Command]]:
        """The sends, with the receipts behind them; then the acknowledgements.

        Whoever dies in between has sent twice at worst, and lost nothing.
        """
        steps = self._shard.planner.steps([*sends, *receipts(done)])
        return steps, acknowledgements(self._shard, done)

    def _call(self, commands: Sequence[Command]) -> list[Any]:
        try:
            return self._link.call(commands)
        except LayerUnavailable:
            self._looks_back, self.client_id = True, None
            raise

    def _group_commands(self) -> list[Command]:
        """The groups exist before the first read, and again after somebody emptied Redis."""
        create = ("XGROUP", "CREATE")
        return [(*create, key, WORKERS, "0", "MKSTREAM") for key in self._names]

    # Reading ----------------------------------------------------------------------------

    def _readable(self) -> list[bytes]:
        if not self._foreign_until:
            return list(self._names)
        now = time.monotonic()
        return [key for key in self._names if self._foreign_until.get(key, 0) <= now]

    def _read_command(self, keys: list[bytes], limit: int, timeout: float) -> list[Command]:
        if not keys:
            return [("PING",)]
        since, count = (b"0", _IN_HAND) if self._looks_back else (b">", limit)
        waits = timeout > 0 and not self._looks_back
        block = ("BLOCK", max(1, int(timeout * 1000))) if waits else ()
        group = ("XREADGROUP", "GROUP", WORKERS, self.name, "COUNT", count)
        return [(*group, *block, "STREAMS", *keys, *(since for _ in keys))]

    def _cannot_read(self, error: Exception) -> None:
        if str(error).startswith("WRONGTYPE"):
            self._leave_out_foreign()
        elif not str(error).startswith(("NOGROUP", "UNBLOCKED")):
            logger.error("Redis refuses to hand out messages: %s", error)

    def _leave_out_foreign(self) -> None:
        """A key that holds something else must not keep this worker from all the others."""
        keys = list(self._names)
        kinds = self._link.call([("TYPE", key) for key in keys])
        for key, kind in zip(keys, kinds, strict=True):
            if kind not in (b"stream", b"none"):
                self._foreign_until[key] = time.monotonic() + FOREIGN
                detail = f"its key holds a {kind.decode()}"
                self.layer.note(self._names[key], Counter.UNDECODABLE, detail=detail)
                self.layer.count(self._names[key], Counter.UNDECODABLE)

    def _deliveries(self, found: Any, now_ms: int) -> list[Delivery]:
        deliveries: list[Delivery] = []
        expired: list[Delivery] = []
        unreadable: list[Delivery] = []
        with self._held_lock:
            for key, entries in found if isinstance(found, list) else ():
                name = self._names[key]
                expiry_ms = self._shard.expiry_ms(name)
                for entry_id, fields in entries:
                    if (name, entry_id) in self._held:
                        continue  # it did arrive, before the break
                    self._held.add((name, entry_id))
                    delivery = read_entry(self._shard, name, entry_id, fields, consumer=self.name)
                    if expiry_ms and now_ms - delivery.token.arrived_ms > expiry_ms:
                        expired.append(delivery)
                    elif delivery.token.problem:
                        unreadable.append(delivery)
                    else:
                        deliveries.append(delivery)
        self._discard(expired, Counter.EXPIRED)
        self._discard(unreadable, Counter.UNDECODABLE)
        return deliveries

    def _discard(self, deliveries: list[Delivery], counter: Counter) -> None:
        if deliveries:
            self.layer.lose(deliveries, counter)
            self._let_go(deliveries)

    # Writing ----------------------------------------------------------------------------

    def _let_go(self, done: Sequence[Delivery]) -> None:
        if done:
            with self._held_lock:
                self._held.difference_update((d.channel, d.token.entry_id) for d in done)

    def _refused(self, steps: list[Step], replies: list[Any]) -> list[Envelope]:
        carried_out: list[tuple[Step, Any]] = []
        for step, reply in zip(steps, replies, strict=False):
            if isinstance(reply, Exception):
                logger.error("Redis refuses a send to %s: %s", step.envelopes[0].name, reply)
            else:
                carried_out.append((step, reply))
        return self._shard.finish(carried_out)

    def acknowledge(self, done: Sequence[Delivery]) -> None:
        """Take messages off the bus, for a caller that sends the receipts itself."""
        self._call(acknowledgements(self._shard, done))
        self._let_go(done)

    async def acknowledge_async(self, done: Delivery) -> None:
        """``acknowledge`` for an event loop."""
        await self._shard.writer().call(acknowledgements(self._shard, [done]))
        self._let_go([done])

    def settle(self, done: Sequence[Delivery], sends: Sequence[Envelope]) -> list[Envelope]:
        steps, after = self._plan(done, sends)
        commands = [*(step.command for step in steps), *after]
        replies = self._call(commands) if commands else []
        self._let_go(done)
        return self._refused(steps, replies)

    async def settle_async(self, done: Delivery, sends: Sequence[Envelope]) -> list[Envelope]:
        told = receipts([done])
        refused = await self._shard.writer().deliver(
            [*sends, *told], acknowledgements(self._shard, [done])
        )
        self._let_go([done])
        return refused

    def waited(self, delivery: Delivery) -> float | None:
        now_ms = time.monotonic() * 1000 + self._ahead_ms
        arrived_ms: int = delivery.token.arrived_ms
        return max(0.0, (now_ms - arrived_ms) / 1000)

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """To the tail of their channels, with the age they have; no capacity is asked."""
        shard, args = self._shard, defaultdict[str, list[Any]](list)
        for delivery in deliveries:
            fields = [*fields_of(as_sent(delivery)), FIRST, delivery.token.arrived_ms]
            token = delivery.token
            args[delivery.channel] += (token.entry_id, token.consumer, len(fields), *fields)
        shard.call(
            *(
                GIVE_BACK.command([shard.keys.channel(name)], [shard.lives_ms(name), *args[name]])
                for name in args
            )
        )
        self._let_go(deliveries)

    def close(self) -> None:
        """Leave the groups, so that no trace of this thread stays; what is in hand does.

        The consumers of a worker process go all together, see ``withdraw``.
        """
        if self._has_groups and not self._has_worker:
            self.layer.withdraw(self.name.partition("/")[0], self.channels)
        self._link.close()
