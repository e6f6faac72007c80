"""A server process's end of the Redis layer: everything meant for its connections."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.ends import GONE, Inbox, IsOpen
from channels_classic.layers.fanout import Fanout
from channels_classic.layers.links import TIMEOUT, AsyncLink, good
from channels_classic.layers.shard import Shard
from channels_classic.layers.traffic import Arrival
from channels_classic.layers.wire import CLOSED, LEAVE, Command

logger = logging.getLogger("channels_classic.layers")

#: How long one read waits, in seconds, and how many entries it brings at most.
WAIT = 5.0
ENTRIES = 500
#: How often Redis's clock is looked at, in seconds.
REFRESH = 10.0


class RedisInbox(Inbox):
    """Reads the inbox stream from the last entry on; what was read is trimmed by the next read."""

    def __init__(
        self, layer: BaseChannelLayer, shard: Shard, process: str, is_open: IsOpen
    ) -> None:
        super().__init__(layer, process)
        self._shard = shard
        self._link = AsyncLink(shard.node)
        self._key = shard.keys.inbox(process)
        self._last = b"0-0"
        self._is_open = is_open
        self._fanout = Fanout(shard.codec)
        self._clock_offset = 0.0
        self._refresh_at = 0.0

    async def read(self) -> list[Arrival]:
        commands = self._refreshing() if time.monotonic() >= self._refresh_at else []
        commands += [
            ("XTRIM", self._key, "MINID", self._after()),
            (
                *("XREAD", "COUNT", ENTRIES, "BLOCK", int(WAIT * 1000)),
                *("STREAMS", self._key, self._last),
            ),
        ]
        replies = await self._link.call(commands, timeout=WAIT + TIMEOUT)
        good(self._shard.node.name, replies)
        if len(replies) > 2:
            self._refreshed(replies[0])
        return self._arrivals(replies[-1][0][1]) if replies[-1] else []

    def _refreshing(self) -> list[Command]:
        """Now and then: look at Redis's clock, and keep the keys alive."""
        lives = self._shard.lives_ms
        keys = (self._key, self._shard.keys.waiting(self.process))
        return [("TIME",), *(("PEXPIRE", key, lives) for key in keys)]

    def _refreshed(self, redis_time: list[bytes]) -> None:
        seconds, micros = redis_time
        now = time.monotonic()
        self._clock_offset = int(seconds) + int(micros) / 1e6 - now
        self._refresh_at = now + REFRESH

    def _after(self) -> str:
        """The id right after the last one read: everything before it has been dealt with."""
        time_ms, _, number = self._last.partition(b"-")
        return f"{time_ms.decode()}-{int(number) + 1}"

    def _arrivals(self, entries: list[Any]) -> list[Arrival]:
        oldest_ms = (time.monotonic() + self._clock_offset - self.layer.expiry) * 1000
        arrivals: list[Arrival] = []
        late: list[Arrival] = []
        for entry_id, fields in entries:
            self._last = entry_id
            is_late = int(entry_id.partition(b"-")[0]) < oldest_ms
            (late if is_late else arrivals).extend(self._fanout.arrivals(fields or ()))
        if late:
            self._expired(late)
        for local in self._fanout.take_lost():
            self.drained(local)  # its sender need not wait for it
        self._forget_late_joins()
        return arrivals

    def _forget_late_joins(self) -> None:
        """Who joined after its connection had closed is no member."""
        for local in self._fanout.take_joined():
            if not self._is_open(local):
                self.forget(local)

    def _expired(self, arrivals: list[Arrival]) -> None:
        logger.warning("%d message(s) expired before this server read them", len(arrivals))
        for arrival in arrivals:
            if arrival.direct:
                self.drained(arrival.locals[0])

    def drained(self, local: str) -> None:
        self._shard.writer().drained(self.process, local, 1)

    def forget(self, local: str) -> None:
        writer = self._shard.writer()
        writer.drained(self.process, local, 0)
        commands = [self._leave(group, local) for group in self._fanout.forget(local)]
        if commands:
            writer.post(commands)

    def refuse(self, local: str) -> None:
        writer = self._shard.writer()
        writer.drained(self.process, local, -CLOSED)
        asyncio.get_running_loop().call_later(GONE, writer.drained, self.process, local, 0)

    def _leave(self, group: str, local: str) -> Command:
        return self._shard.membership(LEAVE, group, self.process + local)

    async def close(self) -> None:
        """Take the process out of its groups and remove its inbox."""
        keys, process = self._shard.keys, self.process
        await self._link.close()
        try:
            joined, *_ = await self._link.call([("SMEMBERS", keys.joined(process))])
            groups = [group.decode("ascii") for group in joined]
            await self._link.call(
                [
                    *(("ZREM", keys.group(group), process) for group in groups),
                    ("UNLINK", *(keys.members(group, process) for group in groups), self._key),
                    ("UNLINK", keys.waiting(process), keys.joined(process), keys.stats(process)),
                    ("UNLINK", keys.changed(process)),
                ]
            )
        finally:
            await self._link.close()
