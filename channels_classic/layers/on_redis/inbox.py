"""A server process's end of the Redis layer: everything meant for its connections."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter as Tally
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from channels_classic.layers.counters import Counter
from channels_classic.layers.ends import GONE, Inbox, IsOpen, OnReceipt
from channels_classic.layers.on_redis.fanout import Fanout
from channels_classic.layers.on_redis.ledger import report_command
from channels_classic.layers.on_redis.links import TIMEOUT, AsyncLink, good
from channels_classic.layers.on_redis.registry import Registry
from channels_classic.layers.on_redis.shard import Shard
from channels_classic.layers.on_redis.wire import CLOSED, Command
from channels_classic.layers.traffic import Arrival, Content, Envelope

if TYPE_CHECKING:
    from channels_classic.layers.redis import RedisChannelLayer

logger = logging.getLogger("channels_classic.layers")

#: How long one read waits, in seconds, and how many entries, or about how many bytes, it brings.
WAIT = 5.0
ENTRIES = 500
BYTES = 8 * 1024**2
#: How often Redis's clock is looked at, in seconds.
REFRESH = 10.0


class RedisInbox(Inbox):
    """Reads the inbox stream from the last entry on; what was read is trimmed by the next read."""

    layer: RedisChannelLayer

    def __init__(
        self,
        layer: RedisChannelLayer,
        shard: Shard,
        process: str,
        is_open: IsOpen,
        on_receipt: OnReceipt,
    ) -> None:
        super().__init__(layer, process)
        self._shard = shard
        self._link = AsyncLink(shard.node)
        self._key = shard.keys.inbox(process)
        self._last = b"0-0"
        self._is_open = is_open
        self._fanout = Fanout(shard.codec, on_receipt)
        self._registry = Registry(layer, shard, process, fanout=self._fanout, is_open=is_open)
        self._count = 50
        self._clock_offset = 0.0
        self._refresh_at = 0.0
        #: What could not be counted as the bus was away: the next beat tries again.
        self._uncounted: Tally[tuple[str, Counter]] = Tally()
        #: In the same way, who has left which groups.
        self._unheard: list[list[Command]] = []

    # Reading ----------------------------------------------------------------------------

    async def read(self) -> list[Arrival]:
        commands: list[Command] = []
        if time.monotonic() >= self._refresh_at:
            commands.append(("TIME",))
        commands += [
            ("XTRIM", self._key, "MINID", self._after()),
            (
                *("XREAD", "COUNT", self._count, "BLOCK", int(WAIT * 1000)),
                *("STREAMS", self._key, self._last),
            ),
        ]
        replies = await self._link.call(commands, timeout=WAIT + TIMEOUT)
        if isinstance(replies[-1], ResponseError) and "WRONGTYPE" in str(replies[-1]):
            await self._remove_foreign()
            return []
        good(self._shard.node.name, replies)
        if len(replies) > 2:
            self._refreshed(replies[0])
        if not replies[-1]:
            return []
        entries = replies[-1][0][1]
        self._adapt(entries)
        return self._arrivals(entries)

    def _adapt(self, entries: list[Any]) -> None:
        """How many entries to read next: fewer large ones than small ones."""
        size = sum(len(value) for _, fields in entries for value in fields or ())
        self._count = min(ENTRIES, max(1, BYTES * len(entries) // max(1, size)))

    async def _remove_foreign(self) -> None:
        """The key of the inbox is ours alone: what else somebody put there must not stay."""
        await self._link.call([("UNLINK", self._key)])
        self.count(self.process, Counter.UNDECODABLE)
        self.layer.note(self.process, Counter.UNDECODABLE, detail="its inbox held something else")

    def _refreshed(self, redis_time: list[bytes]) -> None:
        seconds, micros = redis_time
        now = time.monotonic()
        self._clock_offset = int(seconds) + int(micros) / 1e6 - now
        self._refresh_at = now + REFRESH

    def _after(self) -> str:
        """The id right after the last one read: everything before it has been dealt with."""
        time_ms, number = _order(self._last)
        return f"{time_ms}-{number + 1}"

    def _arrivals(self, entries: list[Any]) -> list[Arrival]:
        expiry_ms = self._shard.expiry_ms(self.process)
        oldest_ms = (time.monotonic() + self._clock_offset) * 1000 - expiry_ms if expiry_ms else 0
        arrivals: list[Arrival] = []
        late: list[Arrival] = []
        for entry_id, fields in entries:
            self._last = entry_id
            is_late = int(entry_id.partition(b"-")[0]) < oldest_ms
            (late if is_late else arrivals).extend(self._fanout.arrivals(fields or ()))
        if late:
            self._expired(late)
        if self._fanout.unreadable:
            self._pass_over()
        self._forget_late_joins()
        return arrivals

    def _pass_over(self) -> None:
        unreadable, self._fanout.unreadable = self._fanout.unreadable, []
        self.count(self.process, Counter.UNDECODABLE, len(unreadable))
        for local, problem in unreadable:
            self.layer.note(self.process, Counter.UNDECODABLE, detail=problem)
            if local:
                self.drained(local)  # its sender need not wait for it

    def _forget_late_joins(self) -> None:
        """Who joined after its connection had closed is no member."""
        for local in self._fanout.take_joined():
            if not self._is_open(local):
                self.forget(local)

    def _expired(self, arrivals: list[Arrival]) -> None:
        self.count(self.process, Counter.EXPIRED, len(arrivals))
        self.layer.note(self.process, Counter.EXPIRED, len(arrivals), detail="before it was read")
        for arrival in arrivals:
            if arrival.direct:
                self.drained(arrival.locals[0])

    # Connections ------------------------------------------------------------------------

    async def beat(self, *, ttl: float) -> bool:
        has_lost = await self._registry.beat(ttl)
        if has_lost:
            await self._find_start()
        self._tell_again()
        return has_lost

    def _tell_again(self) -> None:
        unheard, self._unheard = self._unheard, []
        for commands in unheard:
            self._leave(commands)
        uncounted, self._uncounted = self._uncounted, Tally()
        for (channel, counter), number in uncounted.items():
            self.count(channel, counter, number)

    async def _find_start(self) -> None:
        """A new inbox may have smaller ids, by the clock of another server: read all of it."""
        [found] = await self._shard.writer().ask([("XINFO", "STREAM", self._key)])
        there = isinstance(found, list)  # else Redis has not even the key, as is no wonder
        facts = dict(zip(found[::2], found[1::2], strict=False)) if there else {}
        if _order(facts.get(b"last-generated-id", b"0-0")) < _order(self._last):
            self._last = b"0-0"

    def report(self, content: Content, *, ttl: float) -> None:
        payload = self.layer.encode({**content, **self._fanout.largest()})
        self._shard.writer().post([report_command(self._shard, self.process, payload, ttl)])

    def leave_will(self, local: str, will: Envelope) -> None:
        self._registry.leave_will(local, will)

    def withdraw_will(self, local: str) -> None:
        self._registry.withdraw_will(local)

    def take_ended(self) -> list[str]:
        return self._registry.take_ended()

    def drained(self, local: str) -> None:
        self._shard.writer().drained(self.process, local, 1)

    def forget(self, local: str) -> None:
        writer = self._shard.writer()
        writer.drained(self.process, local, 0)
        groups = self._fanout.forget(local)
        if groups:
            members = (self._shard.keys.members(group, self.process) for group in groups)
            self._leave([("SREM", key, local) for key in members])

    def _leave(self, commands: list[Command]) -> None:
        """Names of connections do not come again, so that this may be said twice."""
        self._shard.writer().post(commands, otherwise=lambda: self._unheard.append(commands))

    def refuse(self, local: str) -> None:
        writer = self._shard.writer()
        writer.drained(self.process, local, -CLOSED)
        asyncio.get_running_loop().call_later(GONE, writer.drained, self.process, local, 0)

    def count(self, channel: str, counter: Counter, number: int = 1) -> None:
        def keep() -> None:
            self._uncounted[channel, counter] += number

        command = self._shard.count_command(channel, counter, number)
        self._shard.writer().post([command], otherwise=keep)

    async def close(self) -> None:
        """Take the process out of its groups and remove its inbox."""
        self.report({}, ttl=0)
        await self._link.close()
        await self._registry.close()


def _order(entry_id: bytes) -> tuple[int, int]:
    """What entries are sorted by."""
    time_ms, _, number = entry_id.partition(b"-")
    return int(time_ms), int(number)
